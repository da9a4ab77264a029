//! Random changes to training images: one warp for the geometry, one pass for the colours.
//!
//! Geometry, from the result back to the source: a point of the result is turned about the centre, mirrored, and placed
//! into the crop; there the source is sampled bilinearly, reflected about its edges where the point lies outside.
//! Colours, in this order and without clipping in between: brightness, contrast around the image's mean, saturation,
//! hue. All four act around the grey axis, the mean of red, green and blue, so they are one affine map of a pixel; the
//! result is rounded and clipped once. Grey images have brightness and contrast only. Then a rectangle may become
//! noise, and at last a camera may take a picture of all that.
//!
//! The warp is ours because that of `imageproc` has no reflection and rounds down three times on the way to a pixel,
//! which darkens the image; `image` has no saturation.

mod camera;
mod mixup;
mod warp;

use model_compiler::graph::Shape;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::config::AugmentConfig;
pub use camera::Camera;
pub use mixup::{Mix, mix};
use warp::Affine;

/// Smallest and largest aspect ratio of what is erased.
const ERASE_ASPECT: [f32; 2] = [0.3, 1.0 / 0.3];

/// What the random numbers of one image depend on; the thread that asks is no part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Seed of the run.
    pub seed: u64,
    /// Pass over the training images.
    pub epoch: u64,
    /// Which training image.
    pub index: u64,
}

impl Key {
    /// Numbers for one purpose, whatever is drawn for others.
    fn rng(self, purpose: &[u8; 8]) -> ChaCha8Rng {
        let mut seed = [0; 32];
        seed[24..].copy_from_slice(purpose);
        for (part, value) in seed.chunks_exact_mut(8).zip([self.seed, self.epoch, self.index]) {
            part.copy_from_slice(&value.to_le_bytes());
        }
        ChaCha8Rng::from_seed(seed)
    }
}

/// A randomly changed copy, of `shape`, of an image of shape `from` and as many channels, 1 or 3, HWC.
///
/// The same key gives the same bytes. Every random number is drawn whatever the configuration, so that switching one
/// change off leaves the others as they are.
///
/// # Panics
/// When `pixels` is not as long as `from` says.
#[must_use]
pub fn augment(pixels: &[u8], from: Shape, shape: Shape, config: &AugmentConfig, key: Key) -> Vec<u8> {
    assert_eq!(pixels.len(), from.len(), "an image of {from:?}");
    let mut rng = key.rng(b"augment.");
    let draw = Draw::new(config, &mut rng);
    let warp = draw.warp(from, shape);
    let still = from == shape && warp == Affine::IDENTITY;
    let mut out = if still { pixels.to_vec() } else { warp.apply(pixels, from, shape) };
    if draw.changes_colors() {
        draw.jitter(&mut out, shape.channels);
    }
    if let Some(hole) = draw.hole {
        hole.fill(&mut out, shape, &mut rng);
    }
    Camera::new(&config.camera, &mut key.rng(b"camera..")).take(out, shape, key)
}

/// A part of an image.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rectangle {
    /// Width and height, shares of the image's.
    size: [f32; 2],
    /// Left and upper edge, shares of the image's width and height.
    corner: [f32; 2],
}

impl Rectangle {
    /// A share of the area and an aspect ratio, the ratio even in its logarithm, somewhere in the image.
    fn new(area: [f32; 2], aspect: [f32; 2], mut unit: impl FnMut() -> f32) -> Self {
        let between = |[low, high]: [f32; 2], at: f32| low + (high - low) * at;
        let area = between(area, unit());
        let aspect = between(aspect.map(f32::ln), unit()).exp();
        let size = [(area * aspect).sqrt().min(1.0), (area / aspect).sqrt().min(1.0)];
        Self { size, corner: size.map(|side| (1.0 - side) * unit()) }
    }

    /// Replaces every pixel whose centre is inside by noise.
    fn fill(&self, pixels: &mut [u8], shape: Shape, rng: &mut ChaCha8Rng) {
        let inside = |axis: usize, at: usize, count: usize| {
            let centre = (at as f32 + 0.5) / count as f32;
            (self.corner[axis]..self.corner[axis] + self.size[axis]).contains(&centre)
        };
        for (index, pixel) in pixels.chunks_exact_mut(shape.channels).enumerate() {
            if inside(0, index % shape.width, shape.width) && inside(1, index / shape.width, shape.height) {
                pixel.fill_with(|| rng.random());
            }
        }
    }
}

/// What happens to one image.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Draw {
    crop: Rectangle,
    flip: bool,
    /// Radians.
    rotation: f32,
    brightness: f32,
    contrast: f32,
    saturation: f32,
    /// Radians.
    hue: f32,
    /// What becomes noise.
    hole: Option<Rectangle>,
}

impl Draw {
    fn new(config: &AugmentConfig, rng: &mut ChaCha8Rng) -> Self {
        let mut unit = || rng.random::<f32>();
        let around = |amount: f32, at: f32| amount * (2.0 * at - 1.0);
        Self {
            crop: Rectangle::new(config.crop_area, config.crop_aspect, &mut unit),
            flip: unit() < config.horizontal_flip,
            rotation: around(config.rotation.to_radians(), unit()),
            brightness: 1.0 + around(config.brightness, unit()),
            contrast: 1.0 + around(config.contrast, unit()),
            saturation: 1.0 + around(config.saturation, unit()),
            hue: around(config.hue.to_radians(), unit()),
            hole: {
                let erased = unit() < config.erase;
                let hole = Rectangle::new(config.erase_area, ERASE_ASPECT, &mut unit);
                erased.then_some(hole)
            },
        }
    }

    /// The map from a pixel of the result to a point of the source, both counted from the centre of the first pixel.
    fn warp(&self, from: Shape, shape: Shape) -> Affine {
        let (width, height) = (from.width as f32, from.height as f32);
        let (sin, cos) = self.rotation.sin_cos();
        let mirror = if self.flip { -1.0 } else { 1.0 };
        let Rectangle { size: [across, down], corner } = self.crop;
        let (x_scale, y_scale) = (across * width / shape.width as f32, down * height / shape.height as f32);
        let matrix = [[x_scale * mirror * cos, x_scale * mirror * sin], [-y_scale * sin, y_scale * cos]];
        let (x, y) = ((shape.width as f32 - 1.0) / 2.0, (shape.height as f32 - 1.0) / 2.0);
        let centre = [(corner[0] + across / 2.0) * width - 0.5, (corner[1] + down / 2.0) * height - 0.5];
        let origin = [0, 1].map(|row: usize| centre[row] - matrix[row][0] * x - matrix[row][1] * y);
        Affine { matrix, origin }
    }

    fn changes_colors(&self) -> bool {
        (self.brightness, self.contrast, self.saturation, self.hue) != (1.0, 1.0, 1.0, 0.0)
    }

    fn jitter(&self, pixels: &mut [u8], channels: usize) {
        let sum: u64 = pixels.iter().map(|&value| u64::from(value)).sum();
        let mean = sum as f32 / pixels.len().max(1) as f32 * self.brightness;
        let gain = self.brightness * self.contrast;
        let offset = mean * (1.0 - self.contrast);
        let byte = |value: f32| (value + 0.5) as u8;
        if channels != 3 {
            pixels.iter_mut().for_each(|value| *value = byte(gain * f32::from(*value) + offset));
            return;
        }
        // Saturation and hue act on the part of a colour that is perpendicular to the grey axis: a scaled rotation
        // about (1, 1, 1), so that a hue of 120 degrees turns red into green.
        let (sin, cos) = self.hue.sin_cos();
        let (along, across) = (self.saturation * cos, self.saturation * sin / 3_f32.sqrt());
        let (own, next, last) = (
            (1.0 + 2.0 * along) / 3.0 * gain,
            ((1.0 - along) / 3.0 - across) * gain,
            ((1.0 - along) / 3.0 + across) * gain,
        );
        for pixel in pixels.chunks_exact_mut(3) {
            let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(f32::from);
            pixel[0] = byte(own * r + next * g + last * b + offset);
            pixel[1] = byte(last * r + own * g + next * b + offset);
            pixel[2] = byte(next * r + last * g + own * b + offset);
        }
    }
}

#[cfg(test)]
mod tests;
