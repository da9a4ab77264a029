//! Softmax, pixel by pixel.

use crate::bounded::{Bounded, numbered};
use crate::fixed::{self, clamp_i8};
use crate::kernels::Apart;
use crate::operators::Softmax;

/// One vector of channels after the other.
pub fn softmax(op: &Softmax, views: Apart<'_>) {
    let (channels, row) = ((op.input.channels as usize).max(1), op.input.row_len());
    let inputs = views.input.get(views.rows.start.times(row)..).unwrap_or_default();
    for (input, output) in inputs.chunks_exact(channels).zip(views.output.chunks_exact_mut(channels)) {
        softmax_pixel(op, input, output);
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
    for (class, &value) in numbered(input.iter()) {
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
    for (class, (out, &value)) in numbered(output.iter_mut().zip(input.iter())) {
        let e = exponentials.get(class).copied().unwrap_or_else(|| exponential(value));
        let share = if shift <= 31 { fixed::rounding_shift_right(fixed::high_mul(scale, e), shift) } else { 0 };
        *out = clamp_i8(share.saturating_sub(128), i8::MIN, i8::MAX);
    }
}
