//! Poolings and means, four channels at a time; of channels that are no multiple of four some are computed twice.

use core::ops::Range;

use super::four::{self, Pixels, SUM_MAX};
use crate::fixed::clamp_i8;
use crate::format::{Activation, Mean, Pool2d, Tensor};
use crate::kernels::portable::rounded_mean;

/// Fewest channels that these kernels take.
pub const CHANNELS_MIN: u32 = 4;

/// Output rows `rows` of a max pooling of four channels or more.
pub fn max_pool2d(arena: &mut [i8], op: &Pool2d, rows: Range<usize>) {
    let Activation { min, max } = op.activation;
    for_each_pixel(
        arena,
        &op.input,
        &op.output,
        rows,
        |y, x| pooled(op, y, x),
        |values, pixels| {
            let largest = four::max(values, pixels);
            if op.activation == Activation::NONE {
                largest
            } else {
                largest.map(|value| clamp_i8(value.into(), min, max))
            }
        },
    );
}

/// Output rows `rows` of an average pooling of four channels or more.
pub fn average_pool2d(arena: &mut [i8], op: &Pool2d, rows: Range<usize>) {
    let Activation { min, max } = op.activation;
    for_each_pixel(
        arena,
        &op.input,
        &op.output,
        rows,
        |y, x| pooled(op, y, x),
        |values, pixels| {
            let count = (pixels.rows * pixels.columns) as i32;
            sum(values, pixels).map(|sum| clamp_i8(rounded_mean(sum, count), min, max))
        },
    );
}

/// Output rows `rows` of a mean of four channels or more.
pub fn mean(arena: &mut [i8], op: &Mean, rows: Range<usize>) {
    let (input, output) = (&op.input, &op.output);
    let under =
        |at: usize, inputs: u16, outputs: u16| if inputs == outputs { at..at + 1 } else { 0..usize::from(inputs) };
    let window = |y, x| (under(y, input.height, output.height), under(x, input.width, output.width));
    let zero_points = (op.count() as i32).wrapping_mul(i32::from(input.zero_point));
    for_each_pixel(arena, input, output, rows, window, |values, pixels| {
        sum(values, pixels).map(|sum| {
            let mean = op.multiplier.apply(sum.wrapping_sub(zero_points));
            clamp_i8(mean.saturating_add(i32::from(output.zero_point)), i8::MIN, i8::MAX)
        })
    });
}

/// The rows and columns of the input under an output pixel.
fn pooled(op: &Pool2d, y: usize, x: usize) -> (Range<usize>, Range<usize>) {
    let w = &op.window;
    let under = |at: usize, stride: u16, pad: u16, kernel: u16, inputs: u16| {
        let start = at as i32 * i32::from(stride) - i32::from(pad);
        start.max(0) as usize..(start + i32::from(kernel)).clamp(0, inputs.into()) as usize
    };
    let rows = under(y, w.stride_h, w.pad_top, w.kernel_h, op.input.height);
    (rows, under(x, w.stride_w, w.pad_left, w.kernel_w, op.input.width))
}

/// Calls `reduce(values, pixels)` for each output pixel and four channels of it, and writes what it gives.
fn for_each_pixel(
    arena: &mut [i8],
    input: &Tensor,
    output: &Tensor,
    rows: Range<usize>,
    window: impl Fn(usize, usize) -> (Range<usize>, Range<usize>),
    reduce: impl Fn(&[i8], Pixels) -> [i8; 4],
) {
    let channels = input.channels as usize;
    let Some(last) = channels.checked_sub(4) else { return };
    let width = usize::from(input.width);
    let Ok([values, out]) = arena.get_disjoint_mut([input.range(), output.range()]) else { return };
    for y in rows {
        for x in 0..usize::from(output.width) {
            let (rows, columns) = window(y, x);
            let first = (rows.start * width + columns.start) * channels;
            let out = out.get_mut((y * usize::from(output.width) + x) * channels..).unwrap_or_default();
            let (mut pixels_of_row, mut row_count) = (columns.len(), rows.len());
            if pixels_of_row == width {
                // Whole rows are one run of pixels.
                (pixels_of_row, row_count) = (pixels_of_row * row_count, 1);
            }
            let pixels = Pixels { column: channels, columns: pixels_of_row, row: width * channels, rows: row_count };
            for channel in (0..channels).step_by(4) {
                let channel = channel.min(last);
                let result = reduce(values.get(first + channel..).unwrap_or_default(), pixels);
                if let Some(out) = out.get_mut(channel..).and_then(|out| out.first_chunk_mut()) {
                    *out = result;
                }
            }
        }
    }
}

/// Sums of four channels over any number of pixels.
fn sum(values: &[i8], pixels: Pixels) -> [i32; 4] {
    if pixels.rows * pixels.columns <= SUM_MAX {
        return four::sum(values, pixels).map(i32::from);
    }
    let mut sums = [0_i32; 4];
    for row in 0..pixels.rows {
        for column in (0..pixels.columns).step_by(SUM_MAX) {
            let values = values.get(row * pixels.row + column * pixels.column..).unwrap_or_default();
            let columns = (pixels.columns - column).min(SUM_MAX);
            let part = four::sum(values, Pixels { columns, rows: 1, ..pixels });
            for (sum, part) in sums.iter_mut().zip(part) {
                *sum = sum.wrapping_add(i32::from(part));
            }
        }
    }
    sums
}
