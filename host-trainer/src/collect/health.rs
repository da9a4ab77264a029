//! Frames that are not what their format says: black or frozen ones, swapped bytes, swapped colours.
//!
//! Judged by what photographs have in common, over a few frames of one camera. The tests say how often that is right.

use std::fmt;

use anyhow::Result;
use no_std_device::link::Shape;
use no_std_infer::image::PixelFormat;
use serde::Serialize;

use super::pixels::{Thumbnail, picture};

/// So many frames are judged together; fewer say less.
pub const FRAMES: usize = 5;
/// Frames whose thumbnails have no brighter pixel are black.
const BLACK: u8 = 12;
/// Neighbours that differ by less on the average say nothing about the order of bytes.
const FLAT: f64 = 0.5;
/// The right order of bytes is smoother by this factor.
const SMOOTHER: f64 = 0.8;
/// In the right order, brightness changes more than colour does by this factor, at least.
const LIVELIER: f64 = 0.8;
/// Red exceeds blue in most scenes: the share of the excess in all differences that speaks for the opposite.
const COLD: f64 = -0.3;

/// What is probably wrong with a camera's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trouble {
    /// All are black.
    Black,
    /// All are the same, byte for byte.
    Frozen,
    /// The two bytes of a pixel are swapped.
    ByteOrder,
    /// Brightness and colour are swapped.
    YuvOrder,
    /// Red and blue are swapped.
    Channels,
}

impl Trouble {
    /// How sure that is: [`Self::Channels`] is a guess by what most scenes are like.
    #[must_use]
    pub fn is_guess(self) -> bool {
        self == Self::Channels
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Black => "all frames are black: is there a cap on the lens, or is the exposure not set?",
            Self::Frozen => "all frames are the same to the last bit: the camera is frozen, or gives a test picture",
            Self::ByteOrder => {
                "the two bytes of a pixel seem to be swapped: give frames the other RGB565 format, or set the camera's byte order"
            }
            Self::YuvOrder => {
                "brightness and colour seem to be swapped: give frames the other YUV 4:2:2 format, or set the camera's byte order"
            }
            Self::Channels => "red and blue may be swapped: the scene is bluer than most; look at a preview",
        })
    }
}

/// What is probably wrong with these frames of one camera, which follow each other.
///
/// # Errors
/// When the bytes are not of this shape.
pub fn diagnose(shape: &Shape, frames: &[impl AsRef<[u8]>]) -> Result<Vec<Trouble>> {
    let frames: Vec<&[u8]> = frames.iter().map(AsRef::as_ref).collect();
    let Some((first, rest)) = frames.split_first() else { return Ok(Vec::new()) };
    let mut troubles = Vec::new();
    let brightest = frames.iter().map(|frame| Ok(Thumbnail::new(shape, frame)?.brightest()));
    if brightest.collect::<Result<Vec<u8>>>()?.into_iter().all(|brightest| brightest <= BLACK) {
        // Nothing else can be seen in the dark.
        return Ok(vec![Trouble::Black]);
    }
    if rest.len() + 1 >= FRAMES && rest.iter().all(|frame| frame == first) {
        troubles.push(Trouble::Frozen);
    }
    let sum = |of: &dyn Fn(&[u8]) -> [f64; 2]| {
        frames.iter().map(|frame| of(frame)).fold([0.0; 2], |sum, of| [sum[0] + of[0], sum[1] + of[1]])
    };
    match shape.format {
        PixelFormat::Rgb565Be | PixelFormat::Rgb565Le => {
            let [big, little] = sum(&|frame| roughness(frame, usize::from(shape.width)));
            let [said, other] = if shape.format == PixelFormat::Rgb565Be { [big, little] } else { [little, big] };
            if said > FLAT * frames.len() as f64 && other < SMOOTHER * said {
                troubles.push(Trouble::ByteOrder);
            }
        }
        PixelFormat::Yuv422 | PixelFormat::Uyvy422 => {
            let [even, odd] = sum(&|frame| activity(frame, usize::from(shape.width)));
            let [brightness, colour] = if shape.format == PixelFormat::Yuv422 { [even, odd] } else { [odd, even] };
            if colour > FLAT * frames.len() as f64 && brightness < LIVELIER * colour {
                troubles.push(Trouble::YuvOrder);
            }
        }
        PixelFormat::Rgb888 | PixelFormat::Grey8 => {}
    }
    // Colours mean nothing while bytes are not in order.
    let in_order = !troubles.iter().any(|trouble| matches!(trouble, Trouble::ByteOrder | Trouble::YuvOrder));
    if shape.format != PixelFormat::Grey8 && in_order && is_cold(shape, &frames)? {
        troubles.push(Trouble::Channels);
    }
    Ok(troubles)
}

/// Mean difference of green between neighbours in a row, with the upper byte first and with the lower one first.
fn roughness(frame: &[u8], width: usize) -> [f64; 2] {
    let green = |[high, low]: [u8; 2]| f64::from(u16::from_be_bytes([high, low]) >> 5 & 0x3F);
    let (mut sums, mut count) = ([0.0; 2], 0_usize);
    for row in frame.chunks_exact(2 * width) {
        for pair in row.as_chunks::<2>().0.windows(2) {
            let [[a, b], [c, d]] = [pair[0], pair[1]];
            sums[0] += (green([a, b]) - green([c, d])).abs();
            sums[1] += (green([b, a]) - green([d, c])).abs();
            count += 1;
        }
    }
    sums.map(|sum| sum / count.max(1) as f64)
}

/// Mean difference of bytes at even and at odd places from those of the next pair of pixels in a row.
fn activity(frame: &[u8], width: usize) -> [f64; 2] {
    let (mut sums, mut count) = ([0.0; 2], 0_usize);
    for row in frame.chunks_exact(2 * width) {
        for pairs in row.as_chunks::<4>().0.windows(2) {
            for place in 0..4 {
                sums[place % 2] += f64::from(pairs[0][place].abs_diff(pairs[1][place]));
            }
            count += 2;
        }
    }
    sums.map(|sum| sum / count.max(1) as f64)
}

/// Whether blue exceeds red as it does in few scenes.
fn is_cold(shape: &Shape, frames: &[&[u8]]) -> Result<bool> {
    let (mut excess, mut all) = (0_i64, 0_i64);
    for frame in frames {
        for pixel in picture(shape, frame)?.pixels() {
            let [red, _, blue] = pixel.0.map(i64::from);
            excess += red - blue;
            all += (red - blue).abs();
        }
    }
    // Pictures without colours say nothing.
    let pixels = frames.len() as i64 * i64::from(shape.width) * i64::from(shape.height);
    Ok(all > 4 * pixels && (excess as f64) < COLD * all as f64)
}

#[cfg(test)]
mod tests {
    use image::RgbImage;
    use image::imageops::{FilterType, resize};
    use model_training::data::dataset::{image_files, rgb565};
    use model_training::data::faces::draw;
    use no_std_infer::image::PixelFormat::{Rgb565Be, Rgb565Le, Rgb888, Uyvy422, Yuv422};

    use super::*;

    const SIDE: u16 = 96;

    fn shape(format: PixelFormat) -> Shape {
        Shape { format, width: SIDE, height: SIDE }
    }

    /// A picture as a camera of this format would deliver it.
    fn bytes(picture: &RgbImage, format: PixelFormat) -> Vec<u8> {
        let pixels: Vec<[u8; 3]> = picture.pixels().map(|pixel| pixel.0).collect();
        match format {
            Rgb565Be => rgb565(picture).as_chunks().0.iter().flat_map(|&[low, high]| [high, low]).collect(),
            Rgb565Le => rgb565(picture),
            Yuv422 | Uyvy422 => pixels
                .as_chunks::<2>()
                .0
                .iter()
                .flat_map(|&[left, right]| {
                    let [l, r] = [left, right].map(yuv);
                    let [u, v] = [1, 2].map(|of| (l[of] + r[of]) / 2.0);
                    let order = if format == Yuv422 { [l[0], u, r[0], v] } else { [u, l[0], v, r[0]] };
                    order.map(|value| value.round().clamp(0.0, 255.0) as u8)
                })
                .collect(),
            _ => pixels.concat(),
        }
    }

    fn yuv([r, g, b]: [u8; 3]) -> [f64; 3] {
        let [r, g, b] = [r, g, b].map(f64::from);
        let y = 0.299 * r + 0.587 * g + 0.114 * b;
        [y, 128.0 + 0.564 * (b - y), 128.0 + 0.713 * (r - y)]
    }

    fn swapped(picture: &RgbImage) -> RgbImage {
        let mut picture = picture.clone();
        picture.pixels_mut().for_each(|pixel| pixel.0.reverse());
        picture
    }

    /// Scenes of [`FRAMES`] pictures each.
    fn scenes(pictures: &[RgbImage]) -> Vec<&[RgbImage]> {
        pictures.chunks_exact(FRAMES).collect()
    }

    /// Of how many scenes a format's frames, read as another format, are said to have this trouble.
    fn found(scenes: &[&[RgbImage]], (sent, said): (PixelFormat, PixelFormat), trouble: Trouble) -> usize {
        let found = scenes.iter().filter(|scene| {
            let frames: Vec<Vec<u8>> = scene.iter().map(|picture| bytes(picture, sent)).collect();
            diagnose(&shape(said), &frames).unwrap().contains(&trouble)
        });
        found.count()
    }

    /// What is found of so many scenes: byte order, order of brightness and colour, channels; and what is found wrongly.
    fn judged(pictures: &[RgbImage]) -> [[usize; 2]; 3] {
        let cold: Vec<RgbImage> = pictures.iter().map(swapped).collect();
        let (right, cold) = (scenes(pictures), scenes(&cold));
        let both = |a, b, trouble| {
            [[(a, b), (b, a)], [(a, a), (b, b)]]
                .map(|cases| cases.into_iter().map(|case| found(&right, case, trouble)).sum())
        };
        [
            both(Rgb565Be, Rgb565Le, Trouble::ByteOrder),
            both(Yuv422, Uyvy422, Trouble::YuvOrder),
            [&cold, &right].map(|scenes| found(scenes, (Rgb888, Rgb888), Trouble::Channels)),
        ]
    }

    #[test]
    fn black_and_frozen_frames_are_named_and_a_dark_room_is_not() {
        let face = draw(3, 1, SIDE.into());
        let frame = bytes(&face, Rgb565Le);
        let frozen = vec![frame.clone(); FRAMES];
        assert!(diagnose(&shape(Rgb565Le), &frozen).unwrap().contains(&Trouble::Frozen));
        assert!(!diagnose(&shape(Rgb565Le), &frozen[1..]).unwrap().contains(&Trouble::Frozen));
        let black = vec![vec![0; frame.len()]; FRAMES];
        assert_eq!(diagnose(&shape(Rgb565Le), &black).unwrap(), [Trouble::Black]);
        let mut dark = face;
        dark.pixels_mut().for_each(|pixel| pixel.0 = pixel.0.map(|value| value / 6));
        assert!(!diagnose(&shape(Rgb888), &[bytes(&dark, Rgb888)]).unwrap().contains(&Trouble::Black));
        assert_eq!(diagnose(&shape(Rgb888), &[] as &[Vec<u8>]).unwrap(), []);
        assert!(diagnose(&shape(Rgb888), &[vec![0; 7]]).is_err());
    }

    /// 40 scenes of the drawn faces, each in two formats.
    #[test]
    fn swapped_bytes_of_drawings_are_found() {
        let drawings: Vec<RgbImage> = (0..200).map(|seed| draw(seed, (seed % 4) as usize, SIDE.into())).collect();
        let [bytes, yuv, _] = judged(&drawings);
        println!("of 80 scenes: byte order {bytes:?}, order of brightness and colour {yuv:?}");
        assert!(bytes[0] >= 78 && bytes[1] == 0, "{bytes:?}");
        assert!(yuv[0] >= 70 && yuv[1] <= 2, "{yuv:?}");
    }

    /// As many scenes in the light of a lamp, which is warm as most photographs are: drawings themselves are of any colour.
    #[test]
    fn swapped_channels_of_drawings_in_warm_light_are_found() {
        let light = [255_u16, 205, 180];
        let warm = |seed: u64| {
            let mut picture = draw(seed, (seed % 4) as usize, SIDE.into());
            for pixel in picture.pixels_mut() {
                pixel
                    .0
                    .iter_mut()
                    .zip(light)
                    .for_each(|(value, light)| *value = (u16::from(*value) * light / 255) as u8);
            }
            picture
        };
        let warm: Vec<RgbImage> = (0..200).map(warm).collect();
        let cold: Vec<RgbImage> = warm.iter().map(swapped).collect();
        let [found, wrongly] =
            [&cold, &warm].map(|drawings| found(&scenes(drawings), (Rgb888, Rgb888), Trouble::Channels));
        println!("of 40 scenes: channels [{found}, {wrongly}]");
        assert!(
            found == 40 && wrongly == 0,
            "{found} of 40 are found, and {wrongly} of 40 in order are taken for swapped"
        );
    }

    /// The same for a folder of photographs, which `PHOTOGRAPHS` names.
    #[test]
    #[ignore = "needs a folder of photographs"]
    fn swapped_bytes_of_photographs_are_found() {
        let folder = std::env::var("PHOTOGRAPHS").unwrap();
        let files = image_files(std::path::Path::new(&folder)).unwrap();
        let read = |file| {
            resize(
                &model_training::data::dataset::picture(file).unwrap(),
                SIDE.into(),
                SIDE.into(),
                FilterType::Triangle,
            )
        };
        let pictures: Vec<RgbImage> = files.iter().map(|file| read(file)).collect();
        let scenes = scenes(&pictures).len();
        let [bytes, yuv, channels] = judged(&pictures);
        println!("of {} scenes: byte order {bytes:?}, order of brightness and colour {yuv:?}", 2 * scenes);
        println!("of {scenes} scenes: channels {channels:?}");
        assert!(bytes[0] * 100 >= 2 * scenes * 98 && bytes[1] * 100 <= 2 * scenes, "{bytes:?} of {}", 2 * scenes);
        assert!(yuv[0] * 100 >= 2 * scenes * 95 && yuv[1] * 100 <= 2 * scenes, "{yuv:?} of {}", 2 * scenes);
        assert!(channels[0] * 2 >= scenes && channels[1] * 20 <= scenes, "{channels:?} of {scenes}");
    }
}
