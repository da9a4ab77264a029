//! Whole small networks, from configuration to blob, without training.

use model_compiler::aligned::Aligned;
use model_compiler::blob::emit::{Description, emit};
use model_compiler::graph::{Graph, Shape};
use model_compiler::quantise::calibrate::calibrate;
use model_compiler::quantise::{Method, QuantModel, quantise};
use model_training::config::{Activation, Block, Head, ModelConfig, Padding, Preset};
use model_training::training::DeviceKind;
use model_training::training::model::{Net, Task};
use no_std_infer::format::{Color, Fit, ImageInput, InputKind, Provenance};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A float network with the blob made of it.
pub struct Network {
    /// The float graph.
    pub graph: Graph,
    /// The int8 model.
    pub model: QuantModel,
    /// The same as a blob.
    pub blob: Aligned<u8>,
    /// Inputs that it was calibrated on.
    pub inputs: Vec<Vec<i8>>,
}

/// A preset with random weights; `height` ≠ `width` is welcome.
#[must_use]
pub fn preset(preset: Preset, height: usize, width: usize, classes: usize) -> Network {
    let config = ModelConfig { preset, ..ModelConfig::default() };
    network(&config, Shape { height, width, channels: 3 }, classes, 1)
}

/// A network of random blocks.
#[must_use]
pub fn random(seed: u64) -> Network {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut features = vec![conv(&mut rng)];
    for _ in 0..rng.random_range(1..5) {
        let (channels, stride) = (rng.random_range(1..14), rng.random_range(1..=2));
        features.push(match rng.random_range(0..7) {
            0 => conv(&mut rng),
            1 => Block::Separable { channels, stride, activation: Activation::Relu6 },
            2 | 3 => Block::Residual { channels, stride },
            4 => Block::SeparableResidual { channels, stride },
            5 => Block::InvertedResidual {
                channels,
                expansion: rng.random_range(1..4),
                stride,
                activation: Activation::Relu6,
            },
            _ => Block::AveragePool { size: 1 },
        });
    }
    let hidden = (0..rng.random_range(0..3)).map(|_| rng.random_range(2..9)).collect();
    let activation = [Activation::Relu, Activation::Sigmoid][rng.random_range(0..2)];
    let head = Head { hidden, activation, dropout: 0.0 };
    let config = ModelConfig { features: Some(features), head: Some(head), ..ModelConfig::default() };
    let input = Shape { height: rng.random_range(4..12), width: rng.random_range(12..17), channels: 3 };
    network(&config, input, rng.random_range(2..6), seed)
}

fn conv(rng: &mut ChaCha8Rng) -> Block {
    Block::Conv {
        channels: rng.random_range(1..14),
        kernel: rng.random_range(1..=5),
        stride: rng.random_range(1..=3),
        padding: Padding::Same,
        batch_norm: rng.random(),
        activation: [Activation::Relu, Activation::Linear, Activation::Sigmoid][rng.random_range(0..3)],
    }
}

fn network(config: &ModelConfig, input: Shape, classes: usize, seed: u64) -> Network {
    let task = Task { input, classes, mean: [0.4, 0.5, 0.6], std: [0.2, 0.25, 0.3] };
    let device = DeviceKind::Flex.open().expect("the CPU is there");
    let net = Net::new(config, task, seed, &device).expect("the configuration is valid");
    let graph = net.graph();
    let inputs: Vec<Vec<i8>> = (0..8).map(|index| noise(seed * 100 + index, input.len())).collect();
    let ranges = calibrate(&graph, &inputs, Method::MinMax).expect("the network calibrates");
    let model = quantise(&graph, &ranges, 1.0).expect("the network can be quantised");
    let labels: Vec<String> = (0..classes).map(|class| format!("class {class}")).collect();
    let image = ImageInput { color: Color::Rgb, fit: Fit::Stretch, mean: task.mean, std: task.std };
    let description = Description {
        name: "test",
        labels: &labels,
        input: InputKind::Image(image),
        provenance: Provenance::default(),
    };
    let blob = emit(&model, &description).expect("the blob is valid").blob;
    Network { graph, model, blob, inputs }
}

/// Random bytes.
#[must_use]
pub fn noise(seed: u64, len: usize) -> Vec<i8> {
    let mut bytes = vec![0; len];
    ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes.into_iter().map(|byte: u8| byte as i8).collect()
}
