//! The fast requantisation for cores that multiply words.

use crate::bounded::Bounded;
use crate::fixed::clamp_i8;
use crate::operators::PackedParams;

/// From twice a sum below 2^30 with its bias to the output, as [`PackedParams`] says.
#[inline]
pub fn requantise(doubled: i32, mantissa: i32, rounding: i32, shift: i32) -> i8 {
    let high =
        if cfg!(nsi_armv6m) { high_product_of_halves(doubled, mantissa) } else { high_product(doubled, mantissa) };
    let scaled = high.wrapping_add(rounding).wrapping_add(doubled >> 31);
    clamp_i8(scaled >> (shift & 31), i8::MIN, i8::MAX)
}

/// The same from the sum without its bias.
#[inline]
pub fn finish(sum: i32, channel: &PackedParams) -> i8 {
    let doubled = sum.wrapping_mul(2).wrapping_add(channel.doubled_bias);
    requantise(doubled, channel.mantissa, channel.rounding, channel.shift)
}

/// The upper half of `a · b`, rounded to nearest, ties upwards.
#[inline]
fn high_product(a: i32, b: i32) -> i32 {
    ((i64::from(a) * i64::from(b)).wrapping_add(1 << 31) >> 32) as i32
}

/// The same for `b ≥ 0` from products of halves, where a core has no longer ones. No step overflows.
#[inline]
fn high_product_of_halves(a: i32, b: i32) -> i32 {
    let (a_high, a_low) = (a >> 16, a as u32 & 0xFFFF);
    let (b_high, b_low) = (b >> 16, b as u32 & 0xFFFF);
    let middle = a_low.times(b_high as u32).plus((a_low * b_low) >> 16).plus(1 << 15);
    let other = a_high.wrapping_mul(b_low as i32).wrapping_add((middle & 0xFFFF) as i32);
    (a_high * b_high).wrapping_add((middle >> 16) as i32).wrapping_add(other >> 16)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Any numbers, and those whose halves are at the ends of their ranges.
    fn numbers() -> impl Strategy<Value = i32> {
        let ends = [0, 1, 0x7FFF, 0x8000, 0xFFFF];
        let half = prop::sample::select(ends.to_vec());
        prop_oneof![any::<i32>(), (half.clone(), half).prop_map(|(high, low)| (high << 16) | low)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]
        #[test]
        fn products_of_halves_give_the_long_product(a in numbers(), b in numbers()) {
            let b = b & i32::MAX;
            prop_assert_eq!(high_product_of_halves(a, b), high_product(a, b));
        }
    }

    #[test]
    fn it_is_the_ordinary_requantisation_near_ties() {
        use crate::fixed::Multiplier;
        use crate::operators::{ChannelParams, OutputParams};

        let mut differing = 0;
        for (mantissa, shift, zero_point) in
            [(1 << 30, 1, 0), (i32::MAX, 5, -128), (0x5A82_799A, 9, 127), (1_234_567_890, 22, -3)]
        {
            let plain = ChannelParams { bias: -7, multiplier: Multiplier { mantissa, shift: -shift } };
            let packed = PackedParams::new(plain, zero_point).expect("the shift is in range");
            for step in -600_i64..600 {
                let tie = (i128::from(2 * step + 1) << (shift + 30)) / i128::from(mantissa);
                for sum in (-3..=3).map(|off| (tie as i64 + off).clamp(-(1 << 29), 1 << 29) as i32) {
                    let expected = clamp_i8(plain.scale(sum - 7) + i32::from(zero_point), i8::MIN, i8::MAX);
                    assert_eq!(finish(sum, &packed), expected);
                    differing += u32::from(expected > i8::MIN && expected < i8::MAX);
                }
            }
        }
        assert!(differing > 5000, "{differing}");
    }
}
