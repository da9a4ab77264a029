//! RSQRT as LiteRT's reference kernel computes it: by Newton's method in fixed point.

use no_std_infer::fixed::{Multiplier, high_mul, rounding_shift_right, shift_left};

use super::Table;
use super::functions::{byte, steps};
use crate::import::Result;
use crate::quantise::{Quantisation, multiplier};

/// Binary digits after the point of 1/√steps.
const FRACTION: i8 = 20;

/// The outputs for the inputs −128..=127. At 0 it is the largest byte, and so below 0, where LiteRT stops.
///
/// # Errors
/// When the scales are out of all proportion.
pub(super) fn rsqrt(from: Quantisation, to: Quantisation) -> Result<Table> {
    let multiplier = multiplier(1.0 / f64::from(from.scale.sqrt() * to.scale));
    let multiplier = multiplier.filter(|multiplier| (FRACTION - 31..=FRACTION).contains(&multiplier.shift));
    let Multiplier { mantissa, shift } = multiplier
        .ok_or_else(|| refused!(OutOfRange, "the scales of its input and its output are out of all proportion"))?;
    let multiplier = Multiplier { mantissa, shift: shift - FRACTION };
    Ok(steps(from).map(|steps| if steps <= 0 { i8::MAX } else { byte(multiplier.apply(reciprocal_root(steps)), to) }))
}

/// 1/√steps with 20 binary digits after the point, for 1 to 255 steps.
fn reciprocal_root(steps: i32) -> i32 {
    let Multiplier { mantissa, shift } = inverse(steps);
    Multiplier { mantissa, shift: shift + FRACTION }.apply(1)
}

/// LiteRT's `GetInvSqrtQuantizedMultiplierExp`: five steps of x ← 3/2 · x − value/2 · x³ from x = 1, in Q3.28.
fn inverse(steps: i32) -> Multiplier {
    const THREE_HALVES: i32 = (1 << 28) + (1 << 27);
    const HALF_ROOT_OF_2: i32 = 1_518_500_250;
    if steps <= 1 {
        return Multiplier { mantissa: i32::MAX, shift: 0 };
    }
    let pairs = (steps.leading_zeros() - 1) / 2 - 1;
    let half = rounding_shift_right((steps << (2 * pairs)) >> 1, 1);
    let mut x = 1 << 28;
    for _ in 0..5 {
        let cube = shift_left(high_mul(high_mul(x, x), x), 6);
        x = shift_left(high_mul(THREE_HALVES, x).wrapping_sub(high_mul(half, cube)), 3);
    }
    let (mantissa, right) = (high_mul(x, HALF_ROOT_OF_2), 11 - pairs as i8);
    Multiplier { mantissa: mantissa << right.min(0).unsigned_abs(), shift: -right.max(0) }
}
