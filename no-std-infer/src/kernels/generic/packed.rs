//! Packed convolution: from a strip of rows, so that the output may lie over the input.

use core::cell::Cell;

use super::epilogue;
use crate::bounded::Bounded;
use crate::kernels::Shared;
use crate::kernels::rows::Rows;
use crate::kernels::views::cells;
use crate::operators::{Activation, Conv2d, Packed, Strip};

/// One output pixel at a time.
pub fn conv2d(op: &Conv2d, packed: &Packed<'_>, views: Shared<'_, 1>) {
    let Shared { inputs: [input], output, scratch, rows } = views;
    let Some((strip, rest)) = cells(scratch).split_at_checked(Strip::new(op).len()) else { return };
    let Some(ordered) = rest.get(..packed.order.pairs().times(2)) else { return };
    let (window, channels) = (&op.window, op.input.channels as usize);
    let mut strip = Rows::new(op, strip, rows.start);
    let mut pixels = output.chunks_exact((op.output.channels as usize).max(1));
    for y in rows {
        let (source, pitch) = if window.taps() > 1 {
            (strip.under(input, y), Strip::new(op).pitch.times(window.dilation_h.into()))
        } else {
            let first = y.times(window.stride_h.into()).times(op.input.row_len());
            (input.get(first..).unwrap_or_default(), 0)
        };
        for (x, output) in (0..usize::from(op.output.width)).zip(&mut pixels) {
            let first = x.times(window.stride_w.into()).times(channels);
            packed.order.arrange(runs(op, packed, source, first, pitch), ordered);
            multiply(ordered, packed, output, op.output.zero_point);
        }
    }
}

/// The runs of the patch that starts at `first`, kernel rows being `pitch` bytes apart.
fn runs<'s>(
    op: &Conv2d,
    packed: &Packed<'_>,
    source: &'s [Cell<i8>],
    first: usize,
    pitch: usize,
) -> impl Iterator<Item = &'s [Cell<i8>]> {
    let (run, channels) = (packed.order.run, op.input.channels as usize);
    let columns = if op.window.dilation_w == 1 { 1 } else { usize::from(op.window.kernel_w) };
    let column_stride = usize::from(op.window.dilation_w).times(channels);
    (0..usize::from(op.window.kernel_h)).flat_map(move |row| {
        let first = first.plus(row.times(pitch));
        let starts = (0..columns).map(move |column| first.plus(column.times(column_stride)));
        starts.filter_map(move |start| source.get(start..).and_then(|rest| rest.get(..run)))
    })
}

/// One output pixel from the elements of its patch in order.
fn multiply(ordered: &[Cell<i8>], packed: &Packed<'_>, output: &[Cell<i8>], zero_point: i8) {
    let mut channels = packed.channels.iter();
    for (outputs, words) in output.chunks(2).zip(packed.rows()) {
        let sums = dot_pair(ordered, words);
        for ((out, sum), channel) in outputs.iter().zip(sums).zip(&mut channels) {
            out.set(epilogue(sum, &channel, zero_point, Activation::NONE));
        }
    }
}

/// The sums of a pair of output channels.
fn dot_pair(values: &[Cell<i8>], words: &[u8]) -> [i32; 2] {
    let mut sums = [0_i32; 2];
    for (value, &halfword) in values.iter().zip(words.as_chunks::<2>().0) {
        let (value, first) = (i32::from(value.get()), i16::from(halfword[0] as i8));
        let second = i16::from_le_bytes(halfword).wrapping_sub(first) >> 8;
        sums[0] = sums[0].wrapping_add(value * i32::from(first));
        sums[1] = sums[1].wrapping_add(value * i32::from(second));
    }
    sums
}
