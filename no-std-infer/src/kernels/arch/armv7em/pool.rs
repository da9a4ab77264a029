//! Poolings and means, four channels at a time; of channels that are no multiple of four some are computed twice, and fewer
//! one by one.

use core::ops::Range;

use super::four::{self, Pixels, SUM_MAX};
use crate::bounded::Bounded;
use crate::fixed::clamp_i8;
use crate::format::Tensor;
use crate::kernels::Apart;
use crate::kernels::generic::pool2d::rounded_mean;
use crate::operators::{Activation, Mean, Pool2d};

/// A max pooling.
pub fn max_pool2d(op: &Pool2d, views: Apart<'_>) {
    let window = |y, x| pooled(op, y, x);
    for_each_pixel([&op.input, &op.output], views, window, |values, pixels, output| {
        if output.len() < 4 {
            for (channel, out) in output.iter_mut().enumerate() {
                *out = pixels.channel(values, channel).fold(i8::MIN, i8::max);
            }
        }
        four::largest(values, pixels, output.len(), |first, largest| write(output, first, largest));
        clamp(op.activation, output);
    });
}

/// An average pooling.
pub fn average_pool2d(op: &Pool2d, views: Apart<'_>) {
    let window = |y, x| pooled(op, y, x);
    for_each_pixel([&op.input, &op.output], views, window, |values, pixels, output| {
        let count = (pixels.rows.times(pixels.columns) as i32).max(1);
        sums(values, pixels, output, |sum| rounded_mean(sum, count) as i8);
        clamp(op.activation, output);
    });
}

/// A mean.
pub fn mean(op: &Mean, views: Apart<'_>) {
    let (input, output) = (&op.input, &op.output);
    let under =
        |at: usize, inputs: u16, outputs: u16| if inputs == outputs { at..at.plus(1) } else { 0..usize::from(inputs) };
    let window = |y, x| (under(y, input.height, output.height), under(x, input.width, output.width));
    let zero_points = (op.count() as i32).wrapping_mul(i32::from(input.zero_point));
    let zero_point = i32::from(output.zero_point);
    for_each_pixel([input, output], views, window, |values, pixels, output| {
        sums(values, pixels, output, |sum| {
            let mean = op.multiplier.apply(sum.wrapping_sub(zero_points));
            clamp_i8(mean.saturating_add(zero_point), i8::MIN, i8::MAX)
        });
    });
}

/// The rows and columns of the input under an output pixel.
pub fn pooled(op: &Pool2d, y: usize, x: usize) -> (Range<usize>, Range<usize>) {
    let w = &op.window;
    let under = |at: usize, stride: u16, pad: u16, kernel: u16, inputs: u16| {
        let start = (at as i32).times(stride.into()).minus(pad.into());
        start.max(0) as usize..start.plus(kernel.into()).min(inputs.into()).max(0) as usize
    };
    let rows = under(y, w.stride_h, w.pad_top, w.kernel_h, op.input.height);
    (rows, under(x, w.stride_w, w.pad_left, w.kernel_w, op.input.width))
}

/// Calls `reduce(values, pixels, output)` for each output pixel with the values from the window's first pixel on.
fn for_each_pixel(
    [input, output]: [&Tensor; 2],
    views: Apart<'_>,
    window: impl Fn(usize, usize) -> (Range<usize>, Range<usize>),
    reduce: impl Fn(&[i8], Pixels, &mut [i8]),
) {
    let (channels, width) = (input.channels as usize, usize::from(input.width));
    let mut out = views.output.chunks_mut(channels.max(1));
    for y in views.rows {
        for x in 0..usize::from(output.width) {
            let (rows, columns) = window(y, x);
            let first = rows.start.times(width).plus(columns.start).times(channels);
            // Whole rows are one run of pixels.
            let (columns, rows) =
                if columns.len() == width { (width.times(rows.len()), 1) } else { (columns.len(), rows.len()) };
            let pixels = Pixels { column: channels, columns, row: width.times(channels), rows };
            reduce(views.input.get(first..).unwrap_or_default(), pixels, out.next().unwrap_or_default());
        }
    }
}

fn clamp(activation: Activation, output: &mut [i8]) {
    if activation != Activation::NONE {
        output.iter_mut().for_each(|value| *value = clamp_i8((*value).into(), activation.min, activation.max));
    }
}

fn write(output: &mut [i8], first: usize, values: [i8; 4]) {
    if let Some(output) = output.get_mut(first..).and_then(|output| output.first_chunk_mut()) {
        *output = values;
    }
}

/// Writes `finish` of each channel's sum over any number of pixels.
fn sums(values: &[i8], pixels: Pixels, output: &mut [i8], finish: impl Fn(i32) -> i8) {
    if output.len() >= 4 && pixels.rows.times(pixels.columns) <= SUM_MAX {
        return four::sums(values, pixels, output.len(), |first, sums| {
            let [s0, s1, s2, s3] = sums;
            write(output, first, [finish(s0.into()), finish(s1.into()), finish(s2.into()), finish(s3.into())]);
        });
    }
    for first in four::groups(0, output.len()) {
        let totals = if output.len() < 4 { totals_of_few(values, pixels) } else { totals(values, pixels, first) };
        output.iter_mut().skip(first).zip(totals).for_each(|(out, total)| *out = finish(total));
    }
}

/// Sums of the pixels' four channels from `first` on.
fn totals(values: &[i8], pixels: Pixels, first: usize) -> [i32; 4] {
    let mut totals = [0_i32; 4];
    for row in 0..pixels.rows {
        for column in (0..pixels.columns).step_by(SUM_MAX) {
            let start = row.times(pixels.row).plus(column.times(pixels.column)).plus(first);
            let values = values.get(start..).unwrap_or_default();
            let part = Pixels { columns: pixels.columns.minus(column).min(SUM_MAX), rows: 1, ..pixels };
            let sums = four::sum(values, part);
            totals.iter_mut().zip(sums).for_each(|(total, sum)| *total = total.wrapping_add(i32::from(sum)));
        }
    }
    totals
}

/// Sums of the pixels' first channels, of which there are fewer than four; the others mean nothing.
fn totals_of_few(values: &[i8], pixels: Pixels) -> [i32; 4] {
    [0, 1, 2, 3]
        .map(|channel| pixels.channel(values, channel).fold(0_i32, |total, value| total.wrapping_add(value.into())))
}
