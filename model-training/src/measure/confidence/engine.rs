//! Probabilities as the engine gives them: bytes, from its own softmax.

use anyhow::{Context, Result};
use no_std_infer::format::{Op, Softmax, Tensor};
use no_std_infer::kernels::Linked;

use model_compiler::quantise::{Quantisation, softmax_parameters};

/// What a model with these int8 logits, of steps of `scale`, gives as probabilities when a temperature is folded into its
/// softmax: bytes for 256ths, by running the engine's softmax.
///
/// # Errors
/// When the scale is too small for the softmax.
pub fn engine_bytes(logits: &[i8], scale: f32, temperature: f32) -> Result<Vec<u8>> {
    let (multiplier, diff_min) = softmax_parameters(scale, temperature)
        .with_context(|| format!("the logits' scale {scale} is too small for the temperature {temperature}"))?;
    let channels = logits.len() as u32;
    let input = Tensor { offset: 0, height: 1, width: 1, channels, scale, zero_point: 0 };
    let Quantisation { scale, zero_point } = Quantisation::PROBABILITY;
    let output = Tensor { offset: channels, scale, zero_point, ..input };
    let mut arena = [logits, logits].concat();
    Linked::ALL.run(&Op::Softmax(Softmax { input, output, multiplier, diff_min }), &mut arena, &[]);
    Ok(arena[output.range()].iter().map(|&byte| byte as u8 ^ 0x80).collect())
}

#[cfg(test)]
mod tests {
    use model_compiler::aligned::Aligned;
    use model_compiler::graph::softmax;
    use no_std_infer::Model;

    use super::*;
    use crate::measure::evaluate::infer;
    use crate::samples::{blob, inputs};

    #[test]
    fn bytes_are_those_of_a_model_with_that_temperature() {
        let labels: Vec<String> = (0..5).map(|class| class.to_string()).collect();
        for temperature in [0.3, 1.0, 4.5] {
            let blob = blob(&labels, temperature);
            let model = Model::parse(&blob).unwrap();
            for input in &inputs() {
                let output = infer(&model, &mut Aligned::new(model.arena_len()), input);
                let bytes = engine_bytes(&output.logits, model.info().logits.scale, temperature).unwrap();
                assert_eq!(bytes, output.output.iter().map(|&q| q as u8 ^ 0x80).collect::<Vec<_>>());
                let real: Vec<f32> = output.logits.iter().map(|&q| model.info().logits.scale * f32::from(q)).collect();
                for (byte, exact) in bytes.iter().zip(softmax(&real, temperature)) {
                    assert!((f64::from(*byte) / 256.0 - exact).abs() < 1.0 / 128.0, "{byte} {exact}");
                }
            }
        }
    }
}
