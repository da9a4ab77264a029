//! Packed depthwise convolution: a channel is copied with its border before any of its outputs is written, so that the
//! output may lie over the input.

use core::ops::Range;

use super::epilogue;
use crate::format::{Activation, Conv2d, Op};
use crate::ops::{PackedDepthwise, Plane};

/// Output rows `rows`.
pub fn packed_depthwise(arena: &mut [i8], op: &Conv2d, packed: &PackedDepthwise<'_>, rows: Range<usize>) {
    let channels = op.output.channels as usize;
    let plane = Plane::new(op, &rows);
    let scratch = op.scratch as usize..op.scratch as usize + Op::DepthwiseConv2d(*op).scratch_len() as usize;
    arena.get_mut(scratch).unwrap_or_default().fill(op.input.zero_point);
    for channel in 0..channels {
        gather(arena, op, &plane, channel);
        multiply(arena, op, packed, (plane.pitch, channel), rows.clone());
    }
}

fn gather(arena: &mut [i8], op: &Conv2d, plane: &Plane, channel: usize) {
    let (channels, width) = (op.input.channels as usize, usize::from(op.input.width));
    for y in 0..plane.gathered_rows {
        let source = op.input.offset as usize + (plane.input_row + y) * width * channels + channel;
        let target = op.scratch as usize + plane.first + y * plane.pitch;
        for x in 0..plane.gathered_columns {
            let Some(&value) = arena.get(source + x * channels) else { return };
            let Some(slot) = arena.get_mut(target + x) else { return };
            *slot = value;
        }
    }
}

fn multiply(
    arena: &mut [i8],
    op: &Conv2d,
    packed: &PackedDepthwise<'_>,
    (pitch, channel): (usize, usize),
    rows: Range<usize>,
) {
    let (channels, width) = (op.output.channels as usize, usize::from(op.output.width));
    let stride = usize::from(op.window.stride_w);
    let taps = packed.taps(channel);
    let Some(parameters) = packed.channels.skip(channel).iter().next() else { return };
    for (line, y) in rows.enumerate() {
        for x in 0..width {
            let first = op.scratch as usize + line * stride * pitch + x * stride;
            let mut sum = 0_i32;
            for (row, taps) in taps.as_chunks::<3>().0.iter().enumerate() {
                let values = arena.get(first + row * pitch..).unwrap_or_default();
                for (&tap, &value) in taps.iter().zip(values) {
                    sum = sum.wrapping_add(i32::from(tap) * i32::from(value));
                }
            }
            let value = epilogue(sum, &parameters, op.output.zero_point, Activation::NONE);
            let at = op.output.offset as usize + (y * width + x) * channels + channel;
            if let Some(out) = arena.get_mut(at) {
                *out = value;
            }
        }
    }
}
