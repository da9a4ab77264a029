//! Inputs that are no pictures, such as a spectrogram: from features to the bytes of a tensor, and from bytes to real
//! numbers. Each value by itself, so that features go straight to [`Interpreter::input_mut`](crate::Interpreter::input_mut).
//!
//! ```
//! use no_std_infer::format::Tensor;
//! use no_std_infer::quantise::Rescale;
//!
//! // Firmware takes `model.info().input.tensor`, and `interpreter.input_mut()` for `input`.
//! let tensor = Tensor { offset: 0, height: 1, width: 3, channels: 1, scale: 0.5, zero_point: -10 };
//! let mut input = [0_i8; 3];
//!
//! for (slot, feature) in input.iter_mut().zip([0.0_f32, 1.25, 1000.0]) {
//!     *slot = tensor.quantise(feature);
//! }
//! assert_eq!(input, [-10, -7, 127]);
//!
//! // Integer features of which one stands for 1/16: no float is left once the factor is known.
//! let rescale = Rescale::new(&tensor, 1.0 / 16.0).expect("both scales are positive");
//! for (slot, feature) in input.iter_mut().zip([0_i16, 20, 16_000]) {
//!     *slot = rescale.apply(feature.into());
//! }
//! assert_eq!(input, [-10, -7, 127]);
//! ```

use crate::fixed::DoubleMultiplier;
use crate::format::Tensor;

impl Tensor {
    /// The int8 value nearest to a real number: `value / scale` in single precision, rounded to an integer, halves away
    /// from zero, plus the zero point, saturating. Not a number becomes the zero point.
    #[must_use]
    pub fn quantise(&self, value: f32) -> i8 {
        saturate(round(value / self.scale), self.zero_point)
    }

    /// The real number that an int8 value stands for: `scale · (quantised − zero_point)`.
    #[must_use]
    pub fn real(&self, quantised: i8) -> f32 {
        self.scale * f32::from(i16::from(quantised) - i16::from(self.zero_point))
    }
}

/// From integer features of one scale to a tensor's bytes, in integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Rescale {
    factor: DoubleMultiplier,
    zero_point: i8,
}

impl Rescale {
    /// From features of which one stands for the real number `step` (2^-15 for samples in Q15) to `tensor`'s bytes.
    /// `None` where `step` or the tensor's scale is not a positive number.
    ///
    /// Divides once in double precision: keep the result.
    #[must_use]
    pub fn new(tensor: &Tensor, step: f32) -> Option<Self> {
        let positive = |scale: f32| scale > 0.0 && scale.is_finite();
        let factor = DoubleMultiplier { bits: (f64::from(step) / f64::from(tensor.scale)).to_bits() };
        let valid = positive(step) && positive(tensor.scale) && factor.is_valid();
        valid.then_some(Self { factor, zero_point: tensor.zero_point })
    }

    /// The int8 value of a feature: `value · (step / scale)` as double precision computes it, rounded to an integer,
    /// halves away from zero, plus the zero point, saturating.
    #[must_use]
    pub fn apply(&self, value: i32) -> i8 {
        saturate(self.factor.apply(value), self.zero_point)
    }
}

fn saturate(steps: i32, zero_point: i8) -> i8 {
    steps.saturating_add(i32::from(zero_point)).clamp(-128, 127) as i8
}

/// To the nearest integer, halves away from zero, saturating; 0 for not a number.
fn round(x: f32) -> i32 {
    let whole = x as i32;
    // Exact: from 2^23 on a float has no fraction.
    let rest = x - whole as f32;
    whole.saturating_add(i32::from(rest >= 0.5) - i32::from(rest <= -0.5))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tensor(scale: f32, zero_point: i8) -> Tensor {
        Tensor { offset: 0, height: 1, width: 1, channels: 1, scale, zero_point }
    }

    fn saturated(steps: f64, zero_point: i8) -> i8 {
        (steps.round() + f64::from(zero_point)) as i8
    }

    proptest! {
        #[test]
        fn floats_are_rounded_once(value in any::<f32>(), steps in -300.0_f32..300.0, scale in 1e-6_f32..1e6, zero_point in any::<i8>()) {
            let tensor = tensor(scale, zero_point);
            for value in [value, steps * scale] {
                prop_assert_eq!(tensor.quantise(value), saturated(f64::from(value / scale), zero_point), "{}", value);
            }
        }

        #[test]
        fn every_byte_comes_back(scale in 1e-30_f32..1e30, zero_point in any::<i8>(), quantised in any::<i8>()) {
            let tensor = tensor(scale, zero_point);
            prop_assert_eq!(tensor.quantise(tensor.real(quantised)), quantised);
        }

        #[test]
        fn integers_are_rounded_once(step in 1e-9_f32..1e3, scale in 1e-9_f32..1e3, zero_point in any::<i8>(), value in any::<i32>()) {
            let rescale = Rescale::new(&tensor(scale, zero_point), step).unwrap();
            let factor = f64::from(step) / f64::from(scale);
            for value in [value, value >> 16, value >> 24] {
                prop_assert_eq!(rescale.apply(value), saturated(f64::from(value) * factor, zero_point), "{}", value);
            }
        }
    }

    #[test]
    fn halves_go_away_from_zero_and_ends_saturate() {
        let tensor = tensor(1.0, -3);
        let below_a_half = f32::from_bits(0.5_f32.to_bits() - 1);
        let found = [
            0.5,
            -0.5,
            1.5,
            below_a_half,
            -below_a_half,
            129.5,
            1e30,
            -1e30,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NAN,
        ];
        let expected = [-2, -4, -1, -3, -3, 127, 127, -128, 127, -128, -3];
        assert_eq!(found.map(|value| tensor.quantise(value)), expected);
        assert_eq!(
            [8_388_607.0, 8_388_609.0, -2_147_483_648.0, 2_147_483_520.0].map(round),
            [8_388_607, 8_388_609, i32::MIN, 2_147_483_520]
        );
    }

    #[test]
    fn all_samples_of_16_bits_agree_with_floats_where_these_are_exact() {
        let tensor = tensor(0.25, 7);
        let rescale = Rescale::new(&tensor, 1.0 / 512.0).unwrap();
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(rescale.apply(sample.into()), tensor.quantise(f32::from(sample) / 512.0), "{sample}");
        }
    }

    #[test]
    fn scales_that_are_not_positive_are_refused() {
        for bad in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert_eq!(Rescale::new(&tensor(1.0, 0), bad), None);
            assert_eq!(Rescale::new(&tensor(bad, 0), 1.0), None);
        }
        assert!(Rescale::new(&tensor(f32::MIN_POSITIVE, 0), f32::MAX).is_some());
    }
}
