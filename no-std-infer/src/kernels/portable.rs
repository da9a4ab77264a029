//! Kernels for any target: safe Rust without panics, written so that compilers vectorise the inner loops.

use core::ops::Range;

use super::{Kernels, Taps, taps};
use crate::fixed::{self, clamp_i8};
use crate::format::{ADD_SHIFT, Activation, Add, Clamp, Lookup, Pool2d, Reshape, Softmax, Tensor, Window};
use crate::ops::{ChannelParams, ConvLayer, DenseLayer};

/// Channels that are accumulated side by side.
const BLOCK: usize = 16;

/// Kernels for any target.
#[derive(Clone, Copy, Debug, Default)]
pub struct Portable;

impl Kernels for Portable {
    fn conv2d(arena: &mut [i8], layer: &ConvLayer<'_>, rows: Range<usize>) {
        let op = layer.op;
        let patch_len = op.window.taps() * op.input.channels as usize;
        let scratch = op.scratch as usize..op.scratch as usize + patch_len;
        for y in rows {
            let vertical = vertical_taps(&op.window, y, &op.input);
            for x in 0..usize::from(op.output.width) {
                let horizontal = horizontal_taps(&op.window, x, &op.input);
                gather(arena, layer, scratch.start, vertical, horizontal);
                let regions = arena.get_disjoint_mut([scratch.clone(), pixel(&op.output, y, x)]);
                let Ok([patch, output]) = regions else { return };
                let rows = layer.weights.chunks_exact(patch_len.max(1));
                for ((out, weights), channel) in output.iter_mut().zip(rows).zip(layer.channels.iter()) {
                    *out = epilogue(dot(patch, weights), channel, op.output.zero_point, op.activation);
                }
            }
        }
    }

    fn depthwise_conv2d(arena: &mut [i8], layer: &ConvLayer<'_>, rows: Range<usize>) {
        let op = layer.op;
        for y in rows {
            let vertical = vertical_taps(&op.window, y, &op.input);
            for x in 0..usize::from(op.output.width) {
                let horizontal = horizontal_taps(&op.window, x, &op.input);
                depthwise_pixel(arena, layer, pixel(&op.output, y, x), vertical, horizontal);
            }
        }
    }

    fn dense(arena: &mut [i8], layer: &DenseLayer<'_>) {
        let op = layer.op;
        let regions = arena.get_disjoint_mut([op.input.range(), op.output.range()]);
        let Ok([input, output]) = regions else { return };
        let rows = layer.weights.chunks_exact(input.len().max(1));
        for ((out, weights), channel) in output.iter_mut().zip(rows).zip(layer.channels.iter()) {
            *out = epilogue(dot(input, weights), channel, op.output.zero_point, op.activation);
        }
    }

    fn max_pool2d(arena: &mut [i8], op: &Pool2d, rows: Range<usize>) {
        pool(arena, op, rows, |input, output, vertical, horizontal| {
            output.fill(i8::MIN);
            for tap in window_pixels(input, &op.input, vertical, horizontal) {
                for (out, &value) in output.iter_mut().zip(tap) {
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
            for (block, outputs) in output.chunks_mut(BLOCK).enumerate() {
                let mut sums = [0_i32; BLOCK];
                for tap in window_pixels(input, &op.input, vertical, horizontal) {
                    let values = tap.get(block * BLOCK..).unwrap_or_default();
                    for (sum, &value) in sums.iter_mut().zip(values) {
                        *sum = sum.wrapping_add(i32::from(value));
                    }
                }
                for (out, &sum) in outputs.iter_mut().zip(&sums) {
                    *out = clamp_i8(rounded_mean(sum, count), op.activation.min, op.activation.max);
                }
            }
        });
    }

    fn add(arena: &mut [i8], op: &Add, rows: Range<usize>) {
        let sum = |a: i8, b: i8| {
            let a = op.a_multiplier.apply((i32::from(a) - i32::from(op.a.zero_point)) << ADD_SHIFT);
            let b = op.b_multiplier.apply((i32::from(b) - i32::from(op.b.zero_point)) << ADD_SHIFT);
            let sum = op.output_multiplier.apply(a.wrapping_add(b));
            clamp_i8(sum.saturating_add(i32::from(op.output.zero_point)), op.activation.min, op.activation.max)
        };
        let len = row_len(&op.output) * rows.len();
        let start = row_len(&op.output) * rows.start;
        let (a, b) = (op.a.offset as usize + start, op.b.offset as usize + start);
        let output = op.output.offset as usize + start;
        for i in 0..len {
            let (Some(&a), Some(&b)) = (arena.get(a + i), arena.get(b + i)) else { return };
            let Some(out) = arena.get_mut(output + i) else { return };
            *out = sum(a, b);
        }
    }

    fn clamp(arena: &mut [i8], op: &Clamp, rows: Range<usize>) {
        let Activation { min, max } = op.activation;
        map(arena, &op.input, &op.output, rows, |value| clamp_i8(i32::from(value), min, max));
    }

    fn lookup(arena: &mut [i8], op: &Lookup, table: &[u8; 256], rows: Range<usize>) {
        map(arena, &op.input, &op.output, rows, |value| table[usize::from(value as u8 ^ 0x80)] as i8);
    }

    fn softmax(arena: &mut [i8], op: &Softmax) {
        let regions = arena.get_disjoint_mut([op.input.range(), op.output.range()]);
        let Ok([input, output]) = regions else { return };
        let largest = input.iter().copied().max().unwrap_or(0);
        let exponential = |value: i8| {
            let difference = i32::from(value) - i32::from(largest);
            (difference >= op.diff_min).then(|| fixed::exp_on_negative_values(op.multiplier.apply(difference)))
        };
        let sum = input.iter().filter_map(|&value| exponential(value));
        let sum = sum.fold(0_i32, |sum, e| sum.wrapping_add(fixed::rounding_shift_right(e, 12)));
        let headroom = sum.leading_zeros();
        let mantissa = ((sum as u32).checked_shl(headroom).unwrap_or(0)).wrapping_sub(1 << 31) as i32;
        let scale = fixed::one_over_one_plus_x(mantissa);
        // From Q0.31 to 8 bits, times the power of two that normalised the sum (12 integer bits).
        let shift = (12 + 23_u32).wrapping_sub(headroom);
        for (out, &value) in output.iter_mut().zip(input.iter()) {
            let share = match exponential(value) {
                Some(e) if shift <= 31 => fixed::rounding_shift_right(fixed::high_mul(scale, e), shift),
                _ => 0,
            };
            *out = clamp_i8(share.saturating_sub(128), i8::MIN, i8::MAX);
        }
    }

    fn reshape(arena: &mut [i8], op: &Reshape) {
        // Regions that are not apart are one and the same, and there is nothing to do.
        let input = op.input.range();
        copy(arena, input.start, op.output.offset as usize, input.len());
    }
}

fn vertical_taps(window: &Window, y: usize, input: &Tensor) -> Taps {
    taps(y, window.stride_h, window.pad_top, window.kernel_h, window.dilation_h, input.height)
}

fn horizontal_taps(window: &Window, x: usize, input: &Tensor) -> Taps {
    taps(x, window.stride_w, window.pad_left, window.kernel_w, window.dilation_w, input.width)
}

fn row_len(tensor: &Tensor) -> usize {
    usize::from(tensor.width) * tensor.channels as usize
}

/// Where in the arena the channels of one pixel lie.
fn pixel(tensor: &Tensor, y: usize, x: usize) -> Range<usize> {
    let channels = tensor.channels as usize;
    let start = tensor.offset as usize + (y * usize::from(tensor.width) + x) * channels;
    start..start + channels
}

fn dot(values: &[i8], weights: &[u8]) -> i32 {
    let products = values.iter().zip(weights).map(|(&x, &w)| i32::from(x) * i32::from(w as i8));
    products.fold(0, i32::wrapping_add)
}

fn epilogue(sum: i32, channel: ChannelParams, zero_point: i8, activation: Activation) -> i8 {
    let scaled = channel.multiplier.apply(sum.wrapping_add(channel.bias));
    clamp_i8(scaled.saturating_add(i32::from(zero_point)), activation.min, activation.max)
}

/// Copies the patch under one output pixel into the scratch, padding included.
fn gather(arena: &mut [i8], layer: &ConvLayer<'_>, scratch: usize, vertical: Taps, horizontal: Taps) {
    let op = layer.op;
    let channels = op.input.channels as usize;
    let padding = op.input.zero_point;
    let patch_row = usize::from(op.window.kernel_w) * channels;
    for tap_y in 0..usize::from(op.window.kernel_h) {
        let row = scratch + tap_y * patch_row;
        let inside = if vertical.inside().contains(&tap_y) { horizontal.inside() } else { 0..0 };
        let y = vertical.position(tap_y, op.window.dilation_h);
        let (before, after) = (row..row + inside.start * channels, row + inside.end * channels..row + patch_row);
        for border in [before, after] {
            arena.get_mut(border).unwrap_or_default().fill(padding);
        }
        if op.window.dilation_w == 1 {
            let x = horizontal.position(inside.start, 1);
            copy(arena, pixel(&op.input, y, x).start, row + inside.start * channels, inside.len() * channels);
            continue;
        }
        for tap_x in inside {
            let x = horizontal.position(tap_x, op.window.dilation_w);
            copy(arena, pixel(&op.input, y, x).start, row + tap_x * channels, channels);
        }
    }
}

fn copy(arena: &mut [i8], from: usize, to: usize, len: usize) {
    if let Ok([source, target]) = arena.get_disjoint_mut([from..from + len, to..to + len]) {
        for (target, &source) in target.iter_mut().zip(source.iter()) {
            *target = source;
        }
    }
}

fn depthwise_pixel(arena: &mut [i8], layer: &ConvLayer<'_>, out: Range<usize>, vertical: Taps, horizontal: Taps) {
    let op = layer.op;
    let outputs = op.output.channels as usize;
    let multiplier = outputs.checked_div(op.input.channels as usize).unwrap_or(1);
    for first in (0..outputs).step_by(BLOCK) {
        let mut sums = [0_i32; BLOCK];
        for (tap, weights) in layer.weights.chunks_exact(outputs.max(1)).enumerate() {
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
        for ((out, &sum), channel) in output.iter_mut().zip(&sums).zip(layer.channels.skip(first).iter()) {
            *out = epilogue(sum, channel, op.output.zero_point, op.activation);
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

/// The pixels under a window that lie in the input.
fn window_pixels<'t>(
    input: &'t [i8],
    tensor: &Tensor,
    vertical: Taps,
    horizontal: Taps,
) -> impl Iterator<Item = &'t [i8]> {
    let relative = Tensor { offset: 0, ..*tensor };
    vertical.inside().flat_map(move |tap_y| {
        let y = vertical.position(tap_y, 1);
        horizontal.inside().filter_map(move |tap_x| input.get(pixel(&relative, y, horizontal.position(tap_x, 1))))
    })
}

/// `sum / count`, rounded half away from zero.
fn rounded_mean(sum: i32, count: i32) -> i32 {
    let half = count / 2;
    let rounded = if sum > 0 { sum.wrapping_add(half) } else { sum.wrapping_sub(half) };
    rounded.checked_div(count).unwrap_or(0)
}

/// Applies `f` to each element of some rows; input and output may be the same region.
fn map(arena: &mut [i8], input: &Tensor, output: &Tensor, rows: Range<usize>, f: impl Fn(i8) -> i8) {
    let start = row_len(output) * rows.start;
    for i in start..start + row_len(output) * rows.len() {
        let Some(&value) = arena.get(input.offset as usize + i) else { return };
        let Some(out) = arena.get_mut(output.offset as usize + i) else { return };
        *out = f(value);
    }
}
