//! Kernels for any target: safe Rust without panics, written so that compilers vectorise the inner loops.

pub(super) mod dense;
mod depthwise;
mod packed;
mod walk;
mod winograd;

use core::cell::Cell;
use core::ops::Range;

use self::depthwise::packed_depthwise;
use self::packed::packed_conv2d;
use self::walk::{BLOCK, map, pixel, pixel_values, place, row_len, sum_channels, zip_map};
use super::Kernels;
use super::copy::copy;
use super::window::{Taps, gather, horizontal_taps, vertical_taps};
use crate::fixed::{self, clamp_i8};
use crate::format::{
    ADD_SHIFT, Activation, Clamp, Concat, Constant, Conv2d, Lookup, Mean, Mul, Op, Pad, Pool2d, Reshape, Softmax,
};
use crate::ops::{AddLayer, Channels, Constants, ConvLayer, DenseLayer, DenseWeights, OutputParams, PatchOrder};

/// Kernels for any target.
#[derive(Clone, Copy, Debug, Default)]
pub struct Generic;

impl Kernels for Generic {
    fn conv2d(arena: &mut [i8], layer: &ConvLayer<'_>, rows: Range<usize>) {
        let op = layer.op;
        let (weights, channels) = match &layer.constants {
            Constants::Plain { weights, channels } => (*weights, *channels),
            Constants::Packed(packed) => return packed_conv2d(arena, op, packed, rows),
            Constants::Winograd(winograd) => return winograd::conv2d(arena, op, winograd, rows),
            Constants::Depthwise(_) => return,
        };
        let patch_len = PatchOrder::conv2d(op).len();
        let scratch = op.scratch as usize..op.scratch as usize + Op::Conv2d(*op).scratch_len() as usize;
        for y in rows {
            let vertical = vertical_taps(&op.window, y, &op.input);
            for x in 0..usize::from(op.output.width) {
                let horizontal = horizontal_taps(&op.window, x, &op.input);
                let regions = arena.get_disjoint_mut([op.input.range(), scratch.clone(), pixel(&op.output, y, x)]);
                let Ok([input, patch, output]) = regions else { return };
                gather(op, input, patch, vertical, horizontal);
                let rows = weights.chunks_exact(patch_len.max(1));
                for ((out, weights), channel) in output.iter_mut().zip(rows).zip(channels.iter()) {
                    *out = epilogue(dot(patch, weights), &channel, op.output.zero_point, op.activation);
                }
            }
        }
    }

    fn depthwise_conv2d(arena: &mut [i8], layer: &ConvLayer<'_>, rows: Range<usize>) {
        let op = layer.op;
        let (weights, channels) = match &layer.constants {
            Constants::Plain { weights, channels } => (*weights, *channels),
            Constants::Depthwise(packed) => return packed_depthwise(arena, op, packed, rows),
            Constants::Packed(_) | Constants::Winograd(_) => return,
        };
        for y in rows {
            let vertical = vertical_taps(&op.window, y, &op.input);
            for x in 0..usize::from(op.output.width) {
                let horizontal = horizontal_taps(&op.window, x, &op.input);
                depthwise_pixel(arena, op, (weights, channels), pixel(&op.output, y, x), vertical, horizontal);
            }
        }
    }

    fn dense(arena: &mut [i8], layer: &DenseLayer<'_>) {
        match layer.weights {
            DenseWeights::Plain(weights) => dense::plain(arena, layer, weights),
            DenseWeights::Packed(blocks) => dense::packed(arena, layer, blocks),
        }
    }

    fn max_pool2d(arena: &mut [i8], op: &Pool2d, rows: Range<usize>) {
        pool(arena, op, rows, |input, output, vertical, horizontal| {
            output.fill(i8::MIN);
            for values in pixel_values(input, &op.input, window_pixels(vertical, horizontal)) {
                for (out, &value) in output.iter_mut().zip(values) {
                    *out = value.max(*out);
                }
            }
            for out in output {
                *out = clamp_i8(i32::from(*out), op.activation.min, op.activation.max);
            }
        });
    }

    fn average_pool2d(arena: &mut [i8], op: &Pool2d, rows: Range<usize>) {
        pool(arena, op, rows, |input, output, vertical, horizontal| {
            let count = (vertical.inside().len() * horizontal.inside().len()) as i32;
            let pixels = window_pixels(vertical, horizontal);
            sum_channels(input, &op.input, pixels, output, |sum| {
                clamp_i8(rounded_mean(sum, count), op.activation.min, op.activation.max)
            });
        });
    }

    fn add(arena: &mut [i8], layer: &AddLayer<'_>, rows: Range<usize>) {
        let op = layer.op;
        zip_map(arena, [&op.a, &op.b], &op.output, rows, |a, b| {
            let a = op.a_multiplier.apply((i32::from(a) - i32::from(op.a.zero_point)) << ADD_SHIFT);
            let b = op.b_multiplier.apply((i32::from(b) - i32::from(op.b.zero_point)) << ADD_SHIFT);
            let sum = op.output_multiplier.apply(a.wrapping_add(b));
            clamp_i8(sum.saturating_add(i32::from(op.output.zero_point)), op.activation.min, op.activation.max)
        });
    }

    fn clamp(arena: &mut [i8], op: &Clamp, rows: Range<usize>) {
        let Activation { min, max } = op.activation;
        map(arena, &op.input, &op.output, rows, |value| clamp_i8(i32::from(value), min, max));
    }

    fn lookup(arena: &mut [i8], op: &Lookup, table: &[u8; 256], rows: Range<usize>) {
        map(arena, &op.input, &op.output, rows, |value| table[usize::from(value as u8 ^ 0x80)] as i8);
    }

    fn softmax(arena: &mut [i8], op: &Softmax, rows: Range<usize>) {
        for y in rows {
            for x in 0..usize::from(op.output.width) {
                let regions = arena.get_disjoint_mut([pixel(&op.input, y, x), pixel(&op.output, y, x)]);
                let Ok([input, output]) = regions else { return };
                softmax_pixel(op, input, output);
            }
        }
    }

    fn reshape(arena: &mut [i8], op: &Reshape) {
        if op.input.offset != op.output.offset {
            let cells = Cell::from_mut(arena).as_slice_of_cells();
            let [input, output] = [&op.input, &op.output].map(|tensor| cells.get(tensor.range()).unwrap_or_default());
            copy(input, output);
        }
    }

    fn mul(arena: &mut [i8], op: &Mul, rows: Range<usize>) {
        zip_map(arena, [&op.a, &op.b], &op.output, rows, |a, b| {
            let a = i32::from(a) - i32::from(op.a.zero_point);
            let b = i32::from(b) - i32::from(op.b.zero_point);
            let product = op.multiplier.apply(a * b).saturating_add(i32::from(op.output.zero_point));
            clamp_i8(product, op.activation.min, op.activation.max)
        });
    }

    fn mean(arena: &mut [i8], op: &Mean, rows: Range<usize>) {
        let zero_points = (op.count() as i32).wrapping_mul(i32::from(op.input.zero_point));
        let under =
            |at: usize, input: u16, output: u16| if input == output { at..at + 1 } else { 0..usize::from(input) };
        for y in rows {
            for x in 0..usize::from(op.output.width) {
                let regions = arena.get_disjoint_mut([op.input.range(), pixel(&op.output, y, x)]);
                let Ok([input, output]) = regions else { return };
                let rows = under(y, op.input.height, op.output.height);
                let columns = under(x, op.input.width, op.output.width);
                let pixels = rows.flat_map(|y| columns.clone().map(move |x| (y, x)));
                sum_channels(input, &op.input, pixels, output, |sum| {
                    let mean = op.multiplier.apply(sum.wrapping_sub(zero_points));
                    clamp_i8(mean.saturating_add(i32::from(op.output.zero_point)), i8::MIN, i8::MAX)
                });
            }
        }
    }

    fn pad(arena: &mut [i8], op: &Pad, rows: Range<usize>) {
        let row = row_len(&op.output);
        let start = op.output.offset as usize + row * rows.start;
        arena.get_mut(start..start + row * rows.len()).unwrap_or_default().fill(op.value);
        let corner = [usize::from(op.top), usize::from(op.left), op.front as usize];
        place(arena, &op.input, &op.output, corner, rows);
    }

    fn concat(arena: &mut [i8], op: &Concat, rows: Range<usize>) {
        let corner = [
            usize::from(op.output.height.saturating_sub(op.b.height)),
            usize::from(op.output.width.saturating_sub(op.b.width)),
            op.output.channels.saturating_sub(op.b.channels) as usize,
        ];
        place(arena, &op.a, &op.output, [0; 3], rows.clone());
        place(arena, &op.b, &op.output, corner, rows);
    }

    fn constant(arena: &mut [i8], op: &Constant, values: &[u8]) {
        let output = arena.get_mut(op.output.range()).unwrap_or_default();
        for (out, &value) in output.iter_mut().zip(values) {
            *out = value as i8;
        }
    }
}

fn softmax_pixel(op: &Softmax, input: &[i8], output: &mut [i8]) {
    let largest = input.iter().copied().max().unwrap_or(0);
    let exponential = |value: i8| {
        let difference = i32::from(value) - i32::from(largest);
        if difference < op.diff_min { 0 } else { fixed::exp_on_negative_values(op.multiplier.apply(difference)) }
    };
    // Those of the first classes are kept.
    let mut exponentials = [0; 16];
    let mut sum = 0_i32;
    for (class, &value) in input.iter().enumerate() {
        let e = exponential(value);
        if let Some(slot) = exponentials.get_mut(class) {
            *slot = e;
        }
        sum = sum.wrapping_add(fixed::rounding_shift_right(e, 12));
    }
    let headroom = sum.leading_zeros();
    let mantissa = ((sum as u32).checked_shl(headroom).unwrap_or(0)).wrapping_sub(1 << 31) as i32;
    let scale = fixed::one_over_one_plus_x(mantissa);
    // From Q0.31 to 8 bits, times the power of two that normalised the sum (12 integer bits).
    let shift = (12 + 23_u32).wrapping_sub(headroom);
    for (class, (out, &value)) in output.iter_mut().zip(input.iter()).enumerate() {
        let e = exponentials.get(class).copied().unwrap_or_else(|| exponential(value));
        let share = if shift <= 31 { fixed::rounding_shift_right(fixed::high_mul(scale, e), shift) } else { 0 };
        *out = clamp_i8(share.saturating_sub(128), i8::MIN, i8::MAX);
    }
}

fn dot(values: &[i8], weights: &[u8]) -> i32 {
    let products = values.iter().zip(weights).map(|(&x, &w)| i32::from(x) * i32::from(w as i8));
    products.fold(0, i32::wrapping_add)
}

pub(super) fn epilogue(sum: i32, channel: &impl OutputParams, zero_point: i8, activation: Activation) -> i8 {
    let scaled = channel.scale(sum.wrapping_add(channel.bias()));
    clamp_i8(scaled.saturating_add(i32::from(zero_point)), activation.min, activation.max)
}

fn depthwise_pixel(
    arena: &mut [i8],
    op: &Conv2d,
    (weights, channels): (&[u8], Channels<'_>),
    out: Range<usize>,
    vertical: Taps,
    horizontal: Taps,
) {
    let outputs = op.output.channels as usize;
    let multiplier = outputs.checked_div(op.input.channels as usize).unwrap_or(1);
    for first in (0..outputs).step_by(BLOCK) {
        let mut sums = [0_i32; BLOCK];
        for (tap, weights) in weights.chunks_exact(outputs.max(1)).enumerate() {
            let weights = weights.get(first..).unwrap_or_default();
            let kernel_w = usize::from(op.window.kernel_w).max(1);
            let (tap_y, tap_x) = (tap / kernel_w, tap % kernel_w);
            if !vertical.inside().contains(&tap_y) || !horizontal.inside().contains(&tap_x) {
                accumulate(&mut sums, weights, core::iter::repeat(op.input.zero_point));
                continue;
            }
            let (y, x) =
                (vertical.position(tap_y, op.window.dilation_h), horizontal.position(tap_x, op.window.dilation_w));
            let values = arena.get(pixel(&op.input, y, x)).unwrap_or_default();
            if multiplier == 1 {
                accumulate(&mut sums, weights, values.get(first..).unwrap_or_default().iter().copied());
            } else {
                let value = |c: usize| c.checked_div(multiplier).and_then(|c| values.get(c)).copied().unwrap_or(0);
                accumulate(&mut sums, weights, (first..outputs).map(value));
            }
        }
        let output = arena.get_mut(out.clone()).and_then(|out| out.get_mut(first..)).unwrap_or_default();
        for ((out, &sum), channel) in output.iter_mut().zip(&sums).zip(channels.skip(first).iter()) {
            *out = epilogue(sum, &channel, op.output.zero_point, op.activation);
        }
    }
}

fn accumulate(sums: &mut [i32; BLOCK], weights: &[u8], values: impl Iterator<Item = i8>) {
    for ((sum, &weight), value) in sums.iter_mut().zip(weights).zip(values) {
        *sum = sum.wrapping_add(i32::from(value) * i32::from(weight as i8));
    }
}

/// Calls `reduce(input, output pixel, taps)` for every output pixel.
fn pool(arena: &mut [i8], op: &Pool2d, rows: Range<usize>, reduce: impl Fn(&[i8], &mut [i8], Taps, Taps)) {
    for y in rows {
        let vertical = vertical_taps(&op.window, y, &op.input);
        for x in 0..usize::from(op.output.width) {
            let horizontal = horizontal_taps(&op.window, x, &op.input);
            let regions = arena.get_disjoint_mut([op.input.range(), pixel(&op.output, y, x)]);
            let Ok([input, output]) = regions else { return };
            reduce(input, output, vertical, horizontal);
        }
    }
}

/// Row and column of each tap of a window that lies in the input.
fn window_pixels(vertical: Taps, horizontal: Taps) -> impl Iterator<Item = (usize, usize)> + Clone {
    let rows = vertical.inside().map(move |tap| vertical.position(tap, 1));
    rows.flat_map(move |y| horizontal.inside().map(move |tap| (y, horizontal.position(tap, 1))))
}

/// `sum / count`, rounded half away from zero.
pub(super) fn rounded_mean(sum: i32, count: i32) -> i32 {
    let half = count / 2;
    let rounded = if sum > 0 { sum.wrapping_add(half) } else { sum.wrapping_sub(half) };
    rounded.checked_div(count).unwrap_or(0)
}
