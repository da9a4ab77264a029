//! Each operator as naive loops: the specification, and the oracle of the tests.
//!
//! Written independently of the kernels: a value is read by its coordinates, a sum is taken in 64 bits, and padding is
//! decided for every tap. Inputs are copied first, so that it does not matter what an output lies over.

#![no_std]

extern crate alloc;

pub mod weights;

use alloc::vec;
use alloc::vec::Vec;

use no_std_infer::Model;
use no_std_infer::fixed::{self, Multiplier};
use no_std_infer::format::{
    ADD_SHIFT, Activation, Add, Concat, Conv2d, Dense, Mean, Mul, Op, Pad, Pool2d, ReduceMax, Softmax, Tensor, Window,
};
use no_std_infer::operators::ChannelParams;
use weights::{Layer, dense_layer, layer};

/// Every operator's output of one run of a model, in order.
///
/// # Panics
/// When the input has not the model's length.
#[must_use]
pub fn outputs(model: &Model<'_>, input: &[i8]) -> Vec<Vec<i8>> {
    let mut arena = vec![0; model.arena_len()];
    arena[model.info().input.tensor.range()].copy_from_slice(input);
    let run = |op: Op| {
        let inputs: Vec<Values> = op.inputs().map(|&tensor| Values::new(tensor, &arena[tensor.range()])).collect();
        let output = output(&op, &inputs, model.weights());
        arena[op.output().range()].copy_from_slice(&output);
        output
    };
    model.ops().map(run).collect()
}

/// A tensor's elements.
struct Values {
    tensor: Tensor,
    elements: Vec<i8>,
}

impl Values {
    fn new(tensor: Tensor, elements: &[i8]) -> Self {
        Self { tensor, elements: elements.to_vec() }
    }

    fn at(&self, y: usize, x: usize, c: usize) -> i8 {
        self.elements[index(&self.tensor, y, x, c)]
    }

    /// The element at these coordinates, or `None` in the padding.
    fn inside(&self, y: i64, x: i64, c: usize) -> Option<i8> {
        let inside = (0..i64::from(self.tensor.height)).contains(&y) && (0..i64::from(self.tensor.width)).contains(&x);
        inside.then(|| self.at(y as usize, x as usize, c))
    }

    /// The element at these coordinates of the output less the zero point; along sides of 1 there is one for all of them.
    fn broadcast(&self, [y, x, c]: [usize; 3]) -> i32 {
        let y = if self.tensor.height == 1 { 0 } else { y };
        let x = if self.tensor.width == 1 { 0 } else { x };
        let c = if self.tensor.channels == 1 { 0 } else { c };
        i32::from(self.at(y, x, c)) - i32::from(self.tensor.zero_point)
    }
}

fn index(t: &Tensor, y: usize, x: usize, c: usize) -> usize {
    (y * usize::from(t.width) + x) * t.channels as usize + c
}

/// The output of an operator, given its inputs' elements and the weights section.
fn output(op: &Op, inputs: &[Values], section: &[u8]) -> Vec<i8> {
    match (op, inputs) {
        (Op::Conv2d(op), [input]) => conv2d(op, input, section),
        (Op::DepthwiseConv2d(op), [input]) => depthwise_conv2d(op, input, section),
        (Op::Dense(op), [input]) => dense(op, input, section),
        (Op::MaxPool2d(op), [input]) => max_pool2d(op, input),
        (Op::AveragePool2d(op), [input]) => average_pool2d(op, input),
        (Op::Add(op), [a, b]) => add(op, a, b),
        (Op::Clamp(op), [input]) => each(&op.output, |[y, x, c]| clamp(input.at(y, x, c).into(), op.activation)),
        (Op::Lookup(op), [input]) => each(&op.output, |[y, x, c]| {
            section[op.table as usize + (i32::from(input.at(y, x, c)) + 128) as usize] as i8
        }),
        (Op::Softmax(op), [input]) => softmax(op, input),
        (Op::Reshape(_), [input]) => input.elements.clone(),
        (Op::Mul(op), [a, b]) => mul(op, a, b),
        (Op::Mean(op), [input]) => mean(op, input),
        (Op::ReduceMax(op), [input]) => reduce_max(op, input),
        (Op::Pad(op), [input]) => pad(op, input),
        (Op::Concat(op), [a, b]) => concat(op, a, b),
        (Op::Constant(op), []) => {
            section[op.values as usize..][..op.output.len()].iter().map(|&value| value as i8).collect()
        }
        (op, inputs) => panic!("{op:?} does not have {} inputs", inputs.len()),
    }
}

/// A tensor's elements, given row, column and channel of each.
fn each(tensor: &Tensor, mut value: impl FnMut([usize; 3]) -> i8) -> Vec<i8> {
    let (width, channels) = (usize::from(tensor.width), tensor.channels as usize);
    (0..tensor.len()).map(|i| value([i / channels / width, i / channels % width, i % channels])).collect()
}

fn clamp(value: i64, activation: Activation) -> i8 {
    value.max(i64::from(activation.min)).min(i64::from(activation.max)) as i8
}

fn requantise(sum: i64, channel: ChannelParams, zero_point: i8, activation: Activation) -> i8 {
    let sum = i32::try_from(sum + i64::from(channel.bias)).expect("parse proved that no sum overflows");
    clamp(i64::from(channel.multiplier.apply(sum)) + i64::from(zero_point), activation)
}

/// The nearest integer, saturating; ties away from zero.
fn round_half_away(x: f64) -> i64 {
    let whole = x as i64;
    whole.saturating_add((2.0 * (x - whole as f64)) as i64)
}

/// Where in the input a tap of an output's window lies: row and column.
fn position(window: &Window, [y, x]: [usize; 2], [ky, kx]: [usize; 2]) -> [i64; 2] {
    let along = |output: usize, stride: u16, tap: usize, dilation: u16, pad: u16| {
        output as i64 * i64::from(stride) + tap as i64 * i64::from(dilation) - i64::from(pad)
    };
    let w = window;
    [along(y, w.stride_h, ky, w.dilation_h, w.pad_top), along(x, w.stride_w, kx, w.dilation_w, w.pad_left)]
}

/// The taps of a window, row by row.
fn taps(window: &Window) -> impl Iterator<Item = [usize; 2]> {
    let (height, width) = (usize::from(window.kernel_h), usize::from(window.kernel_w));
    (0..height).flat_map(move |ky| (0..width).map(move |kx| [ky, kx]))
}

fn conv2d(op: &Conv2d, input: &Values, section: &[u8]) -> Vec<i8> {
    let inputs = op.input.channels as usize;
    let layer = layer(op, section, inputs);
    convolution(op, &layer, |channel, [y, x]| {
        let weights = &layer.weights[channel];
        taps(&op.window)
            .enumerate()
            .map(|(tap, at)| {
                let [iy, ix] = position(&op.window, [y, x], at);
                let product = |c: usize| {
                    let value = input.inside(iy, ix, c).unwrap_or(op.input.zero_point);
                    i64::from(value) * i64::from(weights[tap * inputs + c])
                };
                (0..inputs).map(product).sum::<i64>()
            })
            .sum()
    })
}

fn depthwise_conv2d(op: &Conv2d, input: &Values, section: &[u8]) -> Vec<i8> {
    let multiplier = (op.output.channels / op.input.channels) as usize;
    let layer = weights::depthwise_layer(op, section);
    convolution(op, &layer, |channel, [y, x]| {
        let weights = &layer.weights[channel];
        taps(&op.window)
            .zip(weights)
            .map(|(at, &weight)| {
                let [iy, ix] = position(&op.window, [y, x], at);
                let value = input.inside(iy, ix, channel / multiplier).unwrap_or(op.input.zero_point);
                i64::from(value) * i64::from(weight)
            })
            .sum()
    })
}

/// A convolution's output, given the sum of products of an output channel and a pixel.
fn convolution(op: &Conv2d, layer: &Layer, sum: impl Fn(usize, [usize; 2]) -> i64) -> Vec<i8> {
    each(&op.output, |[y, x, c]| requantise(sum(c, [y, x]), layer.channels[c], op.output.zero_point, op.activation))
}

fn dense(op: &Dense, input: &Values, section: &[u8]) -> Vec<i8> {
    let (inputs, layer) = (op.inputs(), dense_layer(op, section));
    each(&op.output, |[y, x, c]| {
        let vector = &input.elements[(y * usize::from(op.output.width) + x) * inputs..][..inputs];
        let sum: i64 = vector.iter().zip(&layer.weights[c]).map(|(&x, &w)| i64::from(x) * i64::from(w)).sum();
        let channel = layer.channels[c];
        let scaled = (sum + i64::from(channel.bias)) as f64 * f64::from_bits(channel.multiplier.bits);
        clamp(round_half_away(scaled).saturating_add(i64::from(op.output.zero_point)), op.activation)
    })
}

/// The values under a window that lie in the input.
fn under_window(op: &Pool2d, input: &Values, [y, x, c]: [usize; 3]) -> Vec<i64> {
    let value = |at| {
        let [iy, ix] = position(&op.window, [y, x], at);
        input.inside(iy, ix, c).map(i64::from)
    };
    taps(&op.window).filter_map(value).collect()
}

fn max_pool2d(op: &Pool2d, input: &Values) -> Vec<i8> {
    each(&op.output, |at| {
        let largest = under_window(op, input, at).into_iter().max().unwrap_or(i8::MIN.into());
        clamp(largest, op.activation)
    })
}

fn average_pool2d(op: &Pool2d, input: &Values) -> Vec<i8> {
    each(&op.output, |at| {
        let values = under_window(op, input, at);
        let (sum, count) = (values.iter().sum::<i64>(), values.len() as i64);
        clamp(if sum > 0 { (sum + count / 2) / count } else { (sum - count / 2) / count }, op.activation)
    })
}

fn add(op: &Add, a: &Values, b: &Values) -> Vec<i8> {
    each(&op.output, |at| {
        let scaled =
            |values: &Values, multiplier: Multiplier| multiplier.apply(values.broadcast(at) * (1 << ADD_SHIFT));
        let sum = scaled(a, op.a_multiplier) + scaled(b, op.b_multiplier);
        clamp(i64::from(op.output_multiplier.apply(sum)) + i64::from(op.output.zero_point), op.activation)
    })
}

fn mul(op: &Mul, a: &Values, b: &Values) -> Vec<i8> {
    each(&op.output, |at| {
        let product = op.multiplier.apply(a.broadcast(at) * b.broadcast(at));
        clamp(i64::from(product) + i64::from(op.output.zero_point), op.activation)
    })
}

fn softmax(op: &Softmax, input: &Values) -> Vec<i8> {
    let pixels = input.elements.chunks(op.input.channels as usize);
    pixels.flat_map(|logits| softmax_of(op, logits)).collect()
}

fn softmax_of(op: &Softmax, logits: &[i8]) -> Vec<i8> {
    let largest = logits.iter().copied().max().map_or(0, i32::from);
    let exponential = |&logit: &i8| {
        let difference = i32::from(logit) - largest;
        (difference >= op.diff_min).then(|| fixed::exp_on_negative_values(op.multiplier.apply(difference)))
    };
    let terms = logits.iter().filter_map(exponential).map(|e| fixed::rounding_shift_right(e, 12));
    let sum: i32 = terms.sum();
    let headroom = sum.leading_zeros();
    let one_over = fixed::one_over_one_plus_x((((sum as u32) << headroom) - (1 << 31)) as i32);
    let shift = 35 - headroom;
    let share = |e: i32| if shift > 31 { 0 } else { fixed::rounding_shift_right(fixed::high_mul(one_over, e), shift) };
    let probability = |logit: &i8| clamp(i64::from(exponential(logit).map_or(0, share)) - 128, Activation::NONE);
    logits.iter().map(probability).collect()
}

fn mean(op: &Mean, input: &Values) -> Vec<i8> {
    let under = |at: usize, inputs: u16, outputs: u16| if outputs == 1 { 0..usize::from(inputs) } else { at..at + 1 };
    each(&op.output, |[y, x, c]| {
        let columns = under(x, op.input.width, op.output.width);
        let pixels = under(y, op.input.height, op.output.height).flat_map(|y| columns.clone().map(move |x| (y, x)));
        let sum: i64 = pixels.map(|(y, x)| i64::from(input.at(y, x, c)) - i64::from(op.input.zero_point)).sum();
        let sum = i32::try_from(sum).expect("parse proved that no sum overflows");
        clamp(i64::from(op.multiplier.apply(sum)) + i64::from(op.output.zero_point), Activation::NONE)
    })
}

fn reduce_max(op: &ReduceMax, input: &Values) -> Vec<i8> {
    let along = |at: usize, input: usize, output: usize| if output == 1 { 0..input } else { at..at + 1 };
    each(&op.output, |[y, x, c]| {
        let rows = along(y, op.input.height.into(), op.output.height.into());
        let columns = along(x, op.input.width.into(), op.output.width.into());
        let channels = along(c, op.input.channels as usize, op.output.channels as usize);
        let pixels = rows.flat_map(|y| columns.clone().map(move |x| (y, x)));
        let values = pixels.flat_map(|(y, x)| channels.clone().map(move |c| input.at(y, x, c)));
        values.max().expect("no side of a tensor is 0")
    })
}

fn pad(op: &Pad, input: &Values) -> Vec<i8> {
    each(&op.output, |[y, x, c]| {
        let (from_y, from_x) = (y as i64 - i64::from(op.top), x as i64 - i64::from(op.left));
        let inside = (op.front as usize..(op.front + op.input.channels) as usize).contains(&c);
        let value = if inside { input.inside(from_y, from_x, c - op.front as usize) } else { None };
        value.unwrap_or(op.value)
    })
}

fn concat(op: &Concat, a: &Values, b: &Values) -> Vec<i8> {
    let (height, width, channels) = (usize::from(op.a.height), usize::from(op.a.width), op.a.channels as usize);
    each(&op.output, |[y, x, c]| {
        if y < height && x < width && c < channels {
            a.at(y, x, c)
        } else if op.output.height > op.a.height {
            b.at(y - height, x, c)
        } else if op.output.width > op.a.width {
            b.at(y, x - width, c)
        } else {
            b.at(y, x, c - channels)
        }
    })
}
