//! Each operator as naive loops: the specification, and the oracle of the tests. Slow, and may use more stack.
//!
//! Written independently of the kernels: a value is read by its coordinates, a sum is taken in 64 bits, and padding is
//! decided for every tap.

use core::ops::Range;

use crate::fixed;
use crate::format::{
    ADD_SHIFT, Activation, Clamp, Concat, Constant, Conv2d, Lookup, Mean, Mul, Pad, Pool2d, Reshape, Softmax, Tensor,
};
use crate::kernels::Kernels;
use crate::ops::{AddLayer, ChannelParams, Constants, ConvLayer, DenseLayer, Form};

/// Longest input in bytes of a convolution whose output lies over it: it is copied to the stack.
pub const COPY_MAX: usize = 1 << 17;

/// Most input channels of a convolution with transformed weights.
const CHANNELS_MAX: usize = Form::F2x2.channels_max() as usize;

/// The oracle as a kernel set.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reference;

fn index(t: &Tensor, y: usize, x: usize, c: usize) -> usize {
    t.offset as usize + (y * usize::from(t.width) + x) * t.channels as usize + c
}

/// The element at these coordinates, or `None` in the padding.
fn at(arena: &[i8], t: &Tensor, y: i64, x: i64, c: usize) -> Option<i8> {
    let inside = (0..i64::from(t.height)).contains(&y) && (0..i64::from(t.width)).contains(&x);
    inside.then(|| arena[index(t, y as usize, x as usize, c)])
}

/// The element at these coordinates of the output less the zero point; along sides of 1 there is one for all of them.
fn broadcast(arena: &[i8], t: &Tensor, y: usize, x: usize, c: usize) -> i32 {
    let y = if t.height == 1 { 0 } else { y };
    let x = if t.width == 1 { 0 } else { x };
    let c = if t.channels == 1 { 0 } else { c };
    i32::from(arena[index(t, y, x, c)]) - i32::from(t.zero_point)
}

/// Position in the input of a tap of an output's window.
fn position(output: usize, stride: u16, tap: usize, dilation: u16, pad: u16) -> i64 {
    output as i64 * i64::from(stride) + tap as i64 * i64::from(dilation) - i64::from(pad)
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

fn for_each_output(t: &Tensor, rows: Range<usize>, mut f: impl FnMut(usize, usize, usize)) {
    for y in rows {
        for x in 0..usize::from(t.width) {
            for c in 0..t.channels as usize {
                f(y, x, c);
            }
        }
    }
}

fn channel(layer: &ConvLayer<'_>, c: usize) -> ChannelParams {
    layer.channel(c).expect("one entry an output channel")
}

/// Sum over the window of `weight(ky, kx, ci) · input(ci)`, the padding being the input's zero point.
fn convolve(
    arena: &[i8],
    op: &Conv2d,
    (y, x): (usize, usize),
    channels: Range<usize>,
    weight: impl Fn(usize, usize, usize) -> i8,
) -> i64 {
    let w = &op.window;
    let mut sum = 0;
    for ky in 0..usize::from(w.kernel_h) {
        for kx in 0..usize::from(w.kernel_w) {
            for c in channels.clone() {
                let iy = position(y, w.stride_h, ky, w.dilation_h, w.pad_top);
                let ix = position(x, w.stride_w, kx, w.dilation_w, w.pad_left);
                let value = at(arena, &op.input, iy, ix, c).unwrap_or(op.input.zero_point);
                sum += i64::from(value) * i64::from(weight(ky, kx, c));
            }
        }
    }
    sum
}

/// Writes `of_channel(channel)(input, op, (row, column))` to each element of output rows `rows`; `op.input` names the place
/// in `input`, which is a copy where the output lies over the input in the arena.
fn for_each_value<F: Fn(&[i8], &Conv2d, (usize, usize)) -> i8>(
    arena: &mut [i8],
    op: &Conv2d,
    rows: Range<usize>,
    of_channel: impl Fn(usize) -> F,
) {
    let from_copy = Conv2d { input: Tensor { offset: 0, ..op.input }, ..*op };
    let copy = op.input.overlaps(&op.output).then(|| {
        let mut copy = [0; COPY_MAX];
        copy[..op.input.len()].copy_from_slice(&arena[op.input.range()]);
        copy
    });
    for c in 0..op.output.channels as usize {
        let value = of_channel(c);
        for (y, x) in rows.clone().flat_map(|y| (0..usize::from(op.output.width)).map(move |x| (y, x))) {
            let (input, from) = copy.as_ref().map_or((&*arena, op), |copy| (&copy[..], &from_copy));
            arena[index(&op.output, y, x, c)] = value(input, from, (y, x));
        }
    }
}

/// The weights of an output channel, row by row, where they have to be recovered: of each input channel once.
fn recovered(layer: &ConvLayer<'_>, output: usize) -> Option<[[[i8; 3]; 3]; CHANNELS_MAX]> {
    let Constants::Winograd(winograd) = &layer.constants else { return None };
    Some(core::array::from_fn(|input| {
        if input < layer.op.input.channels as usize { winograd.weights(output, input) } else { [[0; 3]; 3] }
    }))
}

/// The values under a window that lie in the input.
fn under_window(arena: &[i8], op: &Pool2d, y: usize, x: usize, c: usize, mut f: impl FnMut(i8)) {
    let w = &op.window;
    for ky in 0..usize::from(w.kernel_h) {
        for kx in 0..usize::from(w.kernel_w) {
            let iy = position(y, w.stride_h, ky, 1, w.pad_top);
            let ix = position(x, w.stride_w, kx, 1, w.pad_left);
            if let Some(value) = at(arena, &op.input, iy, ix, c) {
                f(value);
            }
        }
    }
}

impl Kernels for Reference {
    fn conv2d(arena: &mut [i8], layer: &ConvLayer<'_>, rows: Range<usize>) {
        let inputs = layer.op.input.channels as usize;
        let kernel_w = usize::from(layer.op.window.kernel_w);
        for_each_value(arena, layer.op, rows, |c| {
            let (recovered, channel) = (recovered(layer, c), channel(layer, c));
            move |input, op, (y, x)| {
                let weight = |ky: usize, kx: usize, ci: usize| match &recovered {
                    Some(weights) => weights[ci][ky][kx],
                    None => layer.weight(c, (ky * kernel_w + kx) * inputs + ci, false),
                };
                let sum = convolve(input, op, (y, x), 0..inputs, weight);
                requantise(sum, channel, op.output.zero_point, op.activation)
            }
        });
    }

    fn depthwise_conv2d(arena: &mut [i8], layer: &ConvLayer<'_>, rows: Range<usize>) {
        let multiplier = layer.op.output.channels as usize / layer.op.input.channels as usize;
        let kernel_w = usize::from(layer.op.window.kernel_w);
        for_each_value(arena, layer.op, rows, |c| {
            let channel = channel(layer, c);
            move |input, op, (y, x)| {
                let weight = |ky, kx, _| layer.weight(c, ky * kernel_w + kx, true);
                let sum = convolve(input, op, (y, x), c / multiplier..c / multiplier + 1, weight);
                requantise(sum, channel, op.output.zero_point, op.activation)
            }
        });
    }

    fn dense(arena: &mut [i8], layer: &DenseLayer<'_>) {
        let op = layer.op;
        let inputs = op.inputs();
        for_each_output(&op.output, 0..usize::from(op.output.height), |y, x, c| {
            let vector = op.input.offset as usize + (y * usize::from(op.output.width) + x) * inputs;
            let sum: i64 = (0..inputs).map(|i| i64::from(arena[vector + i]) * i64::from(layer.weight(c, i))).sum();
            let channel = layer.channels.iter().nth(c).expect("one entry an output");
            let scaled = (sum + i64::from(channel.bias)) as f64 * f64::from_bits(channel.multiplier.bits);
            let value = round_half_away(scaled).saturating_add(i64::from(op.output.zero_point));
            arena[index(&op.output, y, x, c)] = clamp(value, op.activation);
        });
    }

    fn max_pool2d(arena: &mut [i8], op: &Pool2d, rows: Range<usize>) {
        for_each_output(&op.output, rows, |y, x, c| {
            let mut largest = i8::MIN;
            under_window(arena, op, y, x, c, |value| largest = largest.max(value));
            arena[index(&op.output, y, x, c)] = clamp(i64::from(largest), op.activation);
        });
    }

    fn average_pool2d(arena: &mut [i8], op: &Pool2d, rows: Range<usize>) {
        for_each_output(&op.output, rows, |y, x, c| {
            let (mut sum, mut count) = (0_i64, 0_i64);
            under_window(arena, op, y, x, c, |value| {
                sum += i64::from(value);
                count += 1;
            });
            let mean = if sum > 0 { (sum + count / 2) / count } else { (sum - count / 2) / count };
            arena[index(&op.output, y, x, c)] = clamp(mean, op.activation);
        });
    }

    fn add(arena: &mut [i8], layer: &AddLayer<'_>, rows: Range<usize>) {
        let op = layer.op;
        for_each_output(&op.output, rows, |y, x, c| {
            let scaled = |t: &Tensor, multiplier: fixed::Multiplier| {
                multiplier.apply(broadcast(arena, t, y, x, c) * (1 << ADD_SHIFT))
            };
            let sum = scaled(&op.a, op.a_multiplier) + scaled(&op.b, op.b_multiplier);
            let value = i64::from(op.output_multiplier.apply(sum)) + i64::from(op.output.zero_point);
            arena[index(&op.output, y, x, c)] = clamp(value, op.activation);
        });
    }

    fn clamp(arena: &mut [i8], op: &Clamp, rows: Range<usize>) {
        for_each_output(&op.output, rows, |y, x, c| {
            let value = arena[index(&op.input, y, x, c)];
            arena[index(&op.output, y, x, c)] = clamp(i64::from(value), op.activation);
        });
    }

    fn lookup(arena: &mut [i8], op: &Lookup, table: &[u8; 256], rows: Range<usize>) {
        for_each_output(&op.output, rows, |y, x, c| {
            let value = arena[index(&op.input, y, x, c)];
            arena[index(&op.output, y, x, c)] = table[(i32::from(value) + 128) as usize] as i8;
        });
    }

    fn softmax(arena: &mut [i8], op: &Softmax, rows: Range<usize>) {
        let channels = op.input.channels as usize;
        for (y, x) in rows.flat_map(|y| (0..usize::from(op.input.width)).map(move |x| (y, x))) {
            let value = |arena: &[i8], c: usize| i32::from(arena[index(&op.input, y, x, c)]);
            let largest = (0..channels).map(|c| value(arena, c)).max().expect("parse refuses empty tensors");
            let mut sum = 0;
            for c in 0..channels {
                let difference = value(arena, c) - largest;
                if difference >= op.diff_min {
                    let e = fixed::exp_on_negative_values(op.multiplier.apply(difference));
                    sum += fixed::rounding_shift_right(e, 12);
                }
            }
            let headroom = sum.leading_zeros();
            let one_over = fixed::one_over_one_plus_x((((sum as u32) << headroom) - (1 << 31)) as i32);
            let shift = 35 - headroom;
            for c in 0..channels {
                let difference = value(arena, c) - largest;
                let mut share = 0;
                if difference >= op.diff_min && shift <= 31 {
                    let e = fixed::exp_on_negative_values(op.multiplier.apply(difference));
                    share = fixed::rounding_shift_right(fixed::high_mul(one_over, e), shift);
                }
                arena[index(&op.output, y, x, c)] = clamp(i64::from(share) - 128, Activation::NONE);
            }
        }
    }

    fn reshape(arena: &mut [i8], op: &Reshape) {
        arena.copy_within(op.input.range(), op.output.offset as usize);
    }

    fn mul(arena: &mut [i8], op: &Mul, rows: Range<usize>) {
        for_each_output(&op.output, rows, |y, x, c| {
            let product = broadcast(arena, &op.a, y, x, c) * broadcast(arena, &op.b, y, x, c);
            let value = i64::from(op.multiplier.apply(product)) + i64::from(op.output.zero_point);
            arena[index(&op.output, y, x, c)] = clamp(value, op.activation);
        });
    }

    fn mean(arena: &mut [i8], op: &Mean, rows: Range<usize>) {
        for_each_output(&op.output, rows, |y, x, c| {
            let mut sum = 0_i64;
            for from_y in (0..usize::from(op.input.height)).filter(|&from| op.output.height == 1 || from == y) {
                for from_x in (0..usize::from(op.input.width)).filter(|&from| op.output.width == 1 || from == x) {
                    let value = arena[index(&op.input, from_y, from_x, c)];
                    sum += i64::from(value) - i64::from(op.input.zero_point);
                }
            }
            let sum = i32::try_from(sum).expect("parse proved that no sum overflows");
            let value = i64::from(op.multiplier.apply(sum)) + i64::from(op.output.zero_point);
            arena[index(&op.output, y, x, c)] = clamp(value, Activation::NONE);
        });
    }

    fn pad(arena: &mut [i8], op: &Pad, rows: Range<usize>) {
        for_each_output(&op.output, rows, |y, x, c| {
            let (from_y, from_x) = (y as i64 - i64::from(op.top), x as i64 - i64::from(op.left));
            let inside = (op.front as usize..(op.front + op.input.channels) as usize).contains(&c);
            let value = if inside { at(arena, &op.input, from_y, from_x, c - op.front as usize) } else { None };
            arena[index(&op.output, y, x, c)] = value.unwrap_or(op.value);
        });
    }

    fn concat(arena: &mut [i8], op: &Concat, rows: Range<usize>) {
        let (a, b) = (&op.a, &op.b);
        for_each_output(&op.output, rows, |y, x, c| {
            let (height, width, channels) = (usize::from(a.height), usize::from(a.width), a.channels as usize);
            arena[index(&op.output, y, x, c)] = if y < height && x < width && c < channels {
                arena[index(a, y, x, c)]
            } else if op.output.height > a.height {
                arena[index(b, y - height, x, c)]
            } else if op.output.width > a.width {
                arena[index(b, y, x - width, c)]
            } else {
                arena[index(b, y, x, c - channels)]
            };
        });
    }

    fn constant(arena: &mut [i8], op: &Constant, values: &[u8]) {
        for i in 0..op.output.len() {
            arena[op.output.offset as usize + i] = values[i] as i8;
        }
    }
}
