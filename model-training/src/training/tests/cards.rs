//! What graphics cards compute beside burn-flex: values up to rounding, and runs that are reproducible.

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use model_compiler::quantise::Method;
use model_compiler::quantise::calibrate::{Calibrated, calibrate};

use super::super::aware::Aware;
use super::super::batch::pixels;
use super::super::loss::{Criterion, certain};
use super::*;
use crate::config::ModelConfig;
use crate::training::model::{Net, Task};

/// A network with a layer of every kind, forwards and backwards.
fn every_layer() -> ModelConfig {
    let conv = |kernel, batch_norm, activation| {
        let padding = Padding::Same;
        Block::Conv { channels: 6, kernel, stride: 1, padding, batch_norm, activation }
    };
    let features = vec![
        conv(3, true, Activation::Relu),
        Block::MaxPool { size: 2 },
        Block::Separable { channels: 8, stride: 2, activation: Activation::Relu6 },
        Block::Residual { channels: 10, stride: 1 },
        Block::Residual { channels: 10, stride: 1 },
        Block::SeparableResidual { channels: 12, stride: 1 },
        Block::InvertedResidual { channels: 12, expansion: 2, stride: 1, activation: Activation::Relu6 },
        Block::AveragePool { size: 2 },
        conv(1, false, Activation::Sigmoid),
        Block::GlobalAveragePool,
    ];
    let head = Head { hidden: vec![8], activation: Activation::Relu, dropout: 0.2 };
    ModelConfig { features: Some(features), head: Some(head), ..ModelConfig::default() }
}

/// The gradients of a network's parameters, one after the other.
struct Collect<'a> {
    gradients: &'a GradientsParams,
    values: Vec<Vec<f32>>,
}

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = self.gradients.get::<D>(param.id);
        self.values.extend(gradient.map(|gradient| gradient.into_data().try_to_vec::<f32>().unwrap()));
    }
}

/// Logits, loss and gradients of a step on stripes, with the values that int8 has where it is `aware`.
fn step(device: DeviceKind, aware: bool) -> Vec<Vec<f32>> {
    let device = device.open().unwrap().autodiff();
    let images = Stripes::new(16, 22, 27);
    let TrainingData { train, classes, mean, std, .. } = images.data(4);
    let shape = train.shape;
    let mut net =
        Net::new(&every_layer(), Task { input: shape, classes: classes.len(), mean, std }, 5, &device).unwrap();
    if aware {
        let flex = Net::new(&every_layer(), net.task(), 5, &DeviceKind::Flex.open().unwrap()).unwrap();
        let inputs: Vec<Vec<i8>> = (0..12).map(|index| train.input(index)).collect();
        let method = Method::MinMax;
        let ranges = calibrate(&flex.graph(), &inputs, method).unwrap();
        Aware { calibrated: Calibrated { method, ranges }, after: 0 }.apply(&mut net).unwrap();
    }
    let input = pixels(train.len(), shape, &device, |index| train.image(index));
    let logits = net.forward(input, Some(&mut ChaCha8Rng::seed_from_u64(1)));
    let targets: Vec<_> = train.labels.iter().map(|&label| certain(label)).collect();
    let (loss, _) = Criterion::plain(classes.len()).loss(logits.clone(), &targets);
    let gradients = GradientsParams::from_grads(loss.backward(), &net);
    let mut collect = Collect { gradients: &gradients, values: Vec::new() };
    net.visit(&mut collect);
    let outputs = [logits.into_data(), loss.into_data()].map(|data| data.try_to_vec::<f32>().unwrap());
    outputs.into_iter().chain(collect.values).collect()
}

/// A tensor whose values are all smaller counts as if it had one as large: the scale of a batch-norm before another one has a
/// gradient of 0, but for rounding.
const SMALL: f32 = 1e-2;

/// Every value within `tolerance` of the largest of its tensor.
fn assert_same_step(card: DeviceKind, aware: bool, tolerance: f32) {
    let (flex, card) = (step(DeviceKind::Flex, aware), step(card, aware));
    // Logits and loss; seven convolutions with batch-norm, two with biases, and two dense layers.
    assert_eq!((flex.len(), card.len()), (2 + 7 * 3 + 2 * 2 + 2 * 2, flex.len()));
    for (index, (flex, card)) in flex.iter().zip(&card).enumerate() {
        assert_eq!(flex.len(), card.len(), "tensor {index}");
        let largest = flex.iter().fold(SMALL, |largest, value| largest.max(value.abs()));
        for (flex, card) in flex.iter().zip(card) {
            assert!((flex - card).abs() <= tolerance * largest, "tensor {index}: {flex} on flex, {card} on the card");
        }
    }
}

/// Runs with averaged weights and int8's values agree with flex, are the same again, and go on where they were killed.
fn assert_same_run(card: DeviceKind) {
    let images = Stripes::new(44, 8, 10);
    let data = images.data(14);
    let mut config = transfer(2);
    config.quantize.aware = Some(AwareConfig { epochs: 1, learning_rate: 1e-3 });
    let run = |device, resume, dir: &Path, observer: &dyn Observer| {
        timeless(&train(&data, &config, dir, Options { device, resume, ..options(1) }, observer).unwrap())
    };
    let new = |device| run(device, false, tempfile::tempdir().unwrap().path(), &Silent);
    let (flex, whole) = (new(DeviceKind::Flex), new(card));
    for (flex, card) in flex.epochs.iter().zip(&whole.epochs) {
        let close = |flex: f64, card: f64| (flex - card).abs() <= 1e-2 * flex;
        assert!(
            close(flex.train_loss, card.train_loss) && close(flex.valid_loss, card.valid_loss),
            "{flex:?} {card:?}"
        );
    }
    assert_eq!(new(card), whole);
    for (epoch, step) in [(2, 2), (3, 1)] {
        let dir = tempfile::tempdir().unwrap();
        let killer = Killer { epoch, step };
        assert!(catch_unwind(AssertUnwindSafe(|| run(card, false, dir.path(), &killer))).is_err());
        assert_eq!(run(card, true, dir.path(), &Silent), whole);
    }
}

#[test]
#[cfg_attr(not(feature = "wgpu"), ignore = "needs `--features wgpu` and a Vulkan driver")]
fn wgpu_has_flex_s_values_and_gradients() {
    assert_same_step(DeviceKind::Wgpu, false, 1e-4);
    assert_same_step(DeviceKind::Wgpu, true, 1e-2);
}

#[test]
#[cfg_attr(not(feature = "wgpu"), ignore = "needs `--features wgpu` and a Vulkan driver")]
fn runs_on_wgpu_are_flex_s_and_reproducible() {
    assert_same_run(DeviceKind::Wgpu);
}

#[test]
#[cfg_attr(not(feature = "cuda"), ignore = "needs `--features cuda` and an NVIDIA card")]
fn cuda_has_flex_s_values_and_gradients() {
    assert_same_step(DeviceKind::Cuda, false, 1e-4);
    assert_same_step(DeviceKind::Cuda, true, 1e-2);
}

#[test]
#[cfg_attr(not(feature = "cuda"), ignore = "needs `--features cuda` and an NVIDIA card")]
fn runs_on_cuda_are_flex_s_and_reproducible() {
    assert_same_run(DeviceKind::Cuda);
}
