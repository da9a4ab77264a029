//! Fixed-point arithmetic: the definition of rounding. Kernels that compute the same in another way are tested against it.
//!
//! The semantics are those of gemmlowp and of LiteRT's reference kernels ("double rounding").

/// A positive real factor `mantissa · 2^(shift − 31)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Multiplier {
    /// Q31 mantissa: 0, or 2^30 and above.
    pub mantissa: i32,
    /// −31..=30; positive shifts left, before the multiplication.
    pub shift: i8,
}

impl Multiplier {
    /// True when mantissa and shift are in their ranges.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        (self.mantissa == 0 || self.mantissa >= 1 << 30) && self.shift >= -31 && self.shift <= 30
    }

    /// `x` times the factor, rounded as TFLite's `MultiplyByQuantizedMultiplier`: `x` is shifted left (saturating),
    /// multiplied by the mantissa ([`high_mul`]), then shifted right ([`rounding_shift_right`]).
    #[must_use]
    #[inline]
    pub const fn apply(self, x: i32) -> i32 {
        let (left, right) = if self.shift > 0 { (self.shift as u32, 0) } else { (0, self.shift.unsigned_abs() as u32) };
        rounding_shift_right(high_mul(shift_left(x, left), self.mantissa), right)
    }
}

/// A positive real factor with the 53 bits of an IEEE 754 double, applied in integers.
///
/// LiteRT's reference kernel (2.3.0) scales the sums of FULLY_CONNECTED in double precision, those of the other
/// operators by a [`Multiplier`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DoubleMultiplier {
    /// The double's bits. Positive and normal.
    pub bits: u64,
}

impl DoubleMultiplier {
    const FRACTION_BITS: u32 = 52;

    /// True when the factor is 2^-1000 or more and below 2^1000.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        let biased = self.bits >> Self::FRACTION_BITS;
        biased >= 23 && biased < 2023
    }

    /// `x` times the factor as doubles multiply, then rounded to an integer, ties away from zero, saturating.
    #[must_use]
    #[inline]
    pub const fn apply(self, x: i32) -> i32 {
        let biased = (self.bits >> Self::FRACTION_BITS) as i32;
        let mantissa = self.bits & ((1 << Self::FRACTION_BITS) - 1) | 1 << Self::FRACTION_BITS;
        // In units of 2^-shift the product, rounded to 53 bits, is above `high - 1` and below `high + 2`: the 22 bits left
        // off the mantissa make less than half a unit, and so does the rounding. Where that decides, the rest is spared.
        let shift = 1021 - biased;
        let high = ((x as i64 * (mantissa >> 22) as i32 as i64) >> 32) as i32;
        if 2 <= shift && shift <= 30 {
            let rounded = high + (1 << (shift - 1));
            let fraction = (rounded & ((1 << shift) - 1)) as u32;
            if fraction.wrapping_sub(1) < (1 << shift) - 2 {
                return rounded >> shift;
            }
        }
        let magnitude = scale(x.unsigned_abs(), mantissa, biased - 1075);
        let magnitude = if magnitude > i32::MAX as u64 { i32::MAX } else { magnitude as i32 };
        if x < 0 { -magnitude } else { magnitude }
    }
}

/// `x · mantissa · 2^exponent`, the product rounded to 53 bits, then to an integer, ties up; saturating.
#[cold]
const fn scale(x: u32, mantissa: u64, exponent: i32) -> u64 {
    let (product, dropped) = round_to_53_bits(x as u128 * mantissa as u128);
    match exponent.saturating_add(dropped as i32) {
        // Less than a half, since the product is below 2^54.
        ..-54 => 0,
        shift @ -54..0 => product.wrapping_add(1 << (-shift - 1)) >> -shift,
        _ if product == 0 => 0,
        _ => u64::MAX,
    }
}

/// The nearest number with 53 significant bits, ties to even, as mantissa and number of bits dropped.
const fn round_to_53_bits(x: u128) -> (u64, u32) {
    let dropped = (128 - x.leading_zeros()).saturating_sub(53);
    if dropped == 0 {
        return (x as u64, 0);
    }
    let (kept, half) = ((x >> dropped) as u64, 1 << (dropped - 1));
    let rest = x & ((1 << dropped) - 1);
    let up = rest > half || (rest == half && kept & 1 == 1);
    // At most 2^53.
    (kept.wrapping_add(up as u64), dropped)
}

/// `x · 2^exponent`, saturating; `exponent` up to 31.
#[must_use]
#[inline]
pub const fn shift_left(x: i32, exponent: u32) -> i32 {
    if exponent == 0 {
        return x;
    }
    let shifted = x << (exponent & 31);
    match shifted >> (exponent & 31) == x {
        true => shifted,
        false if x < 0 => i32::MIN,
        false => i32::MAX,
    }
}

/// High half of `2 · a · b`, rounded to nearest, ties towards +∞ (gemmlowp's `SaturatingRoundingDoublingHighMul`);
/// `i32::MIN · i32::MIN` saturates.
#[must_use]
#[inline]
pub const fn high_mul(a: i32, b: i32) -> i32 {
    if a == i32::MIN && b == i32::MIN {
        return i32::MAX;
    }
    ((a as i64 * b as i64 + (1 << 30)) >> 31) as i32
}

/// `x / 2^exponent`, rounded to nearest, ties away from zero (gemmlowp's `RoundingDivideByPOT`); `exponent` 0..=31.
#[must_use]
#[inline]
pub const fn rounding_shift_right(x: i32, exponent: u32) -> i32 {
    let exponent = exponent & 31;
    let mask = ((1_u32 << exponent) - 1) as i32;
    let remainder = x & mask;
    let threshold = (mask >> 1) + (x < 0) as i32;
    (x >> exponent).wrapping_add((remainder > threshold) as i32)
}

/// Clamps to `min..=max`, which lie in i8, without a panic when `min > max`.
#[must_use]
#[inline]
pub const fn clamp_i8(x: i32, min: i8, max: i8) -> i8 {
    if x < min as i32 {
        min
    } else if x > max as i32 {
        max
    } else {
        x as i8
    }
}

/// Number of integer bits of the scaled differences that [`exp_on_negative_values`] takes (TFLite's value).
pub const SOFTMAX_DIFF_BITS: u32 = 5;

/// `e^x` for `x ≤ 0` given as a fixed-point number with 5 integer bits (Q5.26); the result is Q0.31
/// (gemmlowp's `exp_on_negative_values`).
#[must_use]
pub const fn exp_on_negative_values(x: i32) -> i32 {
    const FRACTION_BITS: u32 = 31 - SOFTMAX_DIFF_BITS;
    const QUARTER: i32 = 1 << (FRACTION_BITS - 2);
    if x == 0 {
        return i32::MAX;
    }
    let minus_quarter_or_more = (x & (QUARTER - 1)).wrapping_sub(QUARTER);
    let mut result = exp_on_interval_between_negative_quarter_and_zero(minus_quarter_or_more << SOFTMAX_DIFF_BITS);
    let mut quarters = minus_quarter_or_more.wrapping_sub(x) as u32 >> (FRACTION_BITS - 2);
    // e^(-2^k) in Q0.31 for k = -2..=4.
    const FACTORS: [i32; 7] = [1_672_461_947, 1_302_514_674, 790_015_084, 290_630_308, 39_332_535, 720_401, 242];
    let mut k = 0;
    while quarters != 0 && k < FACTORS.len() {
        if quarters & 1 != 0 {
            result = high_mul(result, FACTORS[k]);
        }
        quarters >>= 1;
        k += 1;
    }
    result
}

/// `e^a` for `a` in [−1/4, 0) in Q0.31, by the Taylor series around −1/8 (gemmlowp).
const fn exp_on_interval_between_negative_quarter_and_zero(a: i32) -> i32 {
    const EXP_MINUS_EIGHTH: i32 = 1_895_147_668;
    const ONE_THIRD: i32 = 715_827_883;
    let x = a.wrapping_add(1 << 28);
    let x2 = high_mul(x, x);
    let x3 = high_mul(x2, x);
    let x4 = high_mul(x2, x2);
    let x4_over_4 = rounding_shift_right(x4, 2);
    let inner = rounding_shift_right(high_mul(x4_over_4.wrapping_add(x3), ONE_THIRD).wrapping_add(x2), 1);
    EXP_MINUS_EIGHTH.wrapping_add(high_mul(EXP_MINUS_EIGHTH, x.wrapping_add(inner)))
}

/// `1 / (1 + x)` for `x` in [0, 1), both Q0.31, by three Newton-Raphson steps (gemmlowp).
#[must_use]
pub const fn one_over_one_plus_x(x: i32) -> i32 {
    // Q2.29 constants: 48/17 and -32/17.
    const FORTY_EIGHT_SEVENTEENTHS: i32 = 1_515_870_810;
    const MINUS_THIRTY_TWO_SEVENTEENTHS: i32 = -1_010_580_540;
    const ONE_Q2: i32 = 1 << 29;
    let sum = x as i64 + i32::MAX as i64;
    let half_denominator = ((sum + if sum >= 0 { 1 } else { -1 }) / 2) as i32;
    let mut y = FORTY_EIGHT_SEVENTEENTHS.wrapping_add(high_mul(half_denominator, MINUS_THIRTY_TWO_SEVENTEENTHS));
    let mut step = 0;
    while step < 3 {
        let error = ONE_Q2.wrapping_sub(high_mul(half_denominator, y));
        y = y.wrapping_add(shift_left(high_mul(y, error), 2));
        step += 1;
    }
    shift_left(y, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `x / 2^exponent` to the nearest integer, ties away from zero, by its definition.
    fn nearest(x: i32, exponent: u32) -> i64 {
        let (x, divisor) = (i64::from(x), 1_i64 << exponent);
        let twice = 2 * x.abs() + divisor;
        x.signum() * twice.div_euclid(2 * divisor)
    }

    /// All of 17 bits by every exponent. Of 32 bits, what is added to the quotient depends on the sign, the exponent and the
    /// remainder alone, and changes at one remainder: with equality on both sides of it and at both ends it holds for all
    /// between, and for any quotient where it holds for the smallest, the largest and those around 0.
    #[test]
    fn a_rounding_shift_is_the_nearest_integer() {
        for (x, exponent) in (-(1 << 16)..1 << 16).flat_map(|x| (0..32).map(move |exponent| (x, exponent))) {
            assert_eq!(i64::from(rounding_shift_right(x, exponent)), nearest(x, exponent), "{x} >> {exponent}");
        }
        for exponent in 0..32 {
            let (range, half) = (1_i64 << exponent, (1_i64 << exponent) / 2);
            let quotients = [i64::from(i32::MIN) >> exponent, -2, -1, 0, 1, i64::from(i32::MAX) >> exponent];
            let remainders = [0, 1, half - 1, half, half + 1, range - 1];
            for (quotient, remainder) in quotients.iter().flat_map(|quotient| remainders.map(|rest| (quotient, rest))) {
                let Ok(x) = i32::try_from(quotient * range + remainder) else { continue };
                assert_eq!(i64::from(rounding_shift_right(x, exponent)), nearest(x, exponent), "{x} >> {exponent}");
            }
        }
    }
}
