//! Execution of the float graph.

use no_std_infer::format::Window;

use super::shapes::{broadcast, place, second_corner};
use super::{Clamp, FloatOp, Graph, Node, Shape, apply};

/// Output pixels and output channels that a convolution computes together in registers.
const PIXELS: usize = 4;
const CHANNELS: usize = 8;
/// Partial sums of a dot product.
const LANES: usize = 16;

/// Turns pixels (HWC) into the network's input: `pixel − 128`.
#[must_use]
pub fn pixels_to_input(pixels: &[u8]) -> Vec<i8> {
    pixels.iter().map(|&pixel| (pixel ^ 0x80) as i8).collect()
}

impl Graph {
    /// Runs a [valid](Self::validate) graph on one input (`pixel − 128`, HWC) and gives all tensors, the input first and
    /// the logits last. Deterministic: the order of every sum is fixed.
    ///
    /// # Panics
    /// When the input's length is not the graph's, or the graph is not valid.
    #[must_use]
    pub fn run(&self, input: &[i8]) -> Vec<Vec<f32>> {
        assert_eq!(input.len(), self.input.len(), "the input's length is not the network's");
        let mut tensors = vec![self.input_tensor(input)];
        for node in &self.nodes {
            tensors.push(self.output(node, &tensors));
        }
        tensors
    }

    /// Tensor 0 for an input (`pixel − 128`, HWC).
    pub(crate) fn input_tensor(&self, input: &[i8]) -> Vec<f32> {
        input.iter().map(|&value| f32::from(value) - f32::from(self.zero)).collect()
    }

    /// What one node of the graph makes of the tensors before it.
    ///
    /// # Panics
    /// When the tensors that it reads are not there, or do not have their shapes.
    #[must_use]
    pub fn output(&self, node: &Node, tensors: &[Vec<f32>]) -> Vec<f32> {
        let operand = |at: usize| (tensors[node.inputs[at]].as_slice(), self.shape(node.inputs[at]));
        let (source, shape) = operand(0);
        match &node.op {
            FloatOp::Conv2d { window, weights, bias, clamp } => {
                clamped(conv2d(source, shape, window, weights, bias, node.output), *clamp)
            }
            FloatOp::DepthwiseConv2d { window, weights, bias, clamp } => {
                clamped(depthwise(source, shape, window, weights, bias, node.output), *clamp)
            }
            FloatOp::Dense { weights, bias, clamp } => clamped(dense(source, weights, bias), *clamp),
            FloatOp::MaxPool2d { window } => max_pool(source, shape, window, node.output),
            FloatOp::AveragePool2d { window } => average_pool(source, shape, window, node.output),
            FloatOp::Add { clamp } => clamped(broadcast([operand(0), operand(1)], node.output, |a, b| a + b), *clamp),
            FloatOp::Mul { clamp } => clamped(broadcast([operand(0), operand(1)], node.output, |a, b| a * b), *clamp),
            FloatOp::Map { functions } => source.iter().map(|&x| apply(functions, x.into()) as f32).collect(),
            FloatOp::Reshape => source.to_vec(),
            FloatOp::Pad { top, left, front } => {
                let mut padded = vec![0.0; node.output.len()];
                place(source, shape, [*top, *left, *front], &mut padded, node.output);
                padded
            }
            FloatOp::Concat => {
                let (other, other_shape) = operand(1);
                let corner = second_corner(shape, other_shape, node.output).unwrap_or_default();
                let mut joined = vec![0.0; node.output.len()];
                place(source, shape, [0; 3], &mut joined, node.output);
                place(other, other_shape, corner, &mut joined, node.output);
                joined
            }
        }
    }

    /// The logits for one input, see [`run`](Self::run).
    ///
    /// # Panics
    /// As [`run`](Self::run).
    #[must_use]
    pub fn logits(&self, input: &[i8]) -> Vec<f32> {
        self.run(input).pop().unwrap_or_default()
    }
}

fn clamped(mut values: Vec<f32>, clamp: Clamp) -> Vec<f32> {
    let (min, max) = clamp.range();
    if clamp != Clamp::None {
        values.iter_mut().for_each(|value| *value = value.clamp(min, max));
    }
    values
}

/// Row or column of the input under a tap, or `None` in the padding.
fn position(output: usize, tap: usize, [stride, dilation, pad]: [u16; 3], inputs: usize) -> Option<usize> {
    let padded = output * usize::from(stride) + tap * usize::from(dilation);
    padded.checked_sub(usize::from(pad)).filter(|&position| position < inputs)
}

/// Calls `visit(tap, offset of the pixel in the input)` for every tap of the window at (`y`, `x`), `None` in the padding.
fn for_taps(window: &Window, input: Shape, y: usize, x: usize, mut visit: impl FnMut(usize, Option<usize>)) {
    for tap_y in 0..usize::from(window.kernel_h) {
        let row = position(y, tap_y, [window.stride_h, window.dilation_h, window.pad_top], input.height);
        for tap_x in 0..usize::from(window.kernel_w) {
            let column = position(x, tap_x, [window.stride_w, window.dilation_w, window.pad_left], input.width);
            let pixel = row.zip(column).map(|(row, column)| (row * input.width + column) * input.channels);
            visit(tap_y * usize::from(window.kernel_w) + tap_x, pixel);
        }
    }
}

/// Reorders `[out][k]` into blocks of [`CHANNELS`] outputs `[out / CHANNELS][k][CHANNELS]`, zero where there is none.
fn pack(weights: &[f32], outputs: usize) -> Vec<[f32; CHANNELS]> {
    let depth = weights.len() / outputs;
    let mut packed = vec![[0.0; CHANNELS]; outputs.div_ceil(CHANNELS) * depth];
    for (output, row) in weights.chunks_exact(depth).enumerate() {
        let block = &mut packed[output / CHANNELS * depth..][..depth];
        block.iter_mut().zip(row).for_each(|(slot, weight)| slot[output % CHANNELS] = *weight);
    }
    packed
}

fn conv2d(input: &[f32], shape: Shape, window: &Window, weights: &[f32], bias: &[f32], output: Shape) -> Vec<f32> {
    let depth = window.taps() * shape.channels;
    let packed = pack(weights, output.channels);
    let mut patches = vec![[0.0; PIXELS]; depth];
    let mut result = vec![0.0; output.len()];
    for (group, pixels) in result.chunks_mut(PIXELS * output.channels).enumerate() {
        for slot in 0..pixels.len() / output.channels {
            let pixel = group * PIXELS + slot;
            for_taps(window, shape, pixel / output.width, pixel % output.width, |tap, source| {
                let patch = patches[tap * shape.channels..][..shape.channels].iter_mut();
                match source {
                    Some(at) => patch.zip(&input[at..]).for_each(|(value, x)| value[slot] = *x),
                    None => patch.for_each(|value| value[slot] = 0.0),
                }
            });
        }
        for (block, weights) in packed.chunks_exact(depth).enumerate() {
            let sums = block_sums(&patches, weights);
            for (pixel, sums) in pixels.chunks_exact_mut(output.channels).zip(&sums) {
                let outputs = pixel[block * CHANNELS..].iter_mut().zip(&bias[block * CHANNELS..]);
                outputs.zip(sums).for_each(|((slot, bias), sum)| *slot = bias + sum);
            }
        }
    }
    result
}

/// [`PIXELS`] patches times [`CHANNELS`] rows of weights.
#[inline]
fn block_sums(patches: &[[f32; PIXELS]], weights: &[[f32; CHANNELS]]) -> [[f32; CHANNELS]; PIXELS] {
    let mut sums = [[0.0; CHANNELS]; PIXELS];
    for (patch, weights) in patches.iter().zip(weights) {
        for (sums, x) in sums.iter_mut().zip(patch) {
            sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += x * weight);
        }
    }
    sums
}

fn depthwise(input: &[f32], shape: Shape, window: &Window, weights: &[f32], bias: &[f32], output: Shape) -> Vec<f32> {
    let mut result = bias.repeat(output.height * output.width);
    for (pixel, sums) in result.chunks_exact_mut(output.channels).enumerate() {
        for_taps(window, shape, pixel / output.width, pixel % output.width, |tap, source| {
            if let Some(at) = source {
                let products = input[at..].iter().zip(&weights[tap * shape.channels..]);
                sums.iter_mut().zip(products).for_each(|(sum, (x, weight))| *sum += x * weight);
            }
        });
    }
    result
}

fn dense(input: &[f32], weights: &[f32], bias: &[f32]) -> Vec<f32> {
    weights.chunks_exact(input.len()).zip(bias).map(|(row, bias)| bias + dot(input, row)).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

fn max_pool(input: &[f32], shape: Shape, window: &Window, output: Shape) -> Vec<f32> {
    let mut result = vec![f32::NEG_INFINITY; output.len()];
    for (pixel, best) in result.chunks_exact_mut(output.channels).enumerate() {
        for_taps(window, shape, pixel / output.width, pixel % output.width, |_, source| {
            if let Some(at) = source {
                best.iter_mut().zip(&input[at..]).for_each(|(best, x)| *best = best.max(*x));
            }
        });
    }
    result
}

fn average_pool(input: &[f32], shape: Shape, window: &Window, output: Shape) -> Vec<f32> {
    let mut result = vec![0.0_f32; output.len()];
    for (pixel, sums) in result.chunks_exact_mut(output.channels).enumerate() {
        let mut count = 0.0_f32;
        for_taps(window, shape, pixel / output.width, pixel % output.width, |_, source| {
            if let Some(at) = source {
                count += 1.0;
                sums.iter_mut().zip(&input[at..]).for_each(|(sum, x)| *sum += x);
            }
        });
        sums.iter_mut().for_each(|sum| *sum /= count);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::super::{Function, Node};
    use super::*;

    fn wave(len: usize, step: f32) -> Vec<f32> {
        (0..len).map(|i| (i as f32 * step).sin()).collect()
    }

    fn pixels(shape: Shape) -> Vec<i8> {
        (0..shape.len()).map(|i| (i * 73 % 256) as u8 as i8).collect()
    }

    fn run_one(input: Shape, op: FloatOp, output: Shape) -> Vec<f32> {
        let graph = Graph { input, zero: 0, nodes: vec![Node { name: "one".into(), op, inputs: vec![0], output }] };
        graph.logits(&pixels(input))
    }

    fn naive_conv(shape: Shape, w: &Window, weights: &[f32], bias: &[f32], output: Shape) -> Vec<f64> {
        let input = pixels(shape);
        let mut result = Vec::new();
        for index in 0..output.len() {
            let (y, x, o) = (
                index / output.channels / output.width,
                index / output.channels % output.width,
                index % output.channels,
            );
            let mut sum = f64::from(bias[o]);
            for (tap, weight) in
                weights[o * w.taps() * shape.channels..][..w.taps() * shape.channels].iter().enumerate()
            {
                let (tap, c) = (tap / shape.channels, tap % shape.channels);
                let (tap_y, tap_x) = ((tap / w.kernel_w as usize) as i64, (tap % w.kernel_w as usize) as i64);
                let row = y as i64 * w.stride_h as i64 + tap_y * w.dilation_h as i64 - w.pad_top as i64;
                let column = x as i64 * w.stride_w as i64 + tap_x * w.dilation_w as i64 - w.pad_left as i64;
                if (0..shape.height as i64).contains(&row) && (0..shape.width as i64).contains(&column) {
                    let at = (row as usize * shape.width + column as usize) * shape.channels + c;
                    sum += f64::from(*weight) * f64::from(input[at]);
                }
            }
            result.push(sum);
        }
        result
    }

    fn assert_close(actual: &[f32], expected: &[f64]) {
        assert_eq!(actual.len(), expected.len());
        for (index, (actual, expected)) in actual.iter().zip(expected).enumerate() {
            assert!(
                (f64::from(*actual) - expected).abs() < 1e-3 * (1.0 + expected.abs()),
                "{index}: {actual} {expected}"
            );
        }
    }

    const INPUT: Shape = Shape { height: 7, width: 6, channels: 3 };
    const WINDOW: Window = Window {
        kernel_h: 3,
        kernel_w: 2,
        stride_h: 2,
        stride_w: 1,
        dilation_h: 1,
        dilation_w: 2,
        pad_top: 1,
        pad_left: 2,
    };

    #[test]
    fn convolution_equals_naive_loops() {
        for channels in [1, 8, 11] {
            let output = Shape { height: 4, width: 7, channels };
            let (weights, bias) = (wave(channels * 6 * 3, 0.9), wave(channels, 3.0));
            let expected = naive_conv(INPUT, &WINDOW, &weights, &bias, output);
            let op = FloatOp::Conv2d { window: WINDOW, weights, bias, clamp: Clamp::None };
            assert_close(&run_one(INPUT, op, output), &expected);
        }
    }

    #[test]
    fn depthwise_equals_a_convolution_with_a_diagonal() {
        let output = Shape { height: 4, width: 7, channels: 3 };
        let (weights, bias) = (wave(6 * 3, 0.9), wave(3, 3.0));
        let diagonal: Vec<f32> = (0..3 * 6 * 3).map(|i| if i / 18 == i % 3 { weights[i % 18] } else { 0.0 }).collect();
        let expected = naive_conv(INPUT, &WINDOW, &diagonal, &bias, output);
        let op = FloatOp::DepthwiseConv2d { window: WINDOW, weights, bias, clamp: Clamp::None };
        assert_close(&run_one(INPUT, op, output), &expected);
    }

    #[test]
    fn dense_equals_a_convolution_over_the_whole_input_and_is_clamped() {
        let output = Shape { height: 1, width: 1, channels: 5 };
        let (weights, bias) = (wave(5 * INPUT.len(), 0.9), wave(5, 3.0));
        let whole = Window { kernel_h: 7, kernel_w: 6, ..Window::square(1, 1) };
        let expected: Vec<f64> =
            naive_conv(INPUT, &whole, &weights, &bias, output).iter().map(|x| x.clamp(0.0, 6.0)).collect();
        let op = FloatOp::Dense { weights, bias, clamp: Clamp::Relu6 };
        assert_close(&run_one(INPUT, op, output), &expected);
    }

    #[test]
    fn pools_leave_the_padding_out() {
        let input = Shape { height: 2, width: 3, channels: 1 };
        let window = Window { pad_top: 1, pad_left: 1, ..Window::square(2, 2) };
        let output = Shape { height: 2, width: 2, channels: 1 };
        assert_eq!(pixels(input), [0, 73, -110, -37, 36, 109]);
        assert_eq!(run_one(input, FloatOp::MaxPool2d { window }, output), [0.0, 73.0, -37.0, 109.0]);
        assert_eq!(run_one(input, FloatOp::AveragePool2d { window }, output), [0.0, -18.5, -37.0, 72.5]);
    }

    #[test]
    fn sums_products_functions_and_concatenations() {
        let input = Shape { height: 1, width: 1, channels: 3 };
        let node = |op, inputs| Node { name: "n".into(), op, inputs, output: input };
        let sum = node(FloatOp::Add { clamp: Clamp::Relu }, vec![0, 0]);
        let sigmoid = node(FloatOp::Map { functions: vec![Function::Sigmoid] }, vec![1]);
        let product = node(FloatOp::Mul { clamp: Clamp::None }, vec![0, 1]);
        let both = Node { output: Shape { channels: 6, ..input }, ..node(FloatOp::Concat, vec![0, 3]) };
        let padded = Shape { channels: 8, ..input };
        let pad = Node { output: padded, ..node(FloatOp::Pad { top: 0, left: 0, front: 1 }, vec![4]) };
        let graph = Graph { input, zero: 0, nodes: vec![sum, sigmoid, product, both, pad] };
        graph.validate().unwrap();
        let tensors = graph.run(&[-1, 0, 2]);
        assert_eq!(tensors[1], [0.0, 0.0, 4.0]);
        assert_eq!(tensors[2][0], 0.5);
        assert!((tensors[2][2] - 0.982_013_8).abs() < 1e-6);
        assert_eq!(tensors[5], [0.0, -1.0, 0.0, 2.0, 0.0, 0.0, 8.0, 0.0]);
    }
}
