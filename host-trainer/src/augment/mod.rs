//! Random changes to training images: one warp for the geometry, one pass for the colours.
//!
//! Geometry, from the result back to the source: a point of the result is turned about the centre, mirrored, and placed
//! into the crop; there the source is sampled bilinearly, reflected about its edges where the point lies outside.
//! Colours, in this order and without clipping in between: brightness, contrast around the image's mean, saturation,
//! hue. All four act around the grey axis, the mean of red, green and blue, so they are one affine map of a pixel; the
//! result is rounded and clipped once. Grey images have brightness and contrast only. At last a rectangle may become
//! noise.
//!
//! The warp is ours because that of `imageproc` has no reflection and rounds down three times on the way to a pixel,
//! which darkens the image; `image` has no saturation.

mod mixup;
mod warp;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::config::AugmentConfig;
use crate::graph::Shape;
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

/// A randomly changed copy of an image of 1 or 3 channels, HWC.
///
/// The same key gives the same bytes. Every random number is drawn whatever the configuration, so that switching one
/// change off leaves the others as they are.
///
/// # Panics
/// When `pixels` is not as long as `shape` says.
#[must_use]
pub fn augment(pixels: &[u8], shape: Shape, config: &AugmentConfig, key: Key) -> Vec<u8> {
    assert_eq!(pixels.len(), shape.height * shape.width * shape.channels, "an image of {shape:?}");
    let mut rng = key.rng(b"augment.");
    let draw = Draw::new(config, &mut rng);
    let warp = draw.warp(shape);
    let mut out = if warp == Affine::IDENTITY { pixels.to_vec() } else { warp.apply(pixels, shape) };
    if draw.changes_colors() {
        draw.jitter(&mut out, shape.channels);
    }
    if let Some(hole) = draw.hole {
        hole.fill(&mut out, shape, &mut rng);
    }
    out
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
    fn warp(&self, shape: Shape) -> Affine {
        let (width, height) = (shape.width as f32, shape.height as f32);
        let (sin, cos) = self.rotation.sin_cos();
        let mirror = if self.flip { -1.0 } else { 1.0 };
        let Rectangle { size: [across, down], corner } = self.crop;
        let matrix = [[across * mirror * cos, across * mirror * sin], [-down * sin, down * cos]];
        let (x, y) = ((width - 1.0) / 2.0, (height - 1.0) / 2.0);
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RGB: Shape = Shape { height: 6, width: 9, channels: 3 };
    const GREY: Shape = Shape { channels: 1, ..RGB };

    fn key(index: u64) -> Key {
        Key { seed: 3, epoch: 5, index }
    }

    /// Noise between 60 and 180, so that moderate jitter clips nothing.
    fn noise(shape: Shape) -> Vec<u8> {
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        (0..shape.height * shape.width * shape.channels).map(|_| rng.random_range(60..=180)).collect()
    }

    fn still() -> Draw {
        drawn(&AugmentConfig::none(), 0)
    }

    fn drawn(config: &AugmentConfig, index: u64) -> Draw {
        Draw::new(config, &mut key(index).rng(b"augment."))
    }

    fn warped(draw: Draw, pixels: &[u8], shape: Shape) -> Vec<u8> {
        draw.warp(shape).apply(pixels, shape)
    }

    fn jittered(draw: Draw, pixels: &[u8], channels: usize) -> Vec<u8> {
        let mut out = pixels.to_vec();
        draw.jitter(&mut out, channels);
        out
    }

    fn mean(pixels: &[u8]) -> f64 {
        pixels.iter().map(|&value| f64::from(value)).sum::<f64>() / pixels.len() as f64
    }

    fn reversed(pixels: &[u8], channels: usize) -> Vec<u8> {
        pixels.chunks_exact(channels).rev().flatten().copied().collect()
    }

    #[test]
    fn without_changes_the_image_is_the_same() {
        for shape in [GREY, RGB] {
            let image = noise(shape);
            assert_eq!(augment(&image, shape, &AugmentConfig::none(), key(1)), image);
            assert_eq!(warped(still(), &image, shape), image);
            assert_eq!(jittered(still(), &image, shape.channels), image);
        }
    }

    #[test]
    fn a_flip_mirrors_each_row_and_undoes_itself() {
        let image = noise(RGB);
        let flip = Draw { flip: true, ..still() };
        let once = warped(flip, &image, RGB);
        let mirrored: Vec<u8> = image.chunks_exact(RGB.width * 3).flat_map(|row| reversed(row, 3)).collect();
        assert_eq!(once, mirrored);
        assert_eq!(warped(flip, &once, RGB), image);
    }

    #[test]
    fn half_a_turn_reverses_the_pixels_and_a_quarter_turns_a_square() {
        let image = noise(RGB);
        let half = Draw { rotation: std::f32::consts::PI, ..still() };
        assert_eq!(warped(half, &image, RGB), reversed(&image, 3));

        let side = 7;
        let shape = Shape { height: side, width: side, channels: 1 };
        let square = noise(shape);
        let quarter = Draw { rotation: std::f32::consts::FRAC_PI_2, ..still() };
        let turned = warped(quarter, &square, shape);
        let expected: Vec<u8> = (0..side * side).map(|i| square[(side - 1 - i % side) * side + i / side]).collect();
        assert_eq!(turned, expected);
    }

    #[test]
    fn a_small_turn_and_back_stays_near_a_smooth_image() {
        let (width, height) = (40, 30);
        let smooth: Vec<u8> = (0..width * height).map(|i| (60 + 2 * (i % width) + 2 * (i / width)) as u8).collect();
        let shape = Shape { height, width, channels: 1 };
        let turned = |rotation: f32, image: &[u8]| warped(Draw { rotation, ..still() }, image, shape);
        let back = turned(-0.2, &turned(0.2, &smooth));
        for y in 8..height - 8 {
            for x in 8..width - 8 {
                assert!(back[y * width + x].abs_diff(smooth[y * width + x]) <= 1);
            }
        }
    }

    #[test]
    fn a_crop_enlarges_its_part_of_the_image() {
        let image: Vec<u8> = (0..8 * 8).map(|i| if i % 8 < 4 { 10 } else { 200 }).collect();
        let right = Draw { crop: Rectangle { size: [0.5, 0.5], corner: [0.5, 0.25] }, ..still() };
        let out = warped(right, &image, Shape { height: 8, width: 8, channels: 1 });
        assert!(out.chunks_exact(8).all(|row| row[1..].iter().all(|&value| value == 200)));
    }

    #[test]
    fn brightness_scales_the_mean_and_contrast_keeps_it() {
        for channels in [1, 3] {
            let image = noise(Shape { height: 64, width: 64, channels });
            let bright = jittered(Draw { brightness: 1.25, ..still() }, &image, channels);
            assert!((mean(&bright) - 1.25 * mean(&image)).abs() < 0.2);
            let flat = jittered(Draw { contrast: 0.53, ..still() }, &image, channels);
            assert!((mean(&flat) - mean(&image)).abs() < 0.2);
            let spread = |pixels: &[u8]| f64::from(pixels.iter().max().unwrap() - pixels.iter().min().unwrap());
            assert!((spread(&flat) - 0.53 * spread(&image)).abs() <= 1.0);
        }
    }

    #[test]
    fn no_saturation_is_grey_and_a_third_of_a_turn_swaps_the_channels() {
        let image = noise(RGB);
        let grey = jittered(Draw { saturation: 0.0, ..still() }, &image, 3);
        for (grey, color) in grey.chunks_exact(3).zip(image.chunks_exact(3)) {
            assert!(grey.iter().all(|&value| value == grey[0]));
            assert!((f64::from(grey[0]) - mean(color)).abs() <= 0.5);
        }
        let turned = jittered(Draw { hue: 120_f32.to_radians(), ..still() }, &image, 3);
        let swapped: Vec<u8> = image.chunks_exact(3).flat_map(|pixel| [pixel[2], pixel[0], pixel[1]]).collect();
        assert_eq!(turned, swapped);
    }

    #[test]
    fn grey_images_have_no_saturation_and_no_hue() {
        let image = noise(GREY);
        assert_eq!(jittered(Draw { saturation: 0.2, hue: 2.0, ..still() }, &image, 1), image);
        let colorless: Vec<u8> = image.iter().flat_map(|&value| [value; 3]).collect();
        assert_eq!(jittered(Draw { saturation: 0.2, hue: 2.0, ..still() }, &colorless, 3), colorless);
    }

    #[test]
    fn colours_are_clipped_not_wrapped() {
        let bright = Draw { brightness: 2.0, ..still() };
        assert_eq!(jittered(bright, &[200, 10, 0], 1), [255, 20, 0]);
        let harsh = Draw { contrast: 3.0, ..still() };
        assert_eq!(jittered(harsh, &[0, 100, 200], 1), [0, 100, 255]);
    }

    #[test]
    fn an_epoch_an_index_and_a_seed_each_change_the_result() {
        let image = noise(RGB);
        let config = AugmentConfig::default();
        let run = |key| augment(&image, RGB, &config, key);
        let first = run(key(1));
        assert_eq!(first, run(key(1)));
        assert_ne!(first, run(key(2)));
        assert_ne!(first, run(Key { epoch: 6, ..key(1) }));
        assert_ne!(first, run(Key { seed: 4, ..key(1) }));
        let elsewhere = std::thread::scope(|scope| scope.spawn(|| run(key(1))).join().unwrap());
        assert_eq!(first, elsewhere);
    }

    #[test]
    fn draws_fill_their_ranges() {
        let config = AugmentConfig { horizontal_flip: 0.25, rotation: 180.0, hue: 20.0, ..AugmentConfig::default() };
        let draws: Vec<_> = (0..4000).map(|index| drawn(&config, index)).collect();
        let range = |of: fn(&Draw) -> f32| {
            draws.iter().map(of).fold((f32::MAX, f32::MIN), |(low, high), value| (low.min(value), high.max(value)))
        };
        let near = |(low, high): (f32, f32), expected: (f32, f32)| {
            let slack = (expected.1 - expected.0) * 0.01;
            assert!(low >= expected.0 - 1e-5 && low < expected.0 + slack, "{low} against {expected:?}");
            assert!(high <= expected.1 + 1e-5 && high > expected.1 - slack, "{high} against {expected:?}");
        };
        near(range(|d| d.brightness), (0.7, 1.3));
        near(range(|d| d.contrast), (0.7, 1.3));
        near(range(|d| d.saturation), (0.7, 1.3));
        near(range(|d| d.hue.to_degrees()), (-20.0, 20.0));
        near(range(|d| d.rotation.to_degrees()), (-180.0, 180.0));
        let flips = draws.iter().filter(|draw| draw.flip).count();
        assert!((900..1100).contains(&flips), "{flips} of 4000 flipped");
        for draw in &draws {
            let Rectangle { size, corner } = draw.crop;
            assert!((0.5..=1.00001).contains(&(size[0] * size[1])), "{draw:?}");
            assert!(size.iter().zip(corner).all(|(side, at)| at >= 0.0 && at + side <= 1.00001), "{draw:?}");
        }
    }

    #[test]
    fn switching_one_change_off_leaves_the_others() {
        let with = drawn(&AugmentConfig { erase: 1.0, ..AugmentConfig::default() }, 9);
        let without = drawn(&AugmentConfig { rotation: 0.0, hue: 0.0, ..AugmentConfig::default() }, 9);
        assert_eq!(without, Draw { rotation: 0.0, hue: 0.0, hole: None, ..with });
    }

    #[test]
    fn a_hole_is_noise_of_its_area_and_nothing_else_changes() {
        let shape = Shape { height: 40, width: 50, channels: 3 };
        let image = vec![7; 40 * 50 * 3];
        let config = AugmentConfig { erase: 0.5, erase_area: [0.1, 0.2], ..AugmentConfig::none() };
        let mut holes = 0;
        for index in 0..400 {
            let out = augment(&image, shape, &config, key(index));
            assert_eq!(out, augment(&image, shape, &config, key(index)));
            let changed = out.chunks_exact(3).filter(|pixel| **pixel != [7; 3]).count();
            assert!(
                changed == 0 || (150..450).contains(&changed),
                "{changed} of 2000 pixels, 200 to 400 are asked for"
            );
            holes += usize::from(changed > 0);
        }
        assert!((160..240).contains(&holes), "{holes} of 400 have a hole");
    }

    #[test]
    fn a_hole_is_where_it_was_drawn() {
        let mut pixels = vec![0; 4 * 6];
        let hole = Rectangle { size: [0.5, 0.5], corner: [0.5, 0.25] };
        hole.fill(&mut pixels, Shape { height: 4, width: 6, channels: 1 }, &mut key(0).rng(b"augment."));
        let noisy: Vec<usize> = (0..24).filter(|&index| pixels[index] != 0).collect();
        assert_eq!(noisy, [9, 10, 11, 15, 16, 17]);
    }

    proptest! {
        #[test]
        fn any_permitted_configuration_gives_an_image_within_the_sources_values(
            width in 1_usize..12,
            height in 1_usize..12,
            channels in prop::sample::select(vec![1_usize, 3]),
            rotation in 0.0_f32..=180.0,
            area in 0.01_f32..=1.0,
            aspect in 0.1_f32..=10.0,
            index: u64,
        ) {
            let config = AugmentConfig {
                horizontal_flip: 0.5,
                rotation,
                crop_area: [area, 1.0],
                crop_aspect: [aspect.min(1.0), aspect.max(1.0)],
                ..AugmentConfig::none()
            };
            config.validate().unwrap();
            let shape = Shape { height, width, channels };
            let image = noise(shape);
            let out = augment(&image, shape, &config, key(index));
            prop_assert_eq!(out.len(), image.len());
            let bounds = image.iter().min().unwrap()..=image.iter().max().unwrap();
            prop_assert!(out.iter().all(|value| bounds.contains(&value)));
        }
    }
}
