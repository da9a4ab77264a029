//! From real numbers to fixed point: activation ranges, multipliers, softmax parameters.

use no_std_infer::fixed::{Multiplier, SOFTMAX_DIFF_BITS};
use serde::{Deserialize, Serialize};

/// Smallest and largest real value of a tensor; 0 is always inside.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// 0 or less.
    pub min: f32,
    /// 0 or more.
    pub max: f32,
}

impl Range {
    /// The range from `min` to `max`, extended to 0.
    #[must_use]
    pub fn new(min: f32, max: f32) -> Self {
        Self { min: min.min(0.0), max: max.max(0.0) }
    }

    /// Smallest and largest of some values; infinite when one of them is not a number.
    #[must_use]
    pub fn of(values: &[f32]) -> Self {
        let range = values.iter().fold(Self::new(0.0, 0.0), |r, &v| Self { min: r.min.min(v), max: r.max.max(v) });
        let numbers = !values.iter().any(|value| value.is_nan());
        if numbers { range } else { Self { min: f32::NEG_INFINITY, max: f32::INFINITY } }
    }

    /// The range that holds both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }
}

/// How int8 stands for real numbers: `real = scale · (q − zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantisation {
    /// Real value of one step.
    pub scale: f32,
    /// The int8 value of 0.
    pub zero_point: i8,
}

impl Quantisation {
    /// The network's input: the byte `pixel − 128` is the real number itself.
    pub const INPUT: Self = Self { scale: 1.0, zero_point: 0 };
    /// Outputs of sigmoid and softmax.
    pub const PROBABILITY: Self = Self { scale: 1.0 / 256.0, zero_point: -128 };

    /// Spreads a range over all 256 values. A tensor that is 0 throughout gets the range 0..=1.
    #[must_use]
    pub fn of_range(range: Range) -> Self {
        let width = range.max - range.min;
        // Also keeps the scale a normal number.
        let range = if width < 1e-30 { Range::new(0.0, 1.0) } else { range };
        let scale = (range.max - range.min) / 255.0;
        let zero_point = (-128.0 - range.min / scale).round().clamp(-128.0, 127.0) as i8;
        Self { scale, zero_point }
    }

    /// The nearest int8 value, saturating.
    #[must_use]
    pub fn quantise(self, real: f32) -> i8 {
        // A float's conversion to an integer saturates.
        ((real / self.scale).round() + f32::from(self.zero_point)) as i8
    }

    /// The real number that an int8 value stands for.
    #[must_use]
    pub fn real(self, quantised: i8) -> f32 {
        (f32::from(quantised) - f32::from(self.zero_point)) * self.scale
    }
}

/// What a layer's sums of products are multiplied with, given the scales of its input, of its weights and of its output.
#[must_use]
pub fn layer_factor(input: f32, weights: f32, output: f32) -> f64 {
    f64::from(input) * f64::from(weights) / f64::from(output)
}

/// What the product of two tensors' elements is multiplied with, given their scales and the output's: as LiteRT, in floats.
#[must_use]
pub fn product_factor(a: f32, b: f32, output: f32) -> f64 {
    f64::from(a * b / output)
}

/// `real` as LiteRT's `QuantizeMultiplier` makes it; `None` when it is negative, not finite or 2^30 and above.
/// Below 2^−32 it becomes 0.
#[must_use]
pub fn multiplier(real: f64) -> Option<Multiplier> {
    if real == 0.0 {
        return Some(Multiplier { mantissa: 0, shift: 0 });
    }
    if !real.is_finite() || real < 0.0 {
        return None;
    }
    let (fraction, mut shift) = frexp(real);
    let mut mantissa = (fraction * (1_i64 << 31) as f64).round() as i64;
    if mantissa == 1 << 31 {
        mantissa /= 2;
        shift += 1;
    }
    if shift < -31 {
        (mantissa, shift) = (0, 0);
    }
    if shift > 30 { None } else { Some(Multiplier { mantissa: mantissa as i32, shift: shift as i8 }) }
}

/// Splits a positive number into a fraction in [1/2, 1) and an exponent of 2. Subnormal numbers lose their value but keep
/// an exponent below −1000.
fn frexp(real: f64) -> (f64, i32) {
    const BIAS: u64 = 1022;
    let bits = real.to_bits();
    let exponent = (bits >> 52 & 0x7ff) as i32 - BIAS as i32;
    (f64::from_bits(bits & !(0x7ff << 52) | BIAS << 52), exponent)
}

/// The multiplier of a [`Mean`](no_std_infer::format::Mean) of `count` elements, where `ratio` is the input's scale over
/// the output's; `None` when [`multiplier`] has none for `ratio`, or `count` is 0.
#[must_use]
pub fn mean_multiplier(ratio: f64, count: u32) -> Option<Multiplier> {
    let undivided = multiplier(ratio)?;
    let shift = count.checked_ilog2()?.min(u32::try_from(31 + i32::from(undivided.shift)).ok()?);
    let mantissa = (i64::from(undivided.mantissa) << shift) / i64::from(count);
    Some(Multiplier { mantissa: i32::try_from(mantissa).ok()?, shift: undivided.shift - shift as i8 })
}

/// Multiplier and smallest difference of TFLite's integer softmax for logits of this scale, divided by `temperature`;
/// `None` when `scale / temperature` is below 2^−26.
#[must_use]
pub fn softmax_parameters(scale: f32, temperature: f32) -> Option<(Multiplier, i32)> {
    softmax_parameters_of_step(f64::from(scale) / f64::from(temperature))
}

/// Like [`softmax_parameters`] for exponents that are `step` apart: TFLite's is the logits' scale times `beta`.
#[must_use]
pub fn softmax_parameters_of_step(step: f64) -> Option<(Multiplier, i32)> {
    let fraction_bits = 31 - SOFTMAX_DIFF_BITS;
    let real = step * f64::from(1_u32 << fraction_bits);
    if real.is_nan() || real < 1.0 {
        return None;
    }
    let Some(multiplier) = multiplier(real) else {
        // Only the largest logits count, whose difference is 0 with any multiplier.
        return Some((Multiplier { mantissa: i32::MAX, shift: 30 }, 0));
    };
    // LiteRT's CalculateInputRadius.
    let largest = f64::from((1_u32 << SOFTMAX_DIFF_BITS) - 1) * f64::from(1_u32 << fraction_bits);
    let radius = (largest / 2.0_f64.powi(i32::from(multiplier.shift))).floor();
    Some((multiplier, -(radius as i32)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(multiplier: Multiplier) -> f64 {
        f64::from(multiplier.mantissa) * 2.0_f64.powi(i32::from(multiplier.shift) - 31)
    }

    #[test]
    fn multipliers_worked_out_by_hand() {
        let expect =
            |real, mantissa, shift| assert_eq!(multiplier(real), Some(Multiplier { mantissa, shift }), "{real}");
        expect(0.0, 0, 0);
        expect(0.5, 1 << 30, 0);
        expect(1.0, 1 << 30, 1);
        expect(0.75, 3 << 29, 0);
        expect(0.1, 1_717_986_918, -3);
        // Rounds up to 2^31: halved, the shift one larger.
        expect(1.0 - 2.0_f64.powi(-40), 1 << 30, 1);
        expect(2.0_f64.powi(-32), 1 << 30, -31);
        expect(2.0_f64.powi(-33), 0, 0);
        expect(f64::MIN_POSITIVE / 4.0, 0, 0);
        expect(2.0_f64.powi(30) - 1.0, i32::MAX - 1, 30);
        for wrong in [-0.1, f64::NAN, f64::INFINITY, 2.0_f64.powi(30)] {
            assert_eq!(multiplier(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_multiplier_is_the_nearest_of_its_kind(mantissa in 1.0_f64..2.0, exponent in -31..29) {
            let real = mantissa * 2.0_f64.powi(exponent);
            let quantised = multiplier(real).unwrap();
            prop_assert!(quantised.is_valid());
            // Half a unit of a 31-bit mantissa, all of it exact in f64.
            prop_assert!((value(quantised) - real).abs() <= 2.0_f64.powi(exponent + 1 - 32));
        }

        #[test]
        fn a_range_is_covered_and_zero_is_exact(low in -1e4_f32..0.0, high in 0.0_f32..1e4) {
            let range = Range::new(low, high);
            let quantisation = Quantisation::of_range(range);
            prop_assert_eq!(quantisation.real(quantisation.zero_point), 0.0);
            prop_assert_eq!(quantisation.quantise(0.0), quantisation.zero_point);
            for value in [low, high, low / 3.0, high / 3.0] {
                let error = (quantisation.real(quantisation.quantise(value)) - value).abs();
                prop_assert!(error <= quantisation.scale * 1.01, "{} {}", value, error);
            }
        }
    }

    #[test]
    fn ranges_of_relu_start_at_minus_128() {
        assert_eq!(Quantisation::of_range(Range::new(0.0, 5.1)).zero_point, -128);
        assert_eq!(Quantisation::of_range(Range::new(-5.1, 0.0)).zero_point, 127);
        assert_eq!(Quantisation::of_range(Range::new(0.0, 0.0)).scale, 1.0 / 255.0);
        assert_eq!(Range::of(&[1.0, f32::NAN]).max, f32::INFINITY);
    }

    #[test]
    fn softmax_parameters_are_litert_s() {
        // scale 0.1: 0.1 · 2^26 = 6,710,886.4 = 0.8 · 2^23; radius floor(31 · 2^26 / 2^23) = 248.
        let (multiplier, diff_min) = softmax_parameters(0.1, 1.0).unwrap();
        assert_eq!((multiplier.shift, diff_min), (23, -248));
        assert!((value(multiplier) / 6_710_886.4 - 1.0).abs() < 1e-7);
        // A temperature of 2 is half the scale.
        assert_eq!(softmax_parameters(0.2, 2.0), softmax_parameters(0.1, 1.0));
        assert_eq!(softmax_parameters(1e-9, 1.0), None);
        // From 2^30 on LiteRT's shift is 31 and the radius 31 · 2^26 / 2^31, less than 1.
        assert_eq!(softmax_parameters(15.9, 1.0).unwrap().1, -1);
        for step in [16.0, 16.0 - 1e-12, 1e6, f64::INFINITY] {
            let (multiplier, diff_min) = softmax_parameters_of_step(step).unwrap();
            assert!(multiplier.is_valid() && diff_min == 0, "{step}");
        }
    }

    #[test]
    fn the_multiplier_of_a_mean_is_divided_without_rounding() {
        let expect = |ratio, count, mantissa, shift| {
            assert_eq!(mean_multiplier(ratio, count), Some(Multiplier { mantissa, shift }), "{ratio} / {count}");
        };
        expect(1.0, 1, 1 << 30, 1);
        expect(1.0, 4, 1 << 30, -1);
        // 2^30 · 2^1 / 3, a shift of 1 − 1.
        expect(1.0, 3, 715_827_882, 0);
        // The mantissa takes what the shift has no room for.
        expect(2.0_f64.powi(-31), 4, 1 << 29, -31);
        assert_eq!(mean_multiplier(1.0, 0), None);
        assert_eq!(mean_multiplier(f64::NAN, 1), None);
    }
}
