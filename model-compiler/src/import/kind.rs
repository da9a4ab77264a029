//! What the input of an imported model means.

use no_std_infer::format::{Color, Fit, ImageInput, InputKind, Tensor};

use super::Result;

/// Shortest side of a picture, in pixels.
const SIDE_MIN: u16 = 8;
/// Ranges of real numbers that networks commonly want pixels in.
const PIXEL_RANGES: [[f32; 2]; 4] = [[0.0, 1.0], [-1.0, 1.0], [0.0, 255.0], [-128.0, 127.0]];
/// Difference to such a range, as a share of its width, that still counts as it.
const TOLERANCE: f32 = 0.02;

/// What the caller says the input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputChoice {
    /// A picture: the input's bytes are `pixel - 128`.
    Image,
    /// Raw int8 values: a vector, a spectrogram.
    Tensor,
}

/// The input's kind: what the caller chose, or else a picture where the tensor has a picture's shape and range.
///
/// # Errors
/// When a picture is asked for and the tensor has neither one channel nor three.
pub fn input_kind(input: &Tensor, choice: Option<InputChoice>) -> Result<InputKind> {
    let Some(color) = [Color::Grey, Color::Rgb].into_iter().find(|color| color.channels() == input.channels as usize)
    else {
        ensure!(
            choice != Some(InputChoice::Image),
            Settings,
            "the input has {} channels, a picture 1 or 3: leave --input out",
            input.channels
        );
        return Ok(InputKind::Tensor);
    };
    let real = |byte: f32| (byte - f32::from(input.zero_point)) * input.scale;
    let (low, high) = (real(-128.0), real(127.0));
    let near = |[min, max]: [f32; 2]| (low - min).abs().max((high - max).abs()) <= TOLERANCE * (max - min);
    let picture = input.height.min(input.width) >= SIDE_MIN && PIXEL_RANGES.into_iter().any(near);
    let chosen = choice.unwrap_or(if picture { InputChoice::Image } else { InputChoice::Tensor });
    if chosen == InputChoice::Tensor {
        return Ok(InputKind::Tensor);
    }
    // real = (pixel / 255 − mean) / std.
    let mean = (128.0 + f32::from(input.zero_point)) / 255.0;
    let std = 1.0 / (255.0 * input.scale);
    Ok(InputKind::Image(ImageInput { color, fit: Fit::Stretch, mean: [mean; 3], std: [std; 3] }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(height: u16, width: u16, channels: u32, scale: f32, zero_point: i8) -> Tensor {
        Tensor { offset: 0, height, width, channels, scale, zero_point }
    }

    fn is_image(input: Tensor, choice: Option<InputChoice>) -> bool {
        input_kind(&input, choice).unwrap().image().is_some()
    }

    #[test]
    fn pictures_are_known_by_shape_and_range() {
        assert!(is_image(input(96, 96, 3, 1.0 / 255.0, -128), None));
        assert!(is_image(input(32, 32, 3, 1.0, -128), None));
        assert!(is_image(input(28, 28, 1, 2.0 / 255.0, 0), None));
        assert!(!is_image(input(49, 10, 1, 0.584_702_9, 83), None), "a spectrogram");
        assert!(!is_image(input(1, 1, 3, 1.0 / 255.0, -128), None), "a vector");
        assert!(!is_image(input(96, 96, 4, 1.0 / 255.0, -128), None), "four channels");
    }

    #[test]
    fn the_caller_s_choice_counts() {
        assert!(is_image(input(49, 10, 1, 0.58, 83), Some(InputChoice::Image)));
        assert!(!is_image(input(96, 96, 3, 1.0 / 255.0, -128), Some(InputChoice::Tensor)));
        assert!(input_kind(&input(1, 1, 640, 0.1, 0), Some(InputChoice::Image)).is_err());
    }

    #[test]
    fn mean_and_deviation_are_those_that_the_quantisation_stands_for() {
        let kind = input_kind(&input(28, 28, 1, 2.0 / 255.0, 0), None).unwrap();
        let image = kind.image().unwrap();
        assert!((image.mean[0] - 0.5).abs() < 0.01 && (image.std[0] - 0.5).abs() < 1e-6, "{image:?}");
    }
}
