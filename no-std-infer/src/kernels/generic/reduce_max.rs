//! The largest along sides of a tensor.

use crate::bounded::Bounded;
use crate::kernels::Apart;
use crate::operators::ReduceMax;

/// Takes every element of the input once, row by row.
pub fn reduce_max(op: &ReduceMax, views: Apart<'_>) {
    let (from, to) = (&op.input, &op.output);
    views.output.fill(i8::MIN);
    let mut outputs = views.output.chunks_exact_mut(to.row_len().max(1));
    for y in views.rows {
        let output = outputs.next().unwrap_or_default();
        let rows = if to.height == from.height { y..y.plus(1) } else { 0..usize::from(from.height) };
        let line = from.row_len();
        let input = views.input.get(rows.start.times(line)..rows.end.times(line)).unwrap_or_default();
        for row in input.chunks_exact(line.max(1)) {
            reduce_row(op, row, output);
        }
    }
}

/// Raises a row of the output to the largest of what it holds and a row of the input.
fn reduce_row(op: &ReduceMax, input: &[i8], output: &mut [i8]) {
    let mut outputs = output.chunks_exact_mut((op.output.channels as usize).max(1));
    let (mut output, kept) = (outputs.next().unwrap_or_default(), op.input.width == op.output.width);
    for pixel in input.chunks_exact((op.input.channels as usize).max(1)) {
        reduce_pixel(pixel, output);
        if kept {
            output = outputs.next().unwrap_or_default();
        }
    }
}

/// The same for the channels of a pixel: one of the output, or as many as the input's.
fn reduce_pixel(input: &[i8], output: &mut [i8]) {
    if let [largest] = output {
        *largest = input.iter().fold(*largest, |largest, &value| value.max(largest));
    } else {
        for (out, &value) in output.iter_mut().zip(input) {
            *out = value.max(*out);
        }
    }
}
