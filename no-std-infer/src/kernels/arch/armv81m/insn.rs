//! What the vector instructions compute, for the models of the loops.

use crate::fixed::{clamp_i8, high_mul};

/// How the loops requantise. As defined for right shifts of 1 or more, and of 0 where the zero point is the least output. What
/// they make of left shifts is computed anew.
///
/// VQRDMULH is [`high_mul`] for every mantissa that there is. VRSHL rounds ties up, which differs from the rounding of a
/// [`Multiplier`](crate::fixed::Multiplier) where what is shifted is negative and a tie. Then the result is not above the zero
/// point either way: where the zero point is the least output, both are clamped to it. Elsewhere 1 is taken off negative sums
/// before the shift, by VQRDMLAH, which changes no result but those of ties.
pub fn requantise(sum: i32, mantissa: i32, shift: i32, zero_point: i8) -> i8 {
    let correction = if zero_point == i8::MIN { 0 } else { sum >> 31 };
    let scaled = i64::from(high_mul(sum, mantissa)) + i64::from(correction);
    let shifted = if shift < 0 {
        i64::from((scaled as i32).wrapping_shl(shift.unsigned_abs()))
    } else {
        (scaled + ((1_i64 << shift) >> 1)) >> shift
    };
    let halfword = shifted.clamp(i16::MIN.into(), i16::MAX.into()) as i32;
    clamp_i8(halfword + i32::from(zero_point), i8::MIN, i8::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixed::Multiplier;

    /// The definition.
    fn defined(sum: i32, mantissa: i32, shift: i32, zero_point: i8) -> i8 {
        let scaled = Multiplier { mantissa, shift: -shift as i8 }.apply(sum);
        clamp_i8(scaled.saturating_add(zero_point.into()), i8::MIN, i8::MAX)
    }

    /// A shift, and a zero point that it is defined for.
    fn cases() -> impl Strategy<Value = (i32, i8)> {
        prop_oneof![(1..=31, any::<i8>()), (0..=31, Just(i8::MIN))]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn every_sum_is_requantised_as_defined(sum: i32, bits in 0..31, mantissa in 1 << 30..=i32::MAX, (shift, zero_point) in cases()) {
            for (sum, zero_point) in [(sum, zero_point), (sum >> bits, zero_point), (sum >> bits, i8::MIN)] {
                prop_assert_eq!(
                    requantise(sum, mantissa, shift, zero_point),
                    defined(sum, mantissa, shift, zero_point)
                );
            }
        }

        /// With a mantissa of 2^30 the product is half of the sum, so that every tie can be hit.
        #[test]
        fn ties_are_requantised_as_defined(quotient in -300..300, near in -1..=1, shift in 1..=20, zero_point: i8) {
            let sum = 2 * ((quotient << shift) + (1 << (shift - 1))) + near;
            for zero_point in [zero_point, i8::MIN] {
                prop_assert_eq!(requantise(sum, 1 << 30, shift, zero_point), defined(sum, 1 << 30, shift, zero_point));
            }
            prop_assert_eq!(requantise(sum, 0, shift, zero_point), zero_point);
        }
    }
}
