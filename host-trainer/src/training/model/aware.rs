//! Quantisation-aware forward pass: weights and activations take the values that int8 has for them, gradients pass as if
//! they did not (the straight-through estimator of Bengio et al. 2013, arXiv:1308.3432; for inference in integers: Jacob et
//! al. 2018, arXiv:1712.05877, section 3).

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use burn::tensor::{Device, Tensor};
use model_compiler::quantise::{NodeQuantisation, Quantisation};

use super::Net;
use super::blocks::{Conv, Layer};
use super::export::joint_name;

impl Net {
    /// From now on what each layer makes is rounded to int8 as in the model that is exported, and so are weights and biases;
    /// batch-norm uses its running statistics. `quantisations` are by name of the graph's nodes.
    ///
    /// # Errors
    /// When a layer has none, or the first layer is no convolution.
    pub fn quantise_aware(&mut self, quantisations: &BTreeMap<String, NodeQuantisation>) -> Result<()> {
        let first = self.features.first().is_some_and(Layer::starts_with_convolution);
        ensure!(first, "quantize.aware needs a network whose first layer is a convolution");
        let of = |name: String| {
            let found = quantisations.get(&name).copied();
            found.with_context(|| format!("layer {name} has no range to be quantised with"))
        };
        for (name, unit) in self.convolutions() {
            unit.quantisation = Some(of(name)?);
        }
        for (index, layer) in self.features.iter_mut().enumerate() {
            if let Some(name) = joint_name(layer) {
                layer.quantisation = Some(of(format!("features.{index}.{name}"))?.output);
            }
        }
        for (index, dense) in self.head.iter_mut().enumerate() {
            dense.quantisation = Some(of(format!("head.{index}"))?);
        }
        self.freeze_batch_norm();
        Ok(())
    }
}

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

/// Scale and offset by which pixels less 128 are normalised, `[1][channels][1][1]`.
pub(super) type Pixels = [Tensor<4>; 2];

/// What `normalise` multiplies by and adds.
pub(super) fn scale_and_offset(channels: usize, device: &Device, normalise: impl Fn(Tensor<4>) -> Tensor<4>) -> Pixels {
    let offset = normalise(Tensor::zeros([1, channels, 1, 1], device));
    [normalise(Tensor::ones([1, channels, 1, 1], device)) - offset.clone(), offset]
}

impl Conv {
    /// Weights and bias with batch-norm and the pixels' normalisation folded in, as in the graph.
    pub(super) fn folded(&self, pixels: Option<Pixels>) -> (Tensor<4>, Tensor<1>) {
        let weight = self.weight.val();
        let ([outputs, ..], device) = (weight.dims(), weight.device());
        let (mut weight, mut bias) = match (&self.norm, &self.bias) {
            (Some(norm), _) => {
                let state = [&norm.running_mean, &norm.running_var].map(|state| state.value_sync().to_device(&device));
                let [mean, variance] = state;
                let gain = norm.gamma.val() / (variance + norm.epsilon).sqrt();
                (weight * gain.clone().reshape([outputs, 1, 1, 1]), norm.beta.val() - mean * gain)
            }
            (None, Some(bias)) => (weight, bias.val()),
            (None, None) => (weight, Tensor::zeros([outputs], &device)),
        };
        if let Some(pixels) = pixels {
            // A depthwise layer's input channels are its output channels.
            let [scale, offset] = pixels.map(|by| if self.depthwise { by.reshape([outputs, 1, 1, 1]) } else { by });
            bias = bias + (weight.clone() * offset).reshape([outputs as i32, -1]).sum_dim(1).reshape([outputs]);
            weight = weight * scale;
        }
        (weight, bias)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use model_compiler::blob::emit::emit;
    use model_compiler::graph::{Shape, pixels_to_input};
    use model_compiler::quantise::calibrate::calibrate;
    use model_compiler::quantise::{Method, node_quantisations, quantise};
    use no_std_infer::Model;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rayon::prelude::*;

    use super::*;
    use crate::config::{Activation, Block, Head, ModelConfig, Padding};
    use crate::measure::evaluate::infer_all;
    use crate::samples::description;
    use crate::training::model::Task;

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

    fn conv(channels: usize, stride: usize, batch_norm: bool, activation: Activation) -> Block {
        Block::Conv { channels, kernel: 3, stride, padding: Padding::Same, batch_norm, activation }
    }

    /// Every block but those of depthwise residual networks, and pixels whose channels are normalised differently.
    #[test]
    fn the_forward_pass_is_that_of_the_int8_engine() {
        let first = conv(8, 2, true, Activation::Relu6);
        let separable = Block::Separable { channels: 8, stride: 1, activation: Activation::Relu };
        let residual = Block::Residual { channels: 12, stride: 2 };
        let (pool, mean) = (Block::MaxPool { size: 2 }, Block::GlobalAveragePool);
        let sigmoid = conv(6, 1, false, Activation::Sigmoid);
        check(vec![first.clone(), separable, pool, residual.clone(), mean.clone()]);
        check(vec![first, sigmoid, Block::AveragePool { size: 2 }, residual, mean]);
    }

    /// Distances from the int8 engine's logits of those of the float forward pass and of the aware one.
    fn check(features: Vec<Block>) {
        let head = Some(Head { hidden: vec![9], activation: Activation::Relu, dropout: 0.0 });
        let config = ModelConfig { features: Some(features), head, ..ModelConfig::default() };
        let shape = Shape { height: 18, width: 22, channels: 3 };
        let task = Task { input: shape, classes: 5, mean: [0.3, 0.5, 0.6], std: [0.2, 0.3, 0.1] };
        let device = Device::flex();
        let mut net = Net::new(&config, task, 4, &device).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let images: Vec<Vec<u8>> = (0..24).map(|_| (0..shape.len()).map(|_| rng.random()).collect()).collect();
        let inputs: Vec<Vec<i8>> = images.iter().map(|image| pixels_to_input(image)).collect();

        let graph = net.graph();
        let ranges = calibrate(&graph, &inputs, Method::MinMax).unwrap();
        let model = quantise(&graph, &ranges, 1.0).unwrap();
        let (scale, zero) = (model.logits.scale, f32::from(model.logits.zero_point));
        let blob = emit(&model, &description(&[])).unwrap().blob;
        let int8 = infer_all(&Model::parse(&blob).unwrap(), inputs.par_iter());
        let int8: Vec<f32> = int8.iter().flat_map(|output| &output.logits).map(|&q| f32::from(q) - zero).collect();

        let planes = crate::training::planes(images.len(), shape, |index| &images[index]);
        let pixels = TensorData::new(planes, [images.len(), shape.channels, shape.height, shape.width]);
        let distance = |net: &Net| {
            let logits = net.forward(Tensor::from_data(pixels.clone(), &device), None);
            let logits: Vec<f32> = logits.into_data().try_to_vec().unwrap();
            let sum: f32 = logits.iter().zip(&int8).map(|(logit, int8)| (logit / scale - int8).abs()).sum();
            sum / int8.len() as f32
        };
        let float = distance(&net);
        net.quantise_aware(&node_quantisations(&graph, &ranges).unwrap()).unwrap();
        let aware = distance(&net);
        assert!(float > 0.3 && aware < 0.3 * float, "{float} and {aware} steps of the logits on the mean");
    }
}
