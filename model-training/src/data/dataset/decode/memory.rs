//! Memory that the largest pictures take, measured in a process of its own for each.

use std::path::Path;
use std::process::Command;

use image::codecs::jpeg::JpegEncoder;
use image::{ColorType, ImageEncoder, Rgb, RgbImage};

use super::*;

/// Most bytes that a process may have resident while it decodes.
const MOST: u64 = 600_000_000;
/// Names the file for the process of the test that decodes it.
const FILE: &str = "PICTURE_TO_DECODE";

/// Where this process is not asked for that, nothing is decoded.
#[test]
fn decodes_what_it_is_told() {
    let Some(path) = std::env::var_os(FILE) else { return };
    let input = InputConfig { width: 32, height: 32, ..InputConfig::default() };
    let outcome = read(Path::new(&path), &[&input], View::Rgb565);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")).unwrap();
    println!("peak {peak} {}", outcome.map_or_else(|error| format!("{error:#}"), |_| "decoded".to_owned()));
}

/// Peak in bytes of a process that decodes a file, and what came of it.
fn peak(path: &Path) -> (u64, String) {
    let name = concat!(module_path!(), "::decodes_what_it_is_told");
    let name = name.split_once("::").unwrap().1;
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(FILE, path)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let (_, said) = text.split_once("peak ").unwrap_or_else(|| panic!("{text}"));
    let (peak, said) = said.split_once(' ').unwrap();
    (1024 * peak.parse::<u64>().unwrap(), said.lines().next().unwrap().to_owned())
}

/// A progressive JPEG file of four components, of which all blocks are grey: the decoder keeps every coefficient.
fn progressive([width, height]: [u16; 2]) -> Vec<u8> {
    let mut bytes = b"\xFF\xD8\xFF\xDB\0\x43\0".to_vec();
    bytes.extend([1; 64]);
    bytes.extend(b"\xFF\xC2\0\x14\x08");
    bytes.extend(height.to_be_bytes());
    bytes.extend(width.to_be_bytes());
    bytes.extend(b"\x04\x01\x11\0\x02\x11\0\x03\x11\0\x04\x11\0");
    // One code, the bit 0: no difference.
    bytes.extend([0xFF, 0xC4, 0, 20, 0, 1]);
    bytes.extend([0; 16]);
    bytes.extend(b"\xFF\xDA\0\x0E\x04\x01\0\x02\0\x03\0\x04\0\0\0\0");
    let blocks = usize::from(width).div_ceil(8) * usize::from(height).div_ceil(8) * 4;
    bytes.resize(bytes.len() + blocks.div_ceil(8), 0);
    bytes.extend(b"\xFF\xD9");
    bytes
}

fn turned_jpeg([width, height]: [u32; 2]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new(&mut bytes);
    encoder.set_exif_metadata(b"MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec()).unwrap();
    encoder.encode_image(&RgbImage::from_pixel(width, height, Rgb([9, 90, 200]))).unwrap();
    bytes
}

/// A file of alike pixels in a lossless format.
fn lossless(format: ImageFormat, [width, height]: [u32; 2], color: ColorType) -> Vec<u8> {
    let pixels = vec![0x5A; (width * height) as usize * usize::from(color.bytes_per_pixel())];
    let mut bytes = Cursor::new(Vec::new());
    image::write_buffer_with_format(&mut bytes, &pixels, width, height, color, format).unwrap();
    bytes.into_inner()
}

/// Makes a file's bytes: one at a time is in memory.
type Make = fn() -> Vec<u8>;

#[test]
fn the_largest_pictures_of_every_format_take_bounded_memory() {
    let dir = tempfile::tempdir().unwrap();
    // Little less than what is refused.
    let cases: [(&str, Make); 6] = [
        ("8 bits.png", || lossless(ImageFormat::Png, [8900, 9000], ColorType::Rgb8)),
        ("16 bits and transparency.png", || lossless(ImageFormat::Png, [5700, 5800], ColorType::Rgba16)),
        ("plain.bmp", || lossless(ImageFormat::Bmp, [6680, 6690], ColorType::Rgb8)),
        ("transparency.webp", || lossless(ImageFormat::WebP, [5700, 5800], ColorType::Rgba8)),
        ("turned.jpg", || turned_jpeg([8100, 8200])),
        ("progressive.jpg", || progressive([6000, 6000])),
    ];
    for (name, make) in cases {
        let path = dir.path().join(name);
        std::fs::write(&path, make()).unwrap();
        let (peak, said) = peak(&path);
        println!("{name}: {} MB", peak / 1_000_000);
        assert_eq!(said, "decoded", "{name}");
        assert!(peak < MOST, "{name}: {peak} bytes");
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn larger_pictures_are_refused_by_what_they_take() {
    for (bytes, size) in [(progressive([6100, 6100]), "6100 x 6100"), (progressive([65_500, 65_500]), "65500 x 65500")]
    {
        let error = decode(&bytes, View::Rgb888, drop).unwrap_err().to_string();
        assert!(error.contains(size) && error.contains("reduce it to 384 MiB"), "{error}");
    }
}
