//! What a camera does to a picture: its lens blurs, its sensor sees another light and adds noise, its link compresses.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, GrayImage, ImageFormat, RgbImage, load_from_memory_with_format};
use model_compiler::graph::Shape;
use no_std_infer::format::{Color, Fit};
use no_std_infer::image::{Frame, PixelFormat, preprocess};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

use super::Key;
use crate::config::CameraConfig;
use crate::data::dataset::rgb565;

/// Least standard deviation of a blur, in pixels; a lesser one changes no byte.
const LEAST_BLUR: f32 = 0.2;

/// What one camera does, in the order of its fields. Neighbouring pixels are those of the picture that it is given, so blur, noise
/// and JPEG's artefacts are as strong as in a frame of that size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    /// Standard deviation of the blur, as a share of the longer side.
    pub blur: f32,
    /// Factors of red, green and blue; a grey picture has none.
    pub gains: [f32; 3],
    /// Exponent of a value of 0 to 1: above 1 the picture becomes darker.
    pub gamma: f32,
    /// Standard deviation of the noise, as a share of full scale, for each value independently.
    pub noise: f32,
    /// Quality of 1 to 100 with which it compresses.
    pub jpeg: Option<u8>,
    /// Whether a pixel keeps 5, 6 and 5 bits.
    pub rgb565: bool,
}

impl Camera {
    /// Changes nothing.
    pub const PERFECT: Self = Self { blur: 0.0, gains: [1.0; 3], gamma: 1.0, noise: 0.0, jpeg: None, rgb565: false };

    /// Draws one. Every random number is drawn whatever the configuration, so that switching one change off leaves the others as
    /// they are.
    pub(super) fn new(config: &CameraConfig, rng: &mut ChaCha8Rng) -> Self {
        let mut unit = || rng.random::<f32>();
        let mut strength = |chance: f32| {
            let (happens, strength) = (unit() < chance, unit());
            happens.then_some(strength)
        };
        let blur = strength(config.blur).map_or(0.0, |share| share * config.blur_sigma);
        let noise = strength(config.noise).map_or(0.0, |share| share * config.noise_sigma);
        let gamma = strength(config.gamma).map_or(1.0, |share| config.gamma_exponent.powf(2.0 * share - 1.0));
        let [worst, best] = config.jpeg_quality.map(f32::from);
        let jpeg = strength(config.jpeg).map(|share| (worst + (best - worst) * share).round() as u8);
        let rgb565 = strength(config.rgb565).is_some();
        let is_cast = unit() < config.cast;
        let gains = [(); 3].map(|()| unit()).map(|share| 1.0 + config.cast_gain * (2.0 * share - 1.0));
        Self { blur, gains: if is_cast { gains } else { [1.0; 3] }, gamma, noise, jpeg, rgb565 }
    }

    /// The picture that it takes of one of `shape`, with 1 or 3 channels, HWC. The noise follows from the key.
    ///
    /// # Panics
    /// When there are not as many pixels as `shape` says.
    #[must_use]
    pub fn take(&self, pixels: Vec<u8>, shape: Shape, key: Key) -> Vec<u8> {
        let mut pixels = self.blurred(pixels, shape);
        self.expose(&mut pixels, shape.channels);
        self.add_noise(&mut pixels, key);
        let pixels = match self.jpeg {
            Some(quality) => compressed(pixels, shape, quality),
            None => pixels,
        };
        if self.rgb565 { few_bits(pixels, shape) } else { pixels }
    }

    fn blurred(&self, pixels: Vec<u8>, shape: Shape) -> Vec<u8> {
        let sigma = self.blur * shape.width.max(shape.height) as f32;
        if sigma < LEAST_BLUR { pixels } else { bytes(&image(pixels, shape).blur(sigma), shape) }
    }

    fn expose(&self, pixels: &mut [u8], channels: usize) {
        if self.gamma == 1.0 && (channels == 1 || self.gains == [1.0; 3]) {
            return;
        }
        let table = |gain: f32| {
            let exposed = |value: u8| 255.0 * (gain * f32::from(value) / 255.0).powf(self.gamma);
            std::array::from_fn(|value| (exposed(value as u8) + 0.5) as u8)
        };
        let tables: Vec<[u8; 256]> =
            if channels == 1 { vec![table(1.0)] } else { self.gains.into_iter().map(table).collect() };
        for pixel in pixels.chunks_exact_mut(channels) {
            pixel.iter_mut().zip(&tables).for_each(|(value, table)| *value = table[usize::from(*value)]);
        }
    }

    fn add_noise(&self, pixels: &mut [u8], key: Key) {
        let Some(normal) = Normal::new(0.0, 255.0 * self.noise).ok().filter(|_| self.noise > 0.0) else { return };
        let mut rng = key.rng(b"noise...");
        pixels.iter_mut().for_each(|value| *value = (f32::from(*value) + normal.sample(&mut rng) + 0.5) as u8);
    }
}

fn image(pixels: Vec<u8>, shape: Shape) -> DynamicImage {
    let (width, height) = (shape.width as u32, shape.height as u32);
    let image = match shape.channels {
        1 => GrayImage::from_raw(width, height, pixels).map(DynamicImage::ImageLuma8),
        _ => RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8),
    };
    image.expect("as many pixels as the shape says")
}

fn bytes(image: &DynamicImage, shape: Shape) -> Vec<u8> {
    if shape.channels == 1 { image.to_luma8().into_raw() } else { image.to_rgb8().into_raw() }
}

/// Encoded as JPEG and decoded.
fn compressed(pixels: Vec<u8>, shape: Shape, quality: u8) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let encoder = JpegEncoder::new_with_quality(&mut file, quality);
    image(pixels, shape).write_with_encoder(encoder).expect("a picture of few pixels in memory");
    let decoded = load_from_memory_with_format(file.get_ref(), ImageFormat::Jpeg).expect("a file as it was encoded");
    bytes(&decoded, shape)
}

/// Packed into 16 bits a pixel, and as the device unpacks them.
fn few_bits(pixels: Vec<u8>, shape: Shape) -> Vec<u8> {
    let packed = rgb565(&image(pixels, shape).into_rgb8());
    let (width, height) = (shape.width as u32, shape.height as u32);
    let frame = Frame::new(PixelFormat::Rgb565Le, width, height, &packed).expect("two bytes a pixel");
    let color = if shape.channels == 1 { Color::Grey } else { Color::Rgb };
    let mut input = vec![0_i8; shape.len()];
    let (width, height) = (shape.width as u16, shape.height as u16);
    preprocess(&frame, Fit::Stretch, &mut input, width, height, color).expect("a frame of the input's own size");
    input.into_iter().map(|value| value.cast_unsigned() ^ 0x80).collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    const KEY: Key = Key { seed: 1, epoch: 2, index: 3 };
    const RGB: Shape = Shape { height: 24, width: 32, channels: 3 };
    const GREY: Shape = Shape { channels: 1, ..RGB };

    fn noise(shape: Shape) -> Vec<u8> {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        (0..shape.len()).map(|_| rng.random_range(40..=200)).collect()
    }

    fn mean(pixels: &[u8]) -> f64 {
        pixels.iter().map(|&value| f64::from(value)).sum::<f64>() / pixels.len() as f64
    }

    fn spread(pixels: &[u8]) -> f64 {
        let mean = mean(pixels);
        (pixels.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / pixels.len() as f64).sqrt()
    }

    #[test]
    fn a_perfect_camera_changes_nothing_and_grey_has_no_cast() {
        for shape in [GREY, RGB] {
            assert_eq!(Camera::PERFECT.take(noise(shape), shape, KEY), noise(shape));
        }
        let cast = Camera { gains: [0.5, 1.0, 1.5], ..Camera::PERFECT };
        assert_eq!(cast.take(noise(GREY), GREY, KEY), noise(GREY));
    }

    #[test]
    fn blur_keeps_the_mean_and_takes_the_detail() {
        for shape in [GREY, RGB] {
            let image = noise(shape);
            let blurred = |blur| Camera { blur, ..Camera::PERFECT }.take(image.clone(), shape, KEY);
            let (little, much) = (blurred(0.02), blurred(0.06));
            assert!((mean(&much) - mean(&image)).abs() < 2.0);
            assert!(spread(&much) < 0.6 * spread(&little) && spread(&little) < 0.8 * spread(&image));
        }
    }

    #[test]
    fn casts_and_gamma_are_those_of_the_formula() {
        let shape = Shape { height: 1, width: 2, channels: 3 };
        let cast = Camera { gains: [0.5, 1.0, 2.0], ..Camera::PERFECT };
        assert_eq!(cast.take(vec![100, 100, 100, 200, 0, 200], shape, KEY), [50, 100, 200, 100, 0, 255]);
        let dark = Camera { gamma: 2.0, ..Camera::PERFECT };
        assert_eq!(dark.take(vec![0, 51, 102, 128, 204, 255], shape, KEY), [0, 10, 41, 64, 163, 255]);
    }

    #[test]
    fn noise_has_its_deviation_and_follows_from_the_key() {
        let flat = vec![128; RGB.len()];
        let noisy = |key| Camera { noise: 0.04, ..Camera::PERFECT }.take(flat.clone(), RGB, key);
        let first = noisy(KEY);
        assert!((spread(&first) - 10.2).abs() < 0.5 && (mean(&first) - 128.0).abs() < 0.6, "{}", spread(&first));
        assert_eq!(first, noisy(KEY));
        assert_ne!(first, noisy(Key { epoch: 3, ..KEY }));
    }

    #[test]
    fn jpeg_loses_more_at_a_lower_quality() {
        for shape in [GREY, RGB, Shape { height: 1, width: 1, channels: 3 }] {
            let image = noise(shape);
            let error = |quality| {
                let out = Camera { jpeg: Some(quality), ..Camera::PERFECT }.take(image.clone(), shape, KEY);
                assert_eq!(out.len(), image.len());
                out.iter().zip(&image).map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>()
            };
            assert!(shape.len() == 3 || error(20) > 2 * error(100), "{} and {}", error(20), error(100));
        }
    }

    #[test]
    fn few_bits_are_those_that_the_device_sees() {
        let bits = Camera { rgb565: true, ..Camera::PERFECT };
        let shape = Shape { height: 1, width: 2, channels: 3 };
        assert_eq!(bits.take(vec![7, 3, 8, 255, 130, 100], shape, KEY), [0, 0, 8, 255, 130, 99]);
        let once = bits.take(noise(GREY), GREY, KEY);
        assert!(once.iter().zip(noise(GREY)).all(|(few, all)| few.abs_diff(all) <= 8) && once != noise(GREY));
    }

    #[test]
    fn chances_and_strengths_are_those_of_the_configuration() {
        let config = CameraConfig {
            blur: 0.25,
            cast: 0.25,
            gamma: 0.25,
            noise: 0.25,
            jpeg: 0.25,
            rgb565: 0.25,
            ..CameraConfig::default()
        };
        let drawn = |config: &CameraConfig, index| Camera::new(config, &mut Key { index, ..KEY }.rng(b"camera.."));
        let cameras: Vec<Camera> = (0..4000).map(|index| drawn(&config, index)).collect();
        let share = |changed: fn(&Camera) -> bool| cameras.iter().filter(|camera| changed(camera)).count();
        let changed: [fn(&Camera) -> bool; 6] = [
            |camera| camera.blur > 0.0,
            |camera| camera.gains != [1.0; 3],
            |camera| camera.gamma != 1.0,
            |camera| camera.noise > 0.0,
            |camera| camera.jpeg.is_some(),
            |camera| camera.rgb565,
        ];
        for (which, changed) in changed.into_iter().enumerate() {
            assert!((900..1100).contains(&share(changed)), "change {which}: {} of 4000", share(changed));
        }
        let [worst, best] = config.jpeg_quality;
        for Camera { blur, gains, gamma, noise, jpeg, .. } in &cameras {
            assert!(*blur <= config.blur_sigma && *noise <= config.noise_sigma);
            assert!(gains.iter().all(|gain| (gain - 1.0).abs() <= config.cast_gain + 1e-6));
            assert!((1.0 / config.gamma_exponent - 1e-6..=config.gamma_exponent + 1e-6).contains(gamma));
            assert!(jpeg.is_none_or(|quality| (worst..=best).contains(&quality)));
        }
        let without = CameraConfig { noise: 0.0, cast: 0.0, ..config.clone() };
        for index in 0..50 {
            let expected = Camera { noise: 0.0, gains: [1.0; 3], ..drawn(&config, index) };
            assert_eq!(drawn(&without, index), expected);
        }
        assert!((0..50).all(|index| drawn(&CameraConfig::default(), index) == Camera::PERFECT));
    }
}
