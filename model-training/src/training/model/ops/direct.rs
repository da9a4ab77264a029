//! Convolutions and their gradients without a matrix of gathered inputs: products of spread planes.

use rayon::prelude::*;

use super::product::{correlate, multiply, multiply_transposed};
use super::spread::Spread;

/// Images whose gradients of the weights are summed one after the other; the sums of such groups then follow in their
/// order, whatever the number of threads.
const GROUP: usize = 4;

/// Outputs that are computed side by side.
const BLOCK: usize = 8;

/// Outputs of a gradient of weights are a multiple of it.
const WIDTH: usize = 16;

/// A convolution with a square kernel. Taps outside a plane count as 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    pub images: usize,
    /// Channels.
    pub inputs: usize,
    /// Channels.
    pub outputs: usize,
    pub kernel: usize,
    pub stride: usize,
    /// Rows of padding above, columns left.
    pub padding: [usize; 2],
    /// Height and width.
    pub input: [usize; 2],
    /// Height and width.
    pub output: [usize; 2],
}

/// One product for each position of a part of the spread output.
struct Part {
    /// Rows and columns that the part consists of.
    residue: [usize; 2],
    /// Where the inputs of the taps start in a spread plane.
    shifts: Vec<usize>,
    /// Taps of the kernel.
    taps: Vec<usize>,
}

/// Planes that are read, planes that are written, and how these follow from those.
struct Pass {
    source: Spread,
    target: Spread,
    parts: Vec<Part>,
}

impl Sizes {
    /// Elements of a kernel.
    pub fn taps(&self) -> usize {
        self.kernel * self.kernel
    }

    /// Elements of an input plane.
    pub fn input_len(&self) -> usize {
        self.input[0] * self.input[1]
    }

    /// Elements of an output plane.
    pub fn output_len(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Steps from the first tap of a row or column to the last.
    fn reach(&self) -> usize {
        (self.kernel - 1) / self.stride
    }

    /// From inputs to outputs.
    fn forward(&self) -> Pass {
        let ([height, width], reach) = (self.output, self.reach());
        let pitch = width + reach;
        let source = Spread { step: self.stride, before: self.padding, plane: self.input, rows: height + reach, pitch };
        let target = Spread { step: 1, before: [0, 0], plane: self.output, rows: height, pitch };
        let shifts = (0..self.taps()).map(|tap| source.shift([tap / self.kernel, tap % self.kernel])).collect();
        Pass { source, target, parts: vec![Part { residue: [0, 0], shifts, taps: (0..self.taps()).collect() }] }
    }

    /// From the gradient of the outputs to that of the inputs: row `y` of the padded input receives the output's row
    /// `(y - tap) / stride` by those taps that leave no remainder, which are the same for all rows with one residue.
    fn backward(&self) -> Pass {
        let (step, reach) = (self.stride, self.reach());
        // Rows and columns of a part in which all is padding are left out.
        let skipped = self.padding.map(|padding| (padding / step).min(reach));
        let [rows, columns] = [0, 1].map(|axis| (self.input[axis] + self.padding[axis]).div_ceil(step) - skipped[axis]);
        let pitch = columns + reach;
        let source = Spread {
            step: 1,
            before: skipped.map(|skipped| reach - skipped),
            plane: self.output,
            rows: rows + reach,
            pitch,
        };
        let before = [0, 1].map(|axis| self.padding[axis] - skipped[axis] * step);
        let target = Spread { step, before, plane: self.input, rows, pitch };
        let part = |residue: [usize; 2]| {
            let along = |axis: usize| (residue[axis]..self.kernel).step_by(step).enumerate();
            let taps = || along(0).flat_map(|row| along(1).map(move |column| (row, column)));
            Part {
                residue,
                shifts: taps().map(|((row, _), (column, _))| source.shift([reach - row, reach - column])).collect(),
                taps: taps().map(|((_, row), (_, column))| row * self.kernel + column).collect(),
            }
        };
        let residues = (0..step).flat_map(|row| (0..step).map(move |column| [row, column]));
        Pass { source, target, parts: residues.map(part).filter(|part| !part.taps.is_empty()).collect() }
    }

    /// Outputs of all images; `weights` are `[out][in][taps]`.
    pub fn convolve(&self, x: &[f32], weights: &[f32]) -> Vec<f32> {
        let weight =
            |output: usize, input: usize, tap: usize| weights[(output * self.inputs + input) * self.taps() + tap];
        self.forward().run(x, [self.inputs, self.outputs], weight)
    }

    /// Gradient of the inputs, given that of the outputs.
    pub fn input_grad(&self, grad: &[f32], weights: &[f32]) -> Vec<f32> {
        let weight =
            |input: usize, output: usize, tap: usize| weights[(output * self.inputs + input) * self.taps() + tap];
        self.backward().run(grad, [self.outputs, self.inputs], weight)
    }

    /// Gradient of the weights, `[out][in][taps]`.
    pub fn weight_grad(&self, x: &[f32], grad: &[f32]) -> Vec<f32> {
        let Pass { source, target, parts } = self.forward();
        let shifts = channel_shifts(&source, self.inputs, &parts[0].shifts);
        let width = self.outputs.next_multiple_of(WIDTH);
        let [x_len, grad_len] = [self.inputs * self.input_len(), self.outputs * self.output_len()];
        let sums: Vec<Vec<f32>> = (x.par_chunks(GROUP * x_len), grad.par_chunks(GROUP * grad_len))
            .into_par_iter()
            .map(|(x, grad)| {
                let mut spread = source.buffer(self.inputs);
                let mut grads = vec![0.0; target.rows * target.pitch * width];
                let mut sums = vec![0.0; shifts.len() * width];
                for (x, grad) in x.chunks_exact(x_len).zip(grad.chunks_exact(grad_len)) {
                    source.fill_all(x, &mut spread);
                    target.interleave(grad, width, &mut grads);
                    multiply_transposed(&spread, &shifts, &grads, width, &mut sums);
                }
                sums
            })
            .collect();
        let mut sum = vec![0.0; shifts.len() * width];
        for more in &sums {
            sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        }
        (0..self.outputs).flat_map(|output| sum[output..].iter().step_by(width).copied()).collect()
    }

    /// [`Sizes::convolve`] of each channel by itself.
    pub fn convolve_depthwise(&self, x: &[f32], weights: &[f32]) -> Vec<f32> {
        self.forward().run_depthwise(x, self.inputs, weights)
    }

    /// [`Sizes::input_grad`] of each channel by itself.
    pub fn depthwise_input_grad(&self, grad: &[f32], weights: &[f32]) -> Vec<f32> {
        self.backward().run_depthwise(grad, self.inputs, weights)
    }

    /// Gradient of the weights of each channel by itself, `[channels][taps]`.
    pub fn depthwise_weight_grad(&self, x: &[f32], grad: &[f32]) -> Vec<f32> {
        let Pass { source, target, parts } = self.forward();
        let mut weights = vec![0.0; self.inputs * self.taps()];
        let buffers = || (source.buffer(self.images), vec![0.0; self.images * target.positions()]);
        weights.par_chunks_mut(self.taps()).enumerate().for_each_init(
            buffers,
            |(spread, grads), (channel, weights)| {
                let planes = x.chunks_exact(self.input_len()).skip(channel).step_by(self.inputs);
                planes.zip(spread.chunks_exact_mut(source.len())).for_each(|(x, spread)| source.fill(x, spread));
                let planes = grad.chunks_exact(self.output_len()).skip(channel).step_by(self.inputs);
                planes.zip(grads.chunks_exact_mut(target.positions())).for_each(|(grad, to)| target.fill(grad, to));
                correlate(spread, &parts[0].shifts, grads, [source.len(), target.positions()], weights);
            },
        );
        weights
    }
}

impl Pass {
    /// `weight` is that of an output channel, an input channel and a tap.
    fn run(&self, x: &[f32], [inputs, outputs]: [usize; 2], weight: impl Fn(usize, usize, usize) -> f32) -> Vec<f32> {
        let Self { source, target, parts } = self;
        let [x_len, y_len] = [source, target].map(|spread| spread.plane[0] * spread.plane[1]);
        let weight =
            |output: usize, input: usize, tap: usize| if output < outputs { weight(output, input, tap) } else { 0.0 };
        let packed = |taps: &[usize], first: usize| -> Vec<[f32; BLOCK]> {
            let rows = (0..inputs).flat_map(|input| taps.iter().map(move |&tap| (input, tap)));
            rows.map(|(input, tap)| std::array::from_fn(|output| weight(first + output, input, tap))).collect()
        };
        let product = |part: &Part| {
            let blocks: Vec<_> = (0..outputs).step_by(BLOCK).map(|first| packed(&part.taps, first)).collect();
            (part.residue, channel_shifts(source, inputs, &part.shifts), blocks)
        };
        let products: Vec<_> = parts.iter().map(product).collect();
        let mut y = vec![0.0; x.len() / (inputs * x_len) * outputs * y_len];
        let buffers = || (source.buffer(inputs), vec![0.0; BLOCK * target.positions()]);
        let images = y.par_chunks_mut(outputs * y_len).zip(x.par_chunks(inputs * x_len));
        images.for_each_init(buffers, |(spread, rows), (y, x)| {
            source.fill_all(x, spread);
            for (residue, shifts, blocks) in &products {
                for (weights, y) in blocks.iter().zip(y.chunks_mut(BLOCK * y_len)) {
                    multiply(spread, shifts, weights, rows);
                    for (y, row) in y.chunks_exact_mut(y_len).zip(rows.chunks_exact(target.positions())) {
                        target.collect(*residue, row, y);
                    }
                }
            }
        });
        y
    }

    /// `weights` are `[channels][taps]`.
    fn run_depthwise(&self, x: &[f32], channels: usize, weights: &[f32]) -> Vec<f32> {
        let Self { source, target, parts } = self;
        let [x_len, y_len] = [source, target].map(|spread| spread.plane[0] * spread.plane[1]);
        let taps = weights.len() / channels;
        let packed: Vec<Vec<[f32; 1]>> = weights
            .chunks_exact(taps)
            .flat_map(|weights| parts.iter().map(|part| part.taps.iter().map(|&tap| [weights[tap]]).collect()))
            .collect();
        let mut y = vec![0.0; x.len() / x_len * y_len];
        let buffers = || (source.buffer(1), vec![0.0; target.positions()]);
        let images = y.par_chunks_mut(channels * y_len).zip(x.par_chunks(channels * x_len));
        images.for_each_init(buffers, |(spread, row), (y, x)| {
            let planes = y.chunks_exact_mut(y_len).zip(x.chunks_exact(x_len));
            for ((y, x), weights) in planes.zip(packed.chunks_exact(parts.len())) {
                source.fill(x, spread);
                for (part, weights) in parts.iter().zip(weights) {
                    multiply(spread, &part.shifts, weights, row);
                    target.collect(part.residue, row, y);
                }
            }
        });
        y
    }
}

/// Shifts of the taps in one spread plane after the other.
fn channel_shifts(spread: &Spread, channels: usize, shifts: &[usize]) -> Vec<usize> {
    (0..channels).flat_map(|channel| shifts.iter().map(move |shift| channel * spread.len() + shift)).collect()
}
