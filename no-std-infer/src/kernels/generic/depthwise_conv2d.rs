//! Depthwise convolution, with plain weights and with packed ones.

use core::cell::Cell;
use core::ops::Range;

use super::epilogue;
use super::walk::{BLOCK, pixel};
use crate::bounded::{Bounded, numbered};
use crate::kernels::views::cells;
use crate::kernels::window::{Taps, horizontal_taps, vertical_taps};
use crate::kernels::{Apart, Shared};
use crate::operators::{Activation, Conv2d, PackedDepthwise, PackedParams, Plain, Plane};

/// With plain weights, a block of channels at a time.
#[inline(always)]
pub fn depthwise_conv2d(op: &Conv2d, constants: &Plain<'_>, views: Apart<'_>) {
    let Apart { input, output, rows, .. } = views;
    let mut pixels = output.chunks_exact_mut((op.output.channels as usize).max(1));
    for y in rows {
        let vertical = vertical_taps(&op.window, y, &op.input);
        for (x, output) in (0..usize::from(op.output.width)).zip(&mut pixels) {
            compute_pixel(op, constants, input, output, [vertical, horizontal_taps(&op.window, x, &op.input)]);
        }
    }
}

fn compute_pixel(op: &Conv2d, constants: &Plain<'_>, input: &[i8], output: &mut [i8], taps: [Taps; 2]) {
    let ([vertical, horizontal], outputs) = (taps, op.output.channels as usize);
    let multiplier = outputs.checked_div(op.input.channels as usize).unwrap_or(1);
    for (first, output) in (0..outputs).step_by(BLOCK).zip(output.chunks_mut(BLOCK)) {
        let mut sums = [0_i32; BLOCK];
        for (tap, weights) in numbered(constants.weights.chunks_exact(outputs.max(1))) {
            let weights = weights.get(first..).unwrap_or_default();
            let kernel_w = usize::from(op.window.kernel_w).max(1);
            let (tap_y, tap_x) = (tap / kernel_w, tap % kernel_w);
            if !vertical.inside().contains(&tap_y) || !horizontal.inside().contains(&tap_x) {
                accumulate(&mut sums, weights, core::iter::repeat(op.input.zero_point));
                continue;
            }
            let (y, x) =
                (vertical.position(tap_y, op.window.dilation_h), horizontal.position(tap_x, op.window.dilation_w));
            let values = input.get(pixel(&op.input, y, x)).unwrap_or_default();
            if multiplier == 1 {
                accumulate(&mut sums, weights, values.get(first..).unwrap_or_default().iter().copied());
            } else {
                let value = |c: usize| c.checked_div(multiplier).and_then(|c| values.get(c)).copied().unwrap_or(0);
                accumulate(&mut sums, weights, (first..outputs).map(value));
            }
        }
        for ((out, &sum), channel) in output.iter_mut().zip(&sums).zip(constants.channels.skip(first).iter()) {
            *out = epilogue(sum, &channel, op.output.zero_point, op.activation);
        }
    }
}

fn accumulate(sums: &mut [i32; BLOCK], weights: &[u8], values: impl Iterator<Item = i8>) {
    for ((sum, &weight), value) in sums.iter_mut().zip(weights).zip(values) {
        *sum = sum.wrapping_add(i32::from(value) * i32::from(weight as i8));
    }
}

/// With packed weights: a channel is copied with its border before any of its outputs is written, so that the output may lie
/// over the input.
pub fn packed(op: &Conv2d, constants: &PackedDepthwise<'_>, views: Shared<'_, 1>, channels: Range<usize>) {
    let Shared { inputs: [input], output, scratch, rows } = views;
    let plane = Plane::new(op, &rows);
    scratch.fill(op.input.zero_point);
    let scratch = cells(scratch);
    for channel in channels {
        let Some(parameters) = constants.channels.skip(channel).iter().next() else { return };
        gather(op, &plane, input.get(channel..).unwrap_or_default(), scratch);
        let output = output.get(channel..).unwrap_or_default();
        multiply(op, &plane, scratch, (constants.taps(channel), parameters), output);
    }
}

/// Copies a channel, which `input` starts with, into the plane.
fn gather(op: &Conv2d, plane: &Plane, input: &[Cell<i8>], scratch: &[Cell<i8>]) {
    let (channels, width) = ((op.input.channels as usize).max(1), usize::from(op.input.width));
    let rows = input.chunks(width.times(channels).max(1)).skip(plane.input_row).take(plane.gathered_rows);
    let targets = scratch.get(plane.first..).unwrap_or_default().chunks(plane.pitch.max(1));
    for (source, target) in rows.zip(targets) {
        let target = target.get(..plane.gathered_columns).unwrap_or_default();
        target.iter().zip(source.iter().step_by(channels)).for_each(|(target, source)| target.set(source.get()));
    }
}

/// Writes a channel of the output, which `output` starts with, from its plane.
fn multiply(
    op: &Conv2d,
    plane: &Plane,
    scratch: &[Cell<i8>],
    (taps, parameters): ([i8; 9], PackedParams),
    output: &[Cell<i8>],
) {
    let (channels, stride) = ((op.output.channels as usize).max(1), usize::from(op.window.stride_w));
    let row = usize::from(op.output.width).times(channels).max(1);
    for (line, output) in numbered(output.chunks(row)) {
        for (x, out) in numbered(output.iter().step_by(channels)) {
            let first = line.times(stride).times(plane.pitch).plus(x.times(stride));
            let mut sum = 0_i32;
            for (row, taps) in taps.as_chunks::<3>().0.iter().enumerate() {
                let values = scratch.get(first.plus(row.times(plane.pitch))..).unwrap_or_default();
                for (&tap, value) in taps.iter().zip(values) {
                    sum = sum.wrapping_add(i32::from(tap) * i32::from(value.get()));
                }
            }
            out.set(epilogue(sum, &parameters, op.output.zero_point, Activation::NONE));
        }
    }
}
