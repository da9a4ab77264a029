//! Weights, biases and multipliers of one output channel.

use super::error::{Error, Result};
use super::scale::{Quantisation, layer_factor, multiplier};

/// No accumulator of a layer made here reaches this magnitude, whatever the input. A quarter of what i32 holds:
/// fast requantisation needs it.
const ACCUMULATOR_LIMIT: u64 = 1 << 30;
/// Smallest ratio of an accumulator's step to the output's. A finer step gains nothing, and would overflow the bias.
const FINEST_STEP: f64 = 1.0 / (1_u32 << 22) as f64;

/// One output channel in int8.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    /// −127..=127.
    pub weights: Vec<i8>,
    /// With `−zero_point_in · Σw` folded in.
    pub bias: i32,
    /// Input scale · weight scale / output scale, within what a `Multiplier` holds.
    pub factor: f64,
    /// How many times the weights' scale had to be doubled to keep the accumulator in range; 0 as a rule.
    pub doublings: u32,
}

/// Quantises one output channel: the largest weight becomes ±127, unless steps that fine would overflow the accumulator.
///
/// # Errors
/// When the multiplier cannot be represented: the input's range is out of all proportion to the output's.
pub fn quantise_channel(weights: &[f32], bias: f32, input: Quantisation, output: Quantisation) -> Result<Channel> {
    let largest = weights.iter().fold(0.0_f32, |largest, weight| largest.max(weight.abs()));
    let input_scale = f64::from(input.scale);
    let finest = (FINEST_STEP * f64::from(output.scale) / input_scale) as f32;
    let mut scale = (largest / 127.0).max(finest);
    for doublings in 0..128 {
        let quantised: Vec<i8> = weights.iter().map(|&w| (w / scale).round().clamp(-127.0, 127.0) as i8).collect();
        let step = input_scale * f64::from(scale);
        if let Some(bias) = fold_bias(&quantised, f64::from(bias) / step, input.zero_point) {
            let factor = layer_factor(input.scale, scale, output.scale);
            ensure!(multiplier(factor).is_some(), Error::Scale(factor));
            return Ok(Channel { weights: quantised, bias, factor, doublings });
        }
        scale *= 2.0;
    }
    Err(Error::Bias(bias))
}

/// The bias for plain products `w · x`, or `None` when some input could make the accumulator too large.
fn fold_bias(weights: &[i8], bias: f64, zero_point: i8) -> Option<i32> {
    let sum: i64 = weights.iter().map(|&weight| i64::from(weight)).sum();
    let magnitude: u64 = weights.iter().map(|&weight| u64::from(weight.unsigned_abs())).sum();
    // A float's conversion to an integer saturates, so does the subtraction.
    let folded = (bias.round() as i64).saturating_sub(i64::from(zero_point) * sum);
    let worst = folded.unsigned_abs().saturating_add(magnitude * 128);
    if worst < ACCUMULATOR_LIMIT { i32::try_from(folded).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUT: Quantisation = Quantisation { scale: 0.5, zero_point: -128 };
    const OUTPUT: Quantisation = Quantisation { scale: 0.25, zero_point: 3 };

    fn apply(channel: &Channel, sum: i32) -> i32 {
        multiplier(channel.factor).unwrap().apply(sum)
    }

    /// The real output for a constant input.
    fn output(channel: &Channel, x: i8) -> f32 {
        let sum: i32 = channel.weights.iter().map(|&w| i32::from(w) * i32::from(x)).sum::<i32>() + channel.bias;
        apply(channel, sum) as f32 * OUTPUT.scale
    }

    #[test]
    fn a_channel_worked_out_by_hand() {
        let channel = quantise_channel(&[1.27, -0.5, 0.0], 2.0, INPUT, OUTPUT).unwrap();
        assert_eq!(channel.weights, [127, -50, 0]);
        // Step 0.5 · 0.01: bias 2 / 0.005 = 400; 400 + 128 · 77.
        assert_eq!(channel.bias, 400 + 128 * 77);
        assert_eq!(channel.factor, f64::from(1.27_f32 / 127.0) * 0.5 / 0.25);
        assert_eq!(channel.doublings, 0);
        // x = 28 is the real number 78: 1.27 · 78 − 0.5 · 78 + 2 = 62.06.
        assert!((output(&channel, 28) - 62.06).abs() <= OUTPUT.scale / 2.0 + 1e-3);
    }

    #[test]
    fn a_channel_without_weights_gives_its_bias() {
        let channel = quantise_channel(&[0.0; 5], -7.3, INPUT, OUTPUT).unwrap();
        assert_eq!(channel.weights, [0; 5]);
        assert!(multiplier(channel.factor).is_some_and(|multiplier| multiplier.mantissa > 0));
        assert_eq!(output(&channel, 100), -7.25);
        let channel = quantise_channel(&[1e-30; 5], 7.3, INPUT, OUTPUT).unwrap();
        assert_eq!(output(&channel, 100), 7.25);
    }

    #[test]
    fn a_bias_far_above_the_weights_raises_their_scale() {
        let wide = Quantisation { scale: 1000.0, zero_point: 0 };
        let channel = quantise_channel(&[1e-5, -1e-5], 20_000.0, INPUT, wide).unwrap();
        assert!(apply(&channel, channel.bias) == 20);
        let channel = quantise_channel(&[1e-3, -1e-3], 1e7, INPUT, OUTPUT).unwrap();
        assert!(channel.doublings > 0);
        assert_eq!(output(&channel, -128), 1e7);
    }

    #[test]
    fn no_input_overflows_the_accumulator() {
        let weights = vec![1.0; 100_000];
        let channel = quantise_channel(&weights, 0.0, INPUT, OUTPUT).unwrap();
        let magnitude: i64 = channel.weights.iter().map(|&w| i64::from(w.unsigned_abs())).sum();
        assert!(channel.doublings > 0);
        assert!(i64::from(channel.bias.unsigned_abs()) + 128 * magnitude < 1 << 30);
        // All inputs at the real number 1 (two steps): 100,000, to the precision of weights that are now smaller.
        assert!((output(&channel, -126) / 100_000.0 - 1.0).abs() < 0.05);
    }

    #[test]
    fn what_cannot_be_represented_is_an_error() {
        let tiny = Quantisation { scale: 1e-30, zero_point: 0 };
        assert!(quantise_channel(&[1.0], 0.0, INPUT, tiny).is_err());
    }
}
