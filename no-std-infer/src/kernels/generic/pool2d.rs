//! Poolings and means.

use super::walk::{pixel_values, sum_channels};
use crate::bounded::Bounded;
use crate::fixed::clamp_i8;
use crate::kernels::Apart;
use crate::kernels::window::{Taps, horizontal_taps, vertical_taps};
use crate::operators::{Mean, Pool2d};

/// Largest value of a window.
pub fn max_pool2d(op: &Pool2d, views: Apart<'_>) {
    pool(op, views, |input, output, vertical, horizontal| {
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

/// Mean of a window.
pub fn average_pool2d(op: &Pool2d, views: Apart<'_>) {
    pool(op, views, |input, output, vertical, horizontal| {
        let count = vertical.inside().len().times(horizontal.inside().len()) as i32;
        let pixels = window_pixels(vertical, horizontal);
        sum_channels(input, &op.input, pixels, output, |sum| {
            clamp_i8(rounded_mean(sum, count), op.activation.min, op.activation.max)
        });
    });
}

/// Mean over rows, columns or both.
pub fn mean(op: &Mean, views: Apart<'_>) {
    let zero_points = (op.count() as i32).wrapping_mul(i32::from(op.input.zero_point));
    let under =
        |at: usize, input: u16, output: u16| if input == output { at..at.plus(1) } else { 0..usize::from(input) };
    let mut outputs = views.output.chunks_exact_mut((op.output.channels as usize).max(1));
    for y in views.rows {
        for (x, output) in (0..usize::from(op.output.width)).zip(&mut outputs) {
            let rows = under(y, op.input.height, op.output.height);
            let columns = under(x, op.input.width, op.output.width);
            let pixels = rows.flat_map(|y| columns.clone().map(move |x| (y, x)));
            sum_channels(views.input, &op.input, pixels, output, |sum| {
                let mean = op.multiplier.apply(sum.wrapping_sub(zero_points));
                clamp_i8(mean.saturating_add(i32::from(op.output.zero_point)), i8::MIN, i8::MAX)
            });
        }
    }
}

/// Calls `reduce(input, output pixel, taps)` for every output pixel.
fn pool(op: &Pool2d, views: Apart<'_>, reduce: impl Fn(&[i8], &mut [i8], Taps, Taps)) {
    let mut outputs = views.output.chunks_exact_mut((op.output.channels as usize).max(1));
    for y in views.rows {
        let vertical = vertical_taps(&op.window, y, &op.input);
        for (x, output) in (0..usize::from(op.output.width)).zip(&mut outputs) {
            reduce(views.input, output, vertical, horizontal_taps(&op.window, x, &op.input));
        }
    }
}

/// Row and column of each tap of a window that lies in the input.
fn window_pixels(vertical: Taps, horizontal: Taps) -> impl Iterator<Item = (usize, usize)> + Clone {
    let rows = vertical.inside().map(move |tap| vertical.position(tap, 1));
    rows.flat_map(move |y| horizontal.inside().map(move |tap| (y, horizontal.position(tap, 1))))
}

/// `sum / count`, rounded half away from zero.
pub fn rounded_mean(sum: i32, count: i32) -> i32 {
    let half = count / 2;
    let rounded = if sum > 0 { sum.wrapping_add(half) } else { sum.wrapping_sub(half) };
    rounded.checked_div(count).unwrap_or(0)
}
