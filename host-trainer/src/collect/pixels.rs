//! A camera's bytes as pictures, by the network's own preprocessing.

use std::io::Cursor;

use anyhow::{Context, Result};
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder, RgbImage};
use no_std_device::link::Shape;
use no_std_infer::format::{Color, Fit};
use no_std_infer::image::{Frame, PixelFormat, preprocess};

/// Sides of a [`Thumbnail`].
const SIDE: u16 = 16;

/// Whether a picture's red, green and blue lead back to the camera's bytes.
pub(super) fn is_invertible(format: PixelFormat) -> bool {
    match format {
        PixelFormat::Rgb888 | PixelFormat::Rgb565Be | PixelFormat::Rgb565Le | PixelFormat::Grey8 => true,
        PixelFormat::Yuv422 | PixelFormat::Uyvy422 => false,
    }
}

/// What the network would be given of a whole frame at this size.
fn resampled(shape: &Shape, bytes: &[u8], (width, height): (u16, u16), color: Color) -> Result<Vec<u8>> {
    let frame = Frame::new(shape.format, shape.width.into(), shape.height.into(), bytes)?;
    let mut pixels = vec![0; usize::from(width) * usize::from(height) * color.channels()];
    preprocess(&frame, Fit::Stretch, &mut pixels, width, height, color)?;
    Ok(pixels.into_iter().map(|value| value as u8 ^ 0x80).collect())
}

/// A frame in red, green and blue.
///
/// # Errors
/// When the bytes are not of this shape.
pub fn picture(shape: &Shape, bytes: &[u8]) -> Result<RgbImage> {
    let pixels = resampled(shape, bytes, (shape.width, shape.height), Color::Rgb)?;
    RgbImage::from_raw(shape.width.into(), shape.height.into(), pixels).context("a frame has pixels for its sides")
}

/// A frame as a PNG: in grey where the camera sees no colours.
///
/// # Errors
/// When the bytes are not of this shape.
pub fn png(shape: &Shape, bytes: &[u8]) -> Result<Vec<u8>> {
    let (color, kind) = match shape.format {
        PixelFormat::Grey8 => (Color::Grey, ExtendedColorType::L8),
        _ => (Color::Rgb, ExtendedColorType::Rgb8),
    };
    let pixels = resampled(shape, bytes, (shape.width, shape.height), color)?;
    let mut file = Cursor::new(Vec::new());
    PngEncoder::new(&mut file).write_image(&pixels, shape.width.into(), shape.height.into(), kind)?;
    Ok(file.into_inner())
}

/// A picture reduced to 16x16 pixels of grey, by which pictures are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumbnail(Vec<u8>);

impl Thumbnail {
    /// That of a frame.
    ///
    /// # Errors
    /// When the bytes are not of this shape.
    pub fn new(shape: &Shape, bytes: &[u8]) -> Result<Self> {
        Ok(Self(resampled(shape, bytes, (SIDE, SIDE), Color::Grey)?))
    }

    /// Its brightest pixel.
    pub(super) fn brightest(&self) -> u8 {
        self.0.iter().copied().max().unwrap_or_default()
    }

    /// The mean difference of two pictures' pixels: 0 where they are the same, 255 between black and white.
    #[must_use]
    pub fn distance(&self, other: &Self) -> f32 {
        let sum: u32 = self.0.iter().zip(&other.0).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
        sum as f32 / self.0.len() as f32
    }
}
