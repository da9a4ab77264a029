//! From a file to the network's input.

use std::io::Cursor;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};
use no_std_infer::image::{Frame, PixelFormat, preprocess};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::jpeg;
use crate::config::InputConfig;
use crate::system::read;
use crate::system::room::Room;

/// Transparent parts of an image show this colour.
const BACKGROUND: u8 = 255;
/// For the files that are being decoded: no one may be larger.
static FILES: Room = Room::new(128 << 20);
/// For decoding them, so that few large pictures or many small ones are decoded at once: 134 megapixels of an upright baseline
/// JPEG or PNG file of 8 bits, a third of that of a progressive one.
static PICTURES: Room = Room::new(384 << 20);

/// What a picture passes through before it is reduced to the network's input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum View {
    /// Nothing: 8 bits a channel.
    #[default]
    Rgb888,
    /// The 5, 6 and 5 bits a channel that most cameras send.
    Rgb565,
}

/// The picture in one file, upright, as red, green and blue.
///
/// # Errors
/// When the file cannot be decoded; the message goes on after the file's name.
pub fn picture(path: &Path) -> Result<RgbImage> {
    with_bytes(path, |bytes| decode(bytes, View::Rgb888, |picture| picture))
}

/// Hands over what a regular file holds, as many bytes as it has when it is opened, while there is room for them.
fn with_bytes<T>(path: &Path, then: impl FnOnce(&[u8]) -> Result<T>) -> Result<T> {
    let file = read::open(path).context("cannot be read")?;
    let len = file.metadata().context("cannot be read")?.len();
    let _room = FILES.take(len).with_context(|| format!("is larger than {} MiB", FILES.most() >> 20))?;
    then(&read::bounded(file, len, len).context("cannot be read")?)
}

/// The network's input for one file at each of some sizes, `pixel − 128`, and the SHA-256 of the file's bytes. The file is
/// decoded once, and not at all where no size is asked for.
pub(super) fn read(path: &Path, sizes: &[&InputConfig], view: View) -> Result<(Vec<Vec<i8>>, [u8; 32])> {
    with_bytes(path, |bytes| {
        let reduced = if sizes.is_empty() {
            Vec::new()
        } else {
            tracing::trace!("decoding {}", path.display());
            #[cfg(test)]
            counted::count(path);
            let reduce = |picture| sizes.iter().map(|size| reduce(&picture, size, view)).collect::<Result<_>>();
            decode(bytes, view, reduce)??
        };
        Ok((reduced, Sha256::digest(bytes).into()))
    })
}

/// How often each file was decoded, for tests.
#[cfg(test)]
pub(crate) mod counted {
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};
    use std::sync::Mutex;

    static DECODED: Mutex<BTreeMap<PathBuf, usize>> = Mutex::new(BTreeMap::new());

    pub(super) fn count(path: &Path) {
        *DECODED.lock().unwrap().entry(path.to_owned()).or_default() += 1;
    }

    /// The files below a folder that were decoded, with how often.
    pub(crate) fn below(folder: &Path) -> BTreeMap<PathBuf, usize> {
        let decoded = DECODED.lock().unwrap();
        decoded.iter().filter(|(path, _)| path.starts_with(folder)).map(|(path, &n)| (path.clone(), n)).collect()
    }
}

/// Decodes by content, whatever the file is called, upright by its EXIF orientation, to 8 bits of red, green and blue;
/// transparency is put on white, colour profiles are ignored. The picture is reduced by `then`, from which `view` it says,
/// before its memory counts as free.
fn decode<T>(bytes: &[u8], view: View, then: impl FnOnce(RgbImage) -> T) -> Result<T> {
    ensure!(!bytes.is_empty(), "is empty");
    let format = image::guess_format(bytes).ok().context("is not an image that can be read")?;
    match format {
        ImageFormat::Jpeg => jpeg::check(bytes)?,
        ImageFormat::Png | ImageFormat::Bmp | ImageFormat::WebP => {}
        other => bail!("is a {other:?} image: convert it to JPEG, PNG, BMP or WebP"),
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(PICTURES.most());
    reader.limits(limits);
    let mut decoder = reader.into_decoder().context("cannot be decoded")?;
    let orientation = decoder.orientation().context("cannot be decoded")?;
    let needed = memory(bytes, format, &decoder, orientation, view);
    let _room = PICTURES.take(needed).with_context(|| {
        let ((width, height), most) = (decoder.dimensions(), PICTURES.most() >> 20);
        format!("has {width} x {height} pixels, {} MiB while it is decoded: reduce it to {most} MiB", needed >> 20)
    })?;
    let picture = DynamicImage::from_decoder(decoder).context("cannot be decoded")?;
    let mut picture = DynamicImage::ImageRgb8(to_rgb8(picture));
    picture.apply_orientation(orientation);
    Ok(then(picture.into_rgb8()))
}

/// Most bytes that [`decode`] has in use at once besides the file.
fn memory(bytes: &[u8], format: ImageFormat, decoder: &impl ImageDecoder, orientation: Orientation, view: View) -> u64 {
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    let (decoded, color) = (decoder.total_bytes(), decoder.color_type());
    let own = match format {
        // A copy of the file, and 16 bits a coefficient of up to four components where they come in several scans.
        ImageFormat::Jpeg => bytes.len() as u64 + if jpeg::is_progressive(bytes) { 8 * pixels } else { 0 },
        // The frame as it is coded, its transparency, and the canvas of an animation.
        ImageFormat::WebP => bytes.len() as u64 + 8 * pixels,
        _ => 0,
    };
    let converted = match color {
        image::ColorType::Rgb8 => 0,
        color if color.has_alpha() => 4 * pixels,
        _ => 3 * pixels,
    };
    let turned = match orientation {
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH => 6,
        _ => 3,
    };
    let reduced = if view == View::Rgb565 { 5 } else { 3 };
    let steps = [decoded.saturating_add(own), decoded.saturating_add(converted), turned * pixels, reduced * pixels];
    let whitened = if color.has_alpha() { 7 * pixels } else { 0 };
    steps.into_iter().fold(whitened, u64::max)
}

fn to_rgb8(picture: DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.into_rgb8();
    }
    let picture = picture.into_rgba8();
    let (width, height) = picture.dimensions();
    let over = |color: u8, alpha: u8| {
        let (color, alpha) = (u32::from(color), u32::from(alpha));
        ((color * alpha + u32::from(BACKGROUND) * (255 - alpha) + 127) / 255) as u8
    };
    let rgb = picture.pixels().flat_map(|&image::Rgba([r, g, b, a])| [over(r, a), over(g, a), over(b, a)]).collect();
    RgbImage::from_raw(width, height, rgb).expect("three bytes a pixel")
}

fn reduce(picture: &RgbImage, input: &InputConfig, view: View) -> Result<Vec<i8>> {
    let (format, packed) = match view {
        View::Rgb888 => (PixelFormat::Rgb888, None),
        View::Rgb565 => (PixelFormat::Rgb565Le, Some(rgb565(picture))),
    };
    let bytes = packed.as_deref().unwrap_or(picture.as_raw());
    let (width, height) = picture.dimensions();
    let frame = Frame::new(format, width, height, bytes)
        .map_err(|error| anyhow::anyhow!("{width} x {height} pixels are not possible: {error}"))?;
    let mut output = vec![0; usize::from(input.width) * usize::from(input.height) * input.color.channels()];
    preprocess(&frame, input.fit, &mut output, input.width, input.height, input.color)
        .map_err(|error| anyhow::anyhow!("cannot be reduced to {} x {}: {error}", input.width, input.height))?;
    Ok(output)
}

/// The upper 5, 6 and 5 bits of each pixel, the low byte first.
#[must_use]
pub fn rgb565(picture: &RgbImage) -> Vec<u8> {
    let pack = |&image::Rgb([r, g, b]): &image::Rgb<u8>| {
        (u16::from(r >> 3) << 11 | u16::from(g >> 2) << 5 | u16::from(b >> 3)).to_le_bytes()
    };
    picture.pixels().flat_map(pack).collect()
}

#[cfg(all(test, target_os = "linux"))]
mod memory;

#[cfg(test)]
mod tests {
    use image::codecs::jpeg::JpegEncoder;
    use image::{GrayAlphaImage, ImageBuffer, ImageEncoder, Luma, LumaA, Rgb, Rgba, RgbaImage};
    use no_std_infer::format::{Color, Fit};
    use proptest::prelude::*;

    use super::*;

    fn decoded(bytes: &[u8]) -> Result<RgbImage> {
        decode(bytes, View::Rgb888, |picture| picture)
    }

    fn encoded(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.into().write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    /// Smooth, so that JPEG changes it little; no two corners alike.
    fn gradient(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| Rgb([(x * 255 / width) as u8, (y * 255 / height) as u8, 60]))
    }

    fn input(width: u16, height: u16, color: Color) -> InputConfig {
        InputConfig { width, height, color, fit: Fit::Stretch }
    }

    #[test]
    fn lossless_formats_come_back_byte_for_byte() {
        let picture = gradient(13, 7);
        for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::WebP] {
            assert_eq!(decoded(&encoded(picture.clone(), format)).unwrap(), picture, "{format:?}");
        }
    }

    #[test]
    fn truncated_files_of_every_format_are_refused() {
        let picture = RgbImage::from_fn(64, 48, |x, y| Rgb([(x * y) as u8, (x * 37 + y * 91) as u8, (x ^ y) as u8]));
        for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::WebP, ImageFormat::Jpeg] {
            let bytes = encoded(picture.clone(), format);
            assert!(decoded(&bytes).is_ok(), "{format:?}");
            for length in [bytes.len() / 4, bytes.len() / 2, bytes.len() * 9 / 10] {
                assert!(decoded(&bytes[..length]).is_err(), "{format:?}, {length} bytes of {}", bytes.len());
            }
        }
    }

    #[test]
    fn sixteen_bits_and_grey_become_eight_bits_of_rgb() {
        let deep = ImageBuffer::from_pixel(3, 2, Rgb([0xFFFF_u16, 0x8080, 0]));
        assert_eq!(decoded(&encoded(deep, ImageFormat::Png)).unwrap(), RgbImage::from_pixel(3, 2, Rgb([255, 128, 0])));
        let grey = ImageBuffer::from_pixel(3, 2, Luma([0x4040_u16]));
        assert_eq!(decoded(&encoded(grey, ImageFormat::Png)).unwrap(), RgbImage::from_pixel(3, 2, Rgb([64; 3])));
    }

    #[test]
    fn transparency_shows_white() {
        let clear = RgbaImage::from_fn(2, 1, |x, _| Rgba([200, 100, 0, if x == 0 { 0 } else { 51 }]));
        for format in [ImageFormat::Png, ImageFormat::WebP] {
            let rgb = decoded(&encoded(clear.clone(), format)).unwrap();
            assert_eq!((rgb[(0, 0)], rgb[(1, 0)]), (Rgb([255; 3]), Rgb([244, 224, 204])), "{format:?}");
        }
        let grey = GrayAlphaImage::from_pixel(1, 1, LumaA([10, 255]));
        assert_eq!(decoded(&encoded(grey, ImageFormat::Png)).unwrap()[(0, 0)], Rgb([10; 3]));
    }

    #[test]
    fn exif_orientation_turns_the_picture_upright() {
        let picture = gradient(32, 16);
        let mut bytes = Vec::new();
        let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 100);
        // Big-endian TIFF header, one entry: tag 0x0112 (orientation), type SHORT, 1 value, 6 (turn clockwise).
        encoder
            .set_exif_metadata(b"MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec())
            .unwrap();
        encoder.encode_image(&picture).unwrap();
        let upright = decoded(&bytes).unwrap();
        assert_eq!(upright.dimensions(), (16, 32));
        let expected = image::imageops::rotate90(&picture);
        let worst = upright.iter().zip(expected.iter()).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(worst < 12, "worst difference {worst}");
    }

    /// A baseline JPEG of one 8 x 8 block in four components with no coded detail: each component is 128 + 8 · its level.
    fn cmyk_jpeg(adobe: bool) -> Vec<u8> {
        let mut bytes = vec![0xFF, 0xD8];
        if adobe {
            bytes.extend(b"\xFF\xEE\0\x0EAdobe\0\x64\0\0\0\0\0");
        }
        bytes.extend(b"\xFF\xDB\0\x43\0");
        bytes.extend([1; 64]);
        bytes.extend(b"\xFF\xC0\0\x14\x08\0\x08\0\x08\x04\x01\x11\0\x02\x11\0\x03\x11\0\x04\x11\0");
        // One DC code and one AC code, both the bit 0: no difference, end of block.
        for table in [0x00, 0x10] {
            bytes.extend([0xFF, 0xC4, 0, 20, table, 1]);
            bytes.extend([0; 15]);
            bytes.push(0);
        }
        bytes.extend(b"\xFF\xDA\0\x0E\x04\x01\0\x02\0\x03\0\x04\0\0\x3F\0");
        bytes.extend([0, 0xFF, 0xD9]);
        bytes
    }

    #[test]
    fn cmyk_jpegs_become_rgb() {
        for adobe in [true, false] {
            let rgb = decoded(&cmyk_jpeg(adobe)).unwrap();
            // All four inks at half: half of half the light.
            assert_eq!(rgb, RgbImage::from_pixel(8, 8, Rgb([64; 3])), "Adobe marker: {adobe}");
        }
    }

    #[test]
    fn other_files_are_refused_with_the_reason() {
        let cases: [(&[u8], &str); 3] =
            [(b"", "empty"), (b"these are words", "not an image"), (b"GIF89a and more of it", "Gif")];
        for (bytes, reason) in cases {
            let message = format!("{:#}", decoded(bytes).unwrap_err());
            assert!(message.contains(reason), "{message}");
        }
    }

    #[test]
    fn an_enormous_size_in_the_header_is_refused_before_memory_is_taken() {
        let mut bytes = Vec::new();
        image::codecs::bmp::BmpEncoder::new(&mut bytes)
            .write_image(&[0; 12], 2, 2, image::ExtendedColorType::Rgb8)
            .unwrap();
        bytes[18..22].copy_from_slice(&60_000_u32.to_le_bytes());
        bytes[22..26].copy_from_slice(&60_000_u32.to_le_bytes());
        assert!(decoded(&bytes).is_err());
    }

    #[test]
    fn a_single_pixel_and_a_large_picture_fill_the_input() {
        let one = RgbImage::from_pixel(1, 1, Rgb([255, 128, 0]));
        let bytes = encoded(one, ImageFormat::Png);
        let reduced = decode(&bytes, View::Rgb888, |picture| reduce(&picture, &input(3, 2, Color::Rgb), View::Rgb888))
            .unwrap()
            .unwrap();
        assert_eq!(reduced, [127, 0, -128].repeat(6));

        let large = ImageBuffer::from_pixel(5000, 4200, Luma([99_u8]));
        let bytes = encoded(large, ImageFormat::Png);
        let reduced = decode(&bytes, View::Rgb888, |picture| reduce(&picture, &input(4, 4, Color::Grey), View::Rgb888))
            .unwrap()
            .unwrap();
        assert_eq!(reduced, [-29; 16]);
    }

    #[test]
    fn rgb565_keeps_the_upper_bits() {
        let picture = gradient(40, 30);
        let shape = input(40, 30, Color::Rgb);
        let full = reduce(&picture, &shape, View::Rgb888).unwrap();
        let camera = reduce(&picture, &shape, View::Rgb565).unwrap();
        assert_ne!(full, camera);
        for (i, (full, camera)) in full.iter().zip(&camera).enumerate() {
            let bits = if i % 3 == 1 { 6 } else { 5 };
            let value = (*full as u8 ^ 0x80) >> (8 - bits) << (8 - bits);
            assert_eq!(*camera as u8 ^ 0x80, value | value >> bits);
        }
    }

    proptest! {
        #[test]
        fn damaged_files_are_decoded_or_refused_without_a_panic(
            format in prop::sample::select(vec![ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Bmp, ImageFormat::WebP]),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut bytes = encoded(gradient(19, 11), format);
            for (at, value) in damage {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            if let Ok(picture) = decoded(&bytes) {
                prop_assert!(picture.width() > 0 && picture.height() > 0);
            }
        }
    }
}
