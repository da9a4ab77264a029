//! JPEG files with a scan for each component, which few programs write and every reader must know.

use std::fs;
use std::path::Path;

use image::RgbImage;
use model_training::data::dataset::picture;
use tempfile::tempdir;

/// Blocks of 8 x 8 equal pixels, coded by their difference from the block before: bits from the highest on.
struct Bits(Vec<u8>, usize);

impl Bits {
    fn push(&mut self, value: u32, count: usize) {
        for bit in (0..count).rev() {
            if self.1.is_multiple_of(8) {
                self.0.push(0);
            }
            *self.0.last_mut().expect("a byte") |= u8::from(value >> bit & 1 == 1) << (7 - self.1 % 8);
            self.1 += 1;
        }
    }

    /// The code of the category, 0 or 10, the difference of 0, 64 or -64, and the end of the block, 0.
    fn block(&mut self, difference: i32) {
        match difference {
            0 => self.push(0b0, 1),
            64 => self.push(0b10_1000000, 9),
            -64 => self.push(0b10_0111111, 9),
            other => panic!("{other} has no code here"),
        }
        self.push(0, 1);
    }

    /// Filled up with ones, as the standard asks; a byte of ones is followed by a zero.
    fn bytes(mut self) -> Vec<u8> {
        while !self.1.is_multiple_of(8) {
            self.push(1, 1);
        }
        self.0.into_iter().flat_map(|byte| if byte == 0xFF { vec![0xFF, 0] } else { vec![byte] }).collect()
    }
}

/// 32 x 32 pixels: brightness of 8 x 8 blocks that are dark or bright, row by row, and colours that are grey all over.
fn jpeg(sampling: u8, together: bool) -> Vec<u8> {
    let mut file = vec![0xFF, 0xD8, 0xFF, 0xDB, 0, 67, 0];
    file.extend([8; 64]);
    file.extend([0xFF, 0xC0, 0, 17, 8, 0, 32, 0, 32, 3, 1, sampling, 0, 2, 0x11, 0, 3, 0x11, 0]);
    // Category 0 is the code 0 and category 7 the code 10; the end of a block is 0.
    file.extend([0xFF, 0xC4, 0, 21, 0x00, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
    file.extend([0xFF, 0xC4, 0, 20, 0x10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let bright = |row: usize, column: usize| (row * 5 + column * 3) % 7 < 3;
    let mut last = false;
    let mut brightness = |bits: &mut Bits, row, column| {
        let now = bright(row, column);
        bits.block(64 * (i32::from(now) - i32::from(last)));
        last = now;
    };
    let mut scan = |components: &[u8], blocks: &mut dyn FnMut(&mut Bits)| {
        file.extend([0xFF, 0xDA, 0, 6 + 2 * components.len() as u8, components.len() as u8]);
        components.iter().for_each(|&component| file.extend([component, 0]));
        file.extend([0, 63, 0]);
        let mut bits = Bits(Vec::new(), 0);
        blocks(&mut bits);
        file.extend(bits.bytes());
    };
    let side = if sampling == 0x22 { 2 } else { 1 };
    if together {
        scan(&[1, 2, 3], &mut |bits| {
            for unit in 0..16 / (side * side) {
                let (across, first) = (4 / side, [unit / (4 / side) * side, unit % (4 / side) * side]);
                assert!(across > 0);
                for block in 0..side * side {
                    brightness(bits, first[0] + block / side, first[1] + block % side);
                }
                bits.block(0);
                bits.block(0);
            }
        });
    } else {
        scan(&[1], &mut |bits| (0..16).for_each(|block| brightness(bits, block / 4, block % 4)));
        for component in [2, 3] {
            scan(&[component], &mut |bits| (0..16 / (side * side)).for_each(|_| bits.block(0)));
        }
    }
    file.extend([0xFF, 0xD9]);
    file
}

fn decoded(folder: &Path, bytes: &[u8]) -> anyhow::Result<RgbImage> {
    let path = folder.join("picture.jpg");
    fs::write(&path, bytes).expect("written");
    picture(&path)
}

#[test]
fn pixels_are_right_or_the_file_is_refused() {
    let dir = tempdir().expect("a temporary folder");
    let expected = decoded(dir.path(), &jpeg(0x11, true)).expect("an ordinary file");
    assert!(expected.pixels().any(|pixel| pixel[0] > 180) && expected.pixels().any(|pixel| pixel[0] < 140));
    assert_eq!(decoded(dir.path(), &jpeg(0x22, true)).expect("an ordinary file"), expected);
    for sampling in [0x11, 0x22] {
        match decoded(dir.path(), &jpeg(sampling, false)) {
            Ok(picture) => assert_eq!(picture, expected),
            Err(error) => {
                let error = format!("{error:#}");
                assert!(error.contains("scan for each component"), "{error}");
            }
        }
    }
}
