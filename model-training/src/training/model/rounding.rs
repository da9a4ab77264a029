//! The values that int8 has for weights and activations. Gradients pass as if they had not been rounded (the straight-through
//! estimator of Bengio et al. 2013, arXiv:1308.3432).

use burn::tensor::Tensor;
use model_compiler::quantise::Quantisation;

/// Added before a half is rounded away from zero, so that halves of exact means are, whatever float makes of them.
const HALF: f32 = 0.5 + 1e-4;

/// The values that int8 has for `x`.
pub(super) fn round<const D: usize>(x: Tensor<D>, quantisation: Quantisation) -> Tensor<D> {
    let Quantisation { scale, zero_point } = quantisation;
    let zero_point = f32::from(zero_point);
    let inside = x.clamp(quantisation.real(i8::MIN), quantisation.real(i8::MAX));
    straight_through(inside, |x| {
        let steps = x / scale + zero_point;
        ((steps.clone().abs() + HALF).floor() * steps.sign() - zero_point) * scale
    })
}

/// The values that the device has for weights and bias of output channels, which are the weights' dimension `channel`. The
/// largest weight of each becomes ±127; a bias counts steps of weight times input, whose scale is `input`.
pub(super) fn round_parameters<const D: usize>(
    (weights, bias): (Tensor<D>, Tensor<1>),
    channel: usize,
    input: f32,
) -> (Tensor<D>, Tensor<1>) {
    let channels = bias.dims();
    let largest = (0..D).filter(|&dim| dim != channel).fold(weights.clone().detach().abs(), Tensor::max_dim);
    let scale = (largest / 127.0).clamp_min(f32::MIN_POSITIVE);
    let step = scale.clone().reshape(channels) * input;
    let weights = straight_through(weights, |weights| (weights / scale.clone()).round() * scale);
    (weights, straight_through(bias, |bias| (bias / step.clone()).round() * step))
}

/// `change` of `x`, with the gradient of `x` itself.
fn straight_through<const D: usize>(x: Tensor<D>, change: impl FnOnce(Tensor<D>) -> Tensor<D>) -> Tensor<D> {
    let changed = change(x.clone().detach());
    x.clone() + (changed - x.detach())
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    fn tensor(values: &[f32]) -> Tensor<1> {
        Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), &Device::flex().autodiff())
    }

    #[test]
    fn values_are_rounded_and_gradients_are_not() {
        let quantisation = Quantisation { scale: 0.5, zero_point: -128 };
        let x = tensor(&[0.3, 1.2, -1.0, 200.0]).require_grad();
        let rounded = round(x.clone(), quantisation);
        assert_eq!(rounded.clone().into_data().try_to_vec::<f32>().unwrap(), [0.5, 1.0, 0.0, 127.5]);
        let gradients = (rounded * tensor(&[1.0, 2.0, 3.0, 4.0])).sum().backward();
        let gradient: Vec<f32> = x.grad(&gradients).unwrap().into_data().try_to_vec().unwrap();
        // None where int8 saturates.
        assert_eq!(gradient, [1.0, 2.0, 0.0, 0.0]);
    }

    #[test]
    fn weights_are_rounded_channel_by_channel() {
        let weights = tensor(&[1.27, 0.504, -2.54, 0.011]).reshape([2, 2]);
        let bias = || tensor(&[0.0123, -0.0123]);
        let rounded = |channel| {
            let (weights, bias) = round_parameters((weights.clone(), bias()), channel, 0.5);
            [weights.reshape([4]), bias].map(|values| values.into_data().try_to_vec::<f32>().unwrap()).concat()
        };
        let close = |values: Vec<f32>, expected: [f32; 6]| {
            assert!(values.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{values:?} {expected:?}");
        };
        // By row the scales are 0.01 and 0.02, and biases count half of that.
        close(rounded(0), [1.27, 0.5, -2.54, 0.02, 0.01, -0.01]);
        close(rounded(1), [1.28, 0.504, -2.54, 0.504 * 3.0 / 127.0, 0.01, -0.504 * 3.0 / 127.0]);
    }
}
