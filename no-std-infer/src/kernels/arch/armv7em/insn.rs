//! What single instructions of the DSP extension compute, in plain Rust: the models that stand for loops in assembly
//! where there is no such processor. On halfwords: the lower one is bits 0..16. Sums wrap.

/// Bytes 0 and 2, each sign-extended to a halfword.
pub const fn sxtb16(x: u32) -> u32 {
    (x as u8 as i8 as i16 as u16) as u32 | ((x >> 16) as u8 as i8 as i16 as u16 as u32) << 16
}

/// `SXTB16 x, ROR #8`: bytes 1 and 3, each sign-extended to a halfword.
pub const fn sxtb16_ror8(x: u32) -> u32 {
    sxtb16(x.rotate_right(8))
}

const fn halves(x: u32) -> [i32; 2] {
    [x as i16 as i32, (x >> 16) as i16 as i32]
}

/// Both products of halfwords, added to `sum`.
pub const fn smlad(a: u32, b: u32, sum: i32) -> i32 {
    let ([a0, a1], [b0, b1]) = (halves(a), halves(b));
    sum.wrapping_add(a0 * b0).wrapping_add(a1 * b1)
}

/// High word of `a · b + (sum << 32)`, rounded.
pub const fn smmlar(a: i32, b: i32, sum: i32) -> i32 {
    let wide = (a as i64 * b as i64).wrapping_add((sum as i64) << 32).wrapping_add(1 << 31);
    (wide >> 32) as i32
}

/// `x` clamped to −128..=127.
pub const fn ssat8(x: i32) -> i8 {
    crate::fixed::clamp_i8(x, i8::MIN, i8::MAX)
}

/// The fast requantisation, `SMMLAR, ADD asr #31, ASR, SSAT`, of twice a sum below 2^30 with its bias.
pub const fn requantise(doubled: i32, mantissa: i32, rounding: i32, shift: i32) -> i8 {
    let scaled = smmlar(doubled, mantissa, rounding).wrapping_add(doubled >> 31);
    ssat8(scaled >> (shift & 31))
}

/// The same without `ADD asr #31`, where the output's zero point is -128: the results differ only where a negative tie would
/// be rounded to below the zero point or to it, and both become -128.
pub const fn requantise_at_floor(doubled: i32, mantissa: i32, rounding: i32, shift: i32) -> i8 {
    ssat8(smmlar(doubled, mantissa, rounding) >> (shift & 31))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixed::{Multiplier, clamp_i8};
    use crate::operators::{ChannelParams, OutputParams, PackedParams};

    #[test]
    fn instructions_do_what_the_manual_says() {
        assert_eq!(sxtb16(0x1180_227F), 0xFF80_007F);
        assert_eq!(sxtb16_ror8(0x8011_7F22), 0xFF80_007F);
        assert_eq!(smlad(0xFFFF_0002, 0x0003_0004, 10), 10 - 3 + 8);
        assert_eq!(smlad(0x8000_8000, 0x8000_8000, 0), i32::MIN);
        assert_eq!(smmlar(1 << 16, 1 << 15, 5), 6);
        assert_eq!(smmlar(1 << 16, (1 << 15) - 1, 5), 5);
        assert_eq!((ssat8(200), ssat8(-200), ssat8(-3)), (127, -128, -3));
    }

    /// Sums near the ties of the last rounding, and sums anywhere.
    fn sums(mantissa: i32, shift: i32) -> impl Strategy<Value = i32> {
        let limit = (1 << 30) - 1;
        let tie = (-300_i64..300, -3_i64..=3).prop_map(move |(step, off)| {
            let sum = i128::from(2 * step + 1) << (shift + 30);
            ((sum / i128::from(mantissa)) as i64 + off).clamp(-i64::from(limit), i64::from(limit)) as i32
        });
        prop_oneof![tie, -limit..=limit]
    }

    fn cases() -> impl Strategy<Value = (i32, i32, i32, i8)> {
        (1 << 30..=i32::MAX, 1..=22_i32, any::<i8>())
            .prop_flat_map(|(mantissa, shift, zero)| (sums(mantissa, shift), Just(mantissa), Just(shift), Just(zero)))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]
        #[test]
        fn the_fast_requantisation_is_the_ordinary_one((sum, mantissa, shift, zero_point) in cases()) {
            let plain = ChannelParams { bias: 0, multiplier: Multiplier { mantissa, shift: -shift as i8 } };
            let fast = PackedParams::new(plain, zero_point).expect("the shift is in range");
            prop_assert!(fast.fits(zero_point));
            let expected = clamp_i8(plain.scale(sum) + i32::from(zero_point), i8::MIN, i8::MAX);
            prop_assert_eq!(requantise(2 * sum, fast.mantissa, fast.rounding, fast.shift), expected);
            let least = PackedParams::new(plain, i8::MIN).expect("the shift is in range");
            let [whole, short] = [requantise, requantise_at_floor]
                .map(|requantise| requantise(2 * sum, least.mantissa, least.rounding, least.shift));
            prop_assert_eq!(whole, short);
        }
    }
}
