//! HARD_SWISH as LiteRT's reference kernel computes it: in 16 bits, so that it is a table of its own.

use no_std_infer::fixed::rounding_shift_right;

use super::Table;
use crate::import::Result;
use crate::quantise::{Quantisation, multiplier};

/// Binary digits that inputs are shifted left by.
const INPUT_SHIFT: u32 = 7;

/// A factor `mantissa · 2^(exponent − 15)`.
#[derive(Clone, Copy)]
struct Factor {
    mantissa: i16,
    exponent: i8,
}

impl Factor {
    fn new(real: f32) -> Result<Self> {
        let multiplier = multiplier(real.into()).filter(|multiplier| (-15..=15).contains(&multiplier.shift));
        let multiplier = multiplier
            .ok_or_else(|| refused!(OutOfRange, "the scales of its input and its output are out of all proportion"))?;
        let rounded = (i64::from(multiplier.mantissa) + (1 << 15)) >> 16;
        Ok(Self { mantissa: saturate(rounded), exponent: multiplier.shift })
    }
}

/// The outputs for the inputs −128..=127.
///
/// # Errors
/// When LiteRT refuses the scales, or is not defined for them.
pub(super) fn hard_swish(from: Quantisation, to: Quantisation) -> Result<Table> {
    let input_scale = 1.0 / 128.0 * from.scale;
    let output = Factor::new(input_scale / to.scale)?;
    ensure!(
        output.exponent <= 0,
        OutOfRange,
        "its output's scale is less than 1/128 of its input's, which LiteRT refuses too"
    );
    let gate = Factor::new(input_scale / (3.0 / 32768.0))?;
    Ok(std::array::from_fn(|index| {
        let steps = index as i32 - 128 - i32::from(from.zero_point);
        let value = saturate(i64::from(steps) << INPUT_SHIFT);
        let scaled = doubling_high_mul(value, output.mantissa, true);
        let product = doubling_high_mul(share(value, gate), scaled, false);
        let rounded = rounding_shift_right(product.into(), output.exponent.unsigned_abs().into());
        (rounded + i32::from(to.zero_point)).clamp(-128, 127) as i8
    }))
}

/// min(max(x + 3, 0), 6) / 6 in Q0.15.
fn share(value: i16, gate: Factor) -> i16 {
    let left = gate.exponent.max(0).unsigned_abs();
    let shifted = saturate(i64::from(value) << left.saturating_sub(1));
    let scaled = doubling_high_mul(shifted, gate.mantissa, true);
    let shifted = saturate(i64::from(scaled) << left.min(1));
    let third = rounding_shift_right(shifted.into(), gate.exponent.min(0).unsigned_abs().into());
    ((third + (1 << 15)) >> 1) as i16
}

fn saturate(value: i64) -> i16 {
    value.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

/// High half of `2 · a · b`, rounded to the nearest (half away from zero but for negative ties) or towards zero.
fn doubling_high_mul(a: i16, b: i16, rounds: bool) -> i16 {
    let product = i64::from(a) * i64::from(b);
    let nudge = match (rounds, product >= 0) {
        (false, _) => 0,
        (true, true) => 1 << 14,
        (true, false) => 1 - (1 << 14),
    };
    saturate((product + nudge) / (1 << 15))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_those_of_litert_s_reference_kernel() {
        let quantisation = |scale, zero_point| Quantisation { scale, zero_point };
        let cases: [([Quantisation; 2], [i8; 18]); 3] = [
            (
                [quantisation(0.05, -10), quantisation(0.04, -118)],
                [-118, -118, -118, -118, -119, -126, -127, -124, -117, -104, -87, -66, -41, -22, -3, 16, 34, 53],
            ),
            (
                [quantisation(0.003, 60), quantisation(0.002, 5)],
                [-109, -102, -95, -87, -79, -70, -61, -52, -43, -33, -22, -12, -1, 10, 22, 34, 46, 59],
            ),
            (
                [quantisation(1.5, 0), quantisation(0.8, -100)],
                [-100, -100, -100, -100, -100, -100, -100, -100, -100, -87, -59, -31, -3, 26, 54, 82, 110, 127],
            ),
        ];
        for ([from, to], expected) in cases {
            let table = hard_swish(from, to).unwrap();
            let every_fifteenth: Vec<i8> = table.iter().step_by(15).copied().collect();
            assert_eq!(every_fifteenth, expected);
        }
    }

    #[test]
    fn scales_that_litert_does_not_define_are_refused() {
        let refused = |from, to| {
            let quantisation = |scale| Quantisation { scale, zero_point: 0 };
            hard_swish(quantisation(from), quantisation(to)).unwrap_err().to_string()
        };
        assert!(refused(10.0, 0.01).contains("refuses"));
        assert!(refused(0.0001, 1.0).contains("proportion"));
    }
}
