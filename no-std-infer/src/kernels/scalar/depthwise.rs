//! Packed depthwise convolution, channel by channel through a plane with its border.

use core::cell::Cell;
use core::ops::Range;

use super::requantise::finish;
use crate::format::{Conv2d, Op};
use crate::ops::{PackedDepthwise, PackedParams, Plane};

/// Output rows `rows`; all of them where the output lies in place of the input.
pub fn depthwise_conv2d(arena: &mut [i8], op: &Conv2d, packed: &PackedDepthwise<'_>, rows: Range<usize>) {
    let channels = (op.output.channels as usize).max(1);
    let plane = Plane::new(op, &rows);
    let arena = Cell::from_mut(arena).as_slice_of_cells();
    let scratch = op.scratch as usize..op.scratch as usize + Op::DepthwiseConv2d(*op).scratch_len() as usize;
    let row = usize::from(op.output.width) * channels;
    let start = op.output.offset as usize + rows.start * row;
    let [input, output, scratch] =
        [op.input.range(), start..start + rows.len() * row, scratch].map(|range| arena.get(range).unwrap_or_default());
    scratch.iter().for_each(|cell| cell.set(op.input.zero_point));
    let input = input.get(plane.input_row * usize::from(op.input.width) * channels..).unwrap_or_default();
    for (channel, parameters) in packed.channels.iter().enumerate() {
        gather(input.get(channel..).unwrap_or_default(), op, &plane, scratch);
        let output = output.get(channel..).unwrap_or_default();
        multiply(scratch, op, plane.pitch, (packed.taps(channel), parameters), output);
    }
}

/// Copies a channel, which `input` starts with, into the plane.
fn gather(input: &[Cell<i8>], op: &Conv2d, plane: &Plane, scratch: &[Cell<i8>]) {
    let channels = (op.input.channels as usize).max(1);
    let rows = input.chunks(usize::from(op.input.width) * channels).take(plane.gathered_rows);
    let targets = scratch.get(plane.first..).unwrap_or_default().chunks(plane.pitch.max(1));
    for (source, target) in rows.zip(targets) {
        let target = target.get(..plane.gathered_columns).unwrap_or_default();
        for (target, source) in target.iter().zip(source.iter().step_by(channels)) {
            target.set(source.get());
        }
    }
}

/// Writes a channel of the output, which `output` starts with, from its plane.
fn multiply(
    plane: &[Cell<i8>],
    op: &Conv2d,
    pitch: usize,
    (taps, parameters): ([i8; 9], PackedParams),
    output: &[Cell<i8>],
) {
    let channels = (op.output.channels as usize).max(1);
    let stride = usize::from(op.window.stride_w).max(1);
    let taps = taps.map(i32::from);
    for (line, output) in output.chunks(usize::from(op.output.width) * channels).enumerate() {
        let [top, middle, bottom] =
            [0, 1, 2].map(|row| plane.get((line * stride + row) * pitch..).unwrap_or_default().windows(3).step_by(stride));
        for (((out, top), middle), bottom) in output.iter().step_by(channels).zip(top).zip(middle).zip(bottom) {
            let values = [top, middle, bottom];
            let mut sum = 0_i32;
            for (row, taps) in values.iter().zip(taps.as_chunks::<3>().0) {
                for (value, tap) in row.iter().zip(taps) {
                    sum = sum.wrapping_add(i32::from(value.get()).wrapping_mul(*tap));
                }
            }
            out.set(finish(sum, &parameters));
        }
    }
}
