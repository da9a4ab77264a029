//! The rounding against an independent statement in wide integers.

use no_std_infer::fixed::{
    DoubleMultiplier, Multiplier, exp_on_negative_values, high_mul, one_over_one_plus_x, rounding_shift_right,
};
use proptest::prelude::*;

/// `numerator / 2^exponent` rounded to nearest, ties away from zero.
fn half_away(numerator: i128, exponent: u32) -> i128 {
    let magnitude = (numerator.abs() * 2 + (1 << exponent)) >> (exponent + 1);
    magnitude * numerator.signum()
}

/// `numerator / 2^exponent` rounded to nearest, ties towards +∞.
fn half_up(numerator: i128, exponent: u32) -> i128 {
    (numerator * 2 + (1 << exponent)).div_euclid(1 << (exponent + 1))
}

fn saturate(x: i128) -> i32 {
    x.clamp(i128::from(i32::MIN), i128::from(i32::MAX)) as i32
}

fn accumulator() -> impl Strategy<Value = i32> {
    let edge = prop::sample::select(vec![i32::MIN, i32::MIN + 1, -1, 0, 1, i32::MAX - 1, i32::MAX]);
    prop_oneof![any::<i32>(), -100_000..100_000, edge]
}

/// Ordinary factors, whole divisors (ties), and any that are valid.
fn factors() -> impl Strategy<Value = f64> {
    let any = (-1000_i32..999, 1.0..2.0).prop_map(|(exponent, mantissa)| mantissa * 2_f64.powi(exponent));
    prop_oneof![1e-5..1.0, (1_u32..5000).prop_map(|divisor| 1.0 / f64::from(divisor)), 1e-12..1e3, any]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100_000))]

    #[test]
    fn shifts_round_half_away_from_zero(x in accumulator(), exponent in 0_u32..=31) {
        prop_assert_eq!(i128::from(rounding_shift_right(x, exponent)), half_away(i128::from(x), exponent));
    }

    #[test]
    fn high_multiplication_rounds_half_up(a in accumulator(), b in accumulator()) {
        let exact = half_up(i128::from(a) * i128::from(b), 31);
        prop_assert_eq!(high_mul(a, b), saturate(exact));
    }

    #[test]
    fn requantisation_rounds_twice(x in accumulator(), mantissa in 1_i32 << 30..=i32::MAX, shift in -31_i8..=30) {
        let multiplier = Multiplier { mantissa, shift };
        let left = saturate(i128::from(x) << shift.max(0));
        let high = half_up(i128::from(left) * i128::from(mantissa), 31);
        let expected = half_away(high, u32::from((-shift).max(0).unsigned_abs()));
        prop_assert_eq!(i128::from(multiplier.apply(x)), expected);
    }

    #[test]
    fn doubles_are_multiplied_as_the_processor_does(x in accumulator(), factor in factors()) {
        let multiplier = DoubleMultiplier { bits: factor.to_bits() };
        prop_assert!(multiplier.is_valid());
        prop_assert_eq!(multiplier.apply(x), ((f64::from(x) * factor).round() as i32).max(-i32::MAX));
    }

    #[test]
    fn the_exponential_is_close(x in i32::MIN..=0) {
        let real = (f64::from(x) / f64::from(1 << 26)).exp();
        prop_assert!((f64::from(exp_on_negative_values(x)) / 2_f64.powi(31) - real).abs() < 5e-7);
    }

    #[test]
    fn the_reciprocal_is_close(x in 0..=i32::MAX) {
        let real = 1.0 / (1.0 + f64::from(x) / 2_f64.powi(31));
        prop_assert!((f64::from(one_over_one_plus_x(x)) / 2_f64.powi(31) - real).abs() < 5e-7);
    }
}

#[test]
fn corners_worked_out_by_hand() {
    assert_eq!(high_mul(i32::MIN, i32::MIN), i32::MAX);
    assert_eq!(rounding_shift_right(5, 1), 3);
    assert_eq!(rounding_shift_right(-5, 1), -3);
    assert_eq!(Multiplier { mantissa: 1 << 30, shift: 1 }.apply(7), 7);
    assert_eq!(Multiplier { mantissa: 0, shift: 0 }.apply(i32::MIN), 0);
    // 3 · 0.5 = 1.5 rounds up to 2; then 2 / 2 = 1, where one rounding of 3 / 4 gives 1 as well.
    assert_eq!(Multiplier { mantissa: 1 << 30, shift: -1 }.apply(3), 1);
    // −1 · 0.5 = −0.5 rounds towards +∞ to 0; a single rounding half away from zero would give −1.
    assert_eq!(Multiplier { mantissa: 1 << 30, shift: 0 }.apply(-1), 0);
}
