//! A float view of the scores, for people; nothing on the inference path uses it.

use micromath::F32Ext;

use crate::format::Info;

/// Writes softmax probabilities of int8 logits, the model's temperature applied: one a class, each 0 to 1, sum 1.
/// `out` takes as many as fit.
///
/// The exponential is micromath's, whose relative error reaches 0.24 %. The integer probabilities that the network
/// itself computes are [`Interpreter::output`](crate::Interpreter::output).
pub fn probabilities(info: &Info<'_>, logits: &[i8], out: &mut [f32]) {
    let largest = logits.iter().copied().max().unwrap_or(0);
    let step = info.logits.scale / info.temperature;
    let mut sum = 0.0;
    for (out, &logit) in out.iter_mut().zip(logits) {
        *out = F32Ext::exp(step * f32::from(i16::from(logit) - i16::from(largest)));
        sum += *out;
    }
    for out in out.iter_mut().take(logits.len()) {
        *out /= sum;
    }
}
