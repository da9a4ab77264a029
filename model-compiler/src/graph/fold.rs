//! Folding of batch-norm and normalisation into the constants of a layer, and TFLite's SAME padding.

use no_std_infer::format::Window;

use super::Shape;

/// Where a weight's channel stands in its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightOrder {
    /// `[out][..][in]`: convolution (OHWI) and dense layers.
    OutputFirst,
    /// `[kernel_h][kernel_w][channel]`: depthwise convolution.
    ChannelLast,
}

impl WeightOrder {
    /// The output that a weight belongs to.
    pub(crate) fn output(self, index: usize, weights: usize, outputs: usize) -> usize {
        match self {
            WeightOrder::OutputFirst => index / (weights / outputs),
            WeightOrder::ChannelLast => index % outputs,
        }
    }
}

/// Batch-norm at inference: `gamma · (x − mean) / √(variance + epsilon) + beta`, each slice one value a channel.
#[derive(Clone, Copy, Debug)]
pub struct BatchNorm<'a> {
    /// Learnt scale.
    pub gamma: &'a [f32],
    /// Learnt offset.
    pub beta: &'a [f32],
    /// Running mean.
    pub mean: &'a [f32],
    /// Running variance.
    pub variance: &'a [f32],
    /// Added to the variance.
    pub epsilon: f64,
}

/// Changes a layer's constants so that it also does the batch-norm that follows it.
///
/// # Panics
/// When `weights` is not a whole number of values for each of the `bias.len()` outputs, or a slice of `norm` is
/// shorter than `bias`.
pub fn fold_batch_norm(weights: &mut [f32], bias: &mut [f32], order: WeightOrder, norm: &BatchNorm<'_>) {
    let (count, outputs) = (weights.len(), bias.len());
    let factors: Vec<f64> = (0..outputs)
        .map(|channel| f64::from(norm.gamma[channel]) / (f64::from(norm.variance[channel]) + norm.epsilon).sqrt())
        .collect();
    for (index, weight) in weights.iter_mut().enumerate() {
        *weight = (f64::from(*weight) * factors[order.output(index, count, outputs)]) as f32;
    }
    for (channel, bias) in bias.iter_mut().enumerate() {
        let centred = f64::from(*bias) - f64::from(norm.mean[channel]);
        *bias = (centred * factors[channel] + f64::from(norm.beta[channel])) as f32;
    }
}

/// Changes the first layer's constants, made for `((pixel / 255) − mean) / std` by channel, so that it reads
/// `pixel − 128`. Holds for taps in the padding too when the layer was trained with padding by pixel 128.
///
/// # Panics
/// When `weights` is not a whole number of values for each of the `bias.len()` outputs or `std` is shorter than `mean`.
pub fn fold_normalisation(weights: &mut [f32], bias: &mut [f32], order: WeightOrder, mean: &[f32], std: &[f32]) {
    let (count, outputs, channels) = (weights.len(), bias.len(), mean.len());
    let mut biases: Vec<f64> = bias.iter().map(|&bias| f64::from(bias)).collect();
    for (index, weight) in weights.iter_mut().enumerate() {
        let channel = index % channels;
        let scaled = f64::from(*weight) / f64::from(std[channel]);
        biases[order.output(index, count, outputs)] += scaled * (128.0 / 255.0 - f64::from(mean[channel]));
        *weight = (scaled / 255.0) as f32;
    }
    for (bias, folded) in bias.iter_mut().zip(biases) {
        *bias = folded as f32;
    }
}

/// A square window with TFLite's SAME padding (of an odd total the smaller half above and left), and the shape of its
/// output with the input's channels.
#[must_use]
pub fn same_window(input: Shape, kernel: u16, stride: u16) -> (Window, Shape) {
    let padding = |size: usize| same_padding(size, kernel.into(), stride.into()).0;
    let output = |size: usize| size.div_ceil(stride.into());
    // Before the input there are at most kernel − 1 rows, which fit.
    let [pad_top, pad_left] = [input.height, input.width].map(|size| padding(size) as u16);
    let shape = Shape { height: output(input.height), width: output(input.width), ..input };
    (Window { pad_top, pad_left, ..Window::square(kernel, stride) }, shape)
}

/// A square window without padding, not larger than the input, and the shape of its output with the input's channels.
#[must_use]
pub fn valid_window(input: Shape, kernel: u16, stride: u16) -> (Window, Shape) {
    let side = |size: usize| (size - usize::from(kernel)) / usize::from(stride) + 1;
    (Window::square(kernel, stride), Shape { height: side(input.height), width: side(input.width), ..input })
}

/// Rows or columns that TFLite's SAME padding adds before and after an input of `size`.
#[must_use]
pub fn same_padding(size: usize, kernel: usize, stride: usize) -> (usize, usize) {
    let total = ((size.div_ceil(stride) - 1) * stride + kernel).saturating_sub(size);
    (total / 2, total - total / 2)
}

#[cfg(test)]
mod tests {
    use super::super::{Clamp, FloatOp, Graph, Node};
    use super::*;

    #[test]
    fn same_padding_is_tflites() {
        // Input, kernel, stride; output, padding before and after.
        let cases = [
            (32, 3, 1, 32, (1, 1)),
            (32, 3, 2, 16, (0, 1)),
            (33, 3, 2, 17, (1, 1)),
            (7, 5, 3, 3, (2, 2)),
            (9, 1, 2, 5, (0, 0)),
            (7, 1, 2, 4, (0, 0)),
            (2, 4, 4, 1, (1, 1)),
            (5, 4, 1, 5, (1, 2)),
        ];
        for (size, kernel, stride, output, (before, after)) in cases {
            assert_eq!(same_padding(size, kernel, stride), (before, after));
            let (window, shape) =
                same_window(Shape { height: size, width: 32, channels: 2 }, kernel as u16, stride as u16);
            assert_eq!((usize::from(window.pad_top), shape.height, shape.channels), (before, output, 2));
        }
        let (window, shape) = same_window(Shape { height: 7, width: 32, channels: 2 }, 5, 3);
        assert_eq!((window.pad_top, window.pad_left), (2, 1));
        assert_eq!(shape, Shape { height: 3, width: 11, channels: 2 });
    }

    #[test]
    fn without_padding_only_whole_windows_count() {
        let (window, shape) = valid_window(Shape { height: 8, width: 64, channels: 3 }, 8, 4);
        assert_eq!((window.pad_top, window.pad_left), (0, 0));
        assert_eq!(shape, Shape { height: 1, width: 15, channels: 3 });
    }

    fn one_conv(weights: Vec<f32>, bias: Vec<f32>, input: Shape) -> Graph {
        let (window, shape) = same_window(input, 3, 1);
        let output = Shape { channels: bias.len(), ..shape };
        let op = FloatOp::Conv2d { window, weights, bias, clamp: Clamp::None };
        Graph { input, zero: 0, nodes: vec![Node { name: "conv".into(), op, inputs: vec![0], output }] }
    }

    fn wave(len: usize, step: f32) -> Vec<f32> {
        (0..len).map(|i| (i as f32 * step).sin()).collect()
    }

    #[test]
    fn folded_batch_norm_gives_the_same_numbers() {
        let input = Shape { height: 4, width: 5, channels: 3 };
        let (weights, bias) = (wave(2 * 9 * 3, 0.7), vec![0.3, -0.2]);
        let norm = BatchNorm {
            gamma: &[1.5, -0.5],
            beta: &[0.1, 0.2],
            mean: &[2.0, -3.0],
            variance: &[4.0, 0.25],
            epsilon: 1e-5,
        };
        let pixels: Vec<i8> = (0..60).map(|i| (i * 37 % 251 - 125) as i8).collect();
        let plain = one_conv(weights.clone(), bias.clone(), input).run(&pixels).pop().unwrap();
        let (mut folded_weights, mut folded_bias) = (weights, bias);
        fold_batch_norm(&mut folded_weights, &mut folded_bias, WeightOrder::OutputFirst, &norm);
        let folded = one_conv(folded_weights, folded_bias, input).run(&pixels).pop().unwrap();
        for (index, (plain, folded)) in plain.iter().zip(&folded).enumerate() {
            let c = index % 2;
            let expected = norm.gamma[c] * (plain - norm.mean[c]) / (norm.variance[c] + 1e-5).sqrt() + norm.beta[c];
            assert!((expected - folded).abs() < 1e-3, "{expected} {folded}");
        }
    }

    #[test]
    fn folded_normalisation_gives_the_same_numbers_at_the_borders_too() {
        let input = Shape { height: 4, width: 5, channels: 3 };
        let (mean, std) = ([0.4, 0.5, 0.6], [0.2, 0.25, 0.3]);
        let (weights, bias) = (wave(2 * 9 * 3, 0.3), vec![0.3, -0.2]);
        let pixels: Vec<u8> = (0..60).map(|i| (i * 37 % 256) as u8).collect();
        let (mut folded_weights, mut folded_bias) = (weights.clone(), bias.clone());
        fold_normalisation(&mut folded_weights, &mut folded_bias, WeightOrder::OutputFirst, &mean, &std);
        let folded =
            one_conv(folded_weights, folded_bias, input).run(&super::super::pixels_to_input(&pixels)).pop().unwrap();
        for (index, folded) in folded.iter().enumerate() {
            let (y, x, o) = (index / 10, index / 2 % 5, index % 2);
            let mut expected = bias[o];
            for (tap, weight) in weights[o * 27..][..27].iter().enumerate() {
                let (row, column, c) = (y + tap / 9, x + tap / 3 % 3, tap % 3);
                let inside = (1..=4).contains(&row) && (1..=5).contains(&column);
                let pixel = if inside { pixels[((row - 1) * 5 + column - 1) * 3 + c] } else { 128 };
                expected += weight * (f32::from(pixel) / 255.0 - mean[c]) / std[c];
            }
            assert!((expected - folded).abs() < 1e-3, "{expected} {folded}");
        }
    }

    #[test]
    fn depthwise_weights_fold_by_their_last_index() {
        let (mut weights, mut bias) = (vec![1.0; 6], vec![1.0, 2.0]);
        let norm =
            BatchNorm { gamma: &[2.0, 3.0], beta: &[0.0; 2], mean: &[0.0; 2], variance: &[1.0; 2], epsilon: 0.0 };
        fold_batch_norm(&mut weights, &mut bias, WeightOrder::ChannelLast, &norm);
        assert_eq!((weights, bias), (vec![2.0, 3.0, 2.0, 3.0, 2.0, 3.0], vec![2.0, 6.0]));
    }
}
