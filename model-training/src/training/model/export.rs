//! From the trained network to the float graph: batch-norm and normalisation folded, layouts changed to HWC.

use burn::module::Param;
use burn::tensor::Tensor;
use model_compiler::graph::{
    BatchNorm, Clamp, FloatOp, Function, Graph, Node, Shape, WeightOrder, fold_batch_norm, fold_normalisation,
};
use model_compiler::layout::schedule::schedule_graph;
use no_std_infer::format::Window;

use super::blocks::{Conv, Dense, Layer};
use super::shapes::{side, window};
use super::{Net, Task};
use crate::config::{Activation, Block};

impl Net {
    /// The network as a float graph that computes the same logits as [`Net::forward`] without dropout and with
    /// the running statistics of batch-norm, up to rounding.
    #[must_use]
    pub fn graph(&self) -> Graph {
        let input = self.task.input;
        let mut builder = Builder { nodes: Vec::new(), tensor: 0, shape: input };
        let mut pixels = Some(&self.task);
        if !self.features.first().is_some_and(Layer::starts_with_convolution) {
            builder.normalise(&self.task);
            pixels = None;
        }
        for (index, layer) in self.features.iter().enumerate() {
            builder.layer(&format!("features.{index}"), layer, pixels.take());
        }
        for (index, dense) in self.head.iter().enumerate() {
            let flat = if index == 0 { self.flat } else { builder.shape };
            builder.dense(&format!("head.{index}"), dense, flat);
        }
        schedule_graph(Graph { input, zero: 0, nodes: builder.nodes })
    }

    /// All that is learnt, in PyTorch's order and layouts: of each convolution the weights
    /// `[out][in / groups][kernel][kernel]` and its bias or batch-norm's scale and offset; of each dense layer the weights
    /// `[out][in]` and its bias.
    #[must_use]
    pub fn parameters(&self) -> Vec<f32> {
        let convolution = |conv: &Conv| {
            let norm = conv.norm.iter().flat_map(|norm| [values(&norm.gamma), values(&norm.beta)]);
            let rest: Vec<Vec<f32>> = conv.bias.iter().map(values).chain(norm).collect();
            [vec![values(&conv.weight)], rest].concat().concat()
        };
        let dense = |dense: &Dense| [to_vec(dense.weight.val().transpose()), values(&dense.bias)].concat();
        let convolutions = self.features.iter().flat_map(|layer| &layer.units).map(convolution);
        convolutions.chain(self.head.iter().map(dense)).flatten().collect()
    }
}

/// Name of the operation of a layer that is none of its convolutions.
pub(super) fn joint_name(layer: &Layer) -> Option<&'static str> {
    match layer.block {
        Block::Residual { .. } | Block::SeparableResidual { .. } => Some("add"),
        Block::InvertedResidual { .. } => layer.adds.then_some("add"),
        Block::MaxPool { .. } => Some("max_pool"),
        Block::AveragePool { .. } => Some("average_pool"),
        Block::GlobalAveragePool => Some("global_average_pool"),
        Block::Conv { .. } | Block::Separable { .. } => None,
    }
}

/// Appends nodes, each to the output of the one before.
struct Builder {
    nodes: Vec<Node>,
    /// The tensor that the next node reads.
    tensor: usize,
    /// Its shape.
    shape: Shape,
}

impl Builder {
    fn push(&mut self, name: String, op: FloatOp, inputs: Vec<usize>, output: Shape) {
        self.nodes.push(Node { name, op, inputs, output });
        self.tensor = self.nodes.len();
        self.shape = output;
    }

    fn normalise(&mut self, task: &Task) {
        let channels = self.shape.channels;
        let (mut weights, mut bias) = (vec![1.0; channels], vec![0.0; channels]);
        fold_pixels(&mut weights, &mut bias, WeightOrder::ChannelLast, task);
        let op = FloatOp::DepthwiseConv2d { window: Window::square(1, 1), weights, bias, clamp: Clamp::None };
        self.push("normalise".into(), op, vec![self.tensor], self.shape);
    }

    fn layer(&mut self, name: &str, layer: &Layer, mut pixels: Option<&Task>) {
        let (input, input_shape) = (self.tensor, self.shape);
        let mut branches = Vec::new();
        for (unit, unit_name) in layer.units.iter().zip(layer.unit_names()) {
            if *unit_name == "shortcut" {
                branches.push(self.tensor);
                (self.tensor, self.shape) = (input, input_shape);
            }
            self.conv(format!("{name}.{unit_name}"), unit, pixels.take());
        }
        let Some(joint) = joint_name(layer) else { return };
        let name = format!("{name}.{joint}");
        match layer.block {
            Block::Residual { .. } | Block::SeparableResidual { .. } | Block::InvertedResidual { .. } => {
                let shortcut = if branches.is_empty() { input } else { self.tensor };
                let main = branches.pop().unwrap_or(self.tensor);
                let linear = matches!(layer.block, Block::InvertedResidual { .. });
                let clamp = if linear { Clamp::None } else { Clamp::Relu };
                self.push(name, FloatOp::Add { clamp }, vec![main, shortcut], self.shape);
            }
            Block::MaxPool { size } => self.pool(name, size, size, |window| FloatOp::MaxPool2d { window }),
            Block::AveragePool { size } => self.pool(name, size, size, |window| FloatOp::AveragePool2d { window }),
            Block::GlobalAveragePool => {
                let Shape { height, width, .. } = self.shape;
                self.pool(name, height, width, |window| FloatOp::AveragePool2d { window });
            }
            Block::Conv { .. } | Block::Separable { .. } => {}
        }
    }

    fn pool(&mut self, name: String, height: usize, width: usize, op: impl Fn(Window) -> FloatOp) {
        let window = Window {
            kernel_h: side(height),
            kernel_w: side(width),
            stride_h: side(height),
            stride_w: side(width),
            ..Window::square(1, 1)
        };
        let output = Shape { height: self.shape.height / height, width: self.shape.width / width, ..self.shape };
        self.push(name, op(window), vec![self.tensor], output);
    }

    /// With `pixels` the convolution reads pixels less 128.
    fn conv(&mut self, name: String, conv: &Conv, pixels: Option<&Task>) {
        let (window, output) = window(self.shape, conv.kernel(), conv.stride, conv.padding);
        let [outputs, inputs, kernel, _] = conv.weight.dims();
        let (order, axes) = match conv.depthwise {
            true => (WeightOrder::ChannelLast, [2, 3, 0, 1]),
            false => (WeightOrder::OutputFirst, [0, 2, 3, 1]),
        };
        let mut weights = permute(&values(&conv.weight), [outputs, inputs, kernel, kernel], axes);
        let mut bias = conv.bias.as_ref().map_or_else(|| vec![0.0; outputs], values);
        if let Some(norm) = &conv.norm {
            let [mean, variance] = [&norm.running_mean, &norm.running_var].map(|state| to_vec(state.value_sync()));
            let [gamma, beta] = [&norm.gamma, &norm.beta].map(values);
            let epsilon = norm.epsilon;
            let norm = BatchNorm { gamma: &gamma, beta: &beta, mean: &mean, variance: &variance, epsilon };
            fold_batch_norm(&mut weights, &mut bias, order, &norm);
        }
        if let Some(task) = pixels {
            fold_pixels(&mut weights, &mut bias, order, task);
        }
        let clamp = clamp(conv.activation);
        let op = if conv.depthwise {
            FloatOp::DepthwiseConv2d { window, weights, bias, clamp }
        } else {
            FloatOp::Conv2d { window, weights, bias, clamp }
        };
        self.push(name.clone(), op, vec![self.tensor], Shape { channels: outputs, ..output });
        self.sigmoid(&name, conv.activation);
    }

    /// `flat` is the shape that the input's channels enumerate in burn's CHW order.
    fn dense(&mut self, name: &str, dense: &Dense, flat: Shape) {
        let [_, outputs] = dense.weight.dims();
        let chw = [flat.channels, flat.height, flat.width, outputs];
        let op = FloatOp::Dense {
            weights: permute(&values(&dense.weight), chw, [3, 1, 2, 0]),
            bias: values(&dense.bias),
            clamp: clamp(dense.activation),
        };
        self.push(name.into(), op, vec![self.tensor], Shape { height: 1, width: 1, channels: outputs });
        self.sigmoid(name, dense.activation);
    }

    fn sigmoid(&mut self, name: &str, activation: Activation) {
        if activation == Activation::Sigmoid {
            self.push(
                format!("{name}.sigmoid"),
                FloatOp::Map { functions: vec![Function::Sigmoid] },
                vec![self.tensor],
                self.shape,
            );
        }
    }
}

fn fold_pixels(weights: &mut [f32], bias: &mut [f32], order: WeightOrder, task: &Task) {
    let channels = task.input.channels;
    fold_normalisation(weights, bias, order, &task.mean[..channels], &task.std[..channels]);
}

/// Reorders a row-major array: axis `i` of the result is axis `axes[i]` of `values`.
fn permute(values: &[f32], dims: [usize; 4], axes: [usize; 4]) -> Vec<f32> {
    let strides = [dims[1] * dims[2] * dims[3], dims[2] * dims[3], dims[3], 1];
    let [a, b, c, d] = axes.map(|axis| (dims[axis], strides[axis]));
    let mut result = Vec::with_capacity(values.len());
    for i in 0..a.0 {
        for j in 0..b.0 {
            for k in 0..c.0 {
                result.extend((0..d.0).map(|l| values[i * a.1 + j * b.1 + k * c.1 + l * d.1]));
            }
        }
    }
    result
}

fn clamp(activation: Activation) -> Clamp {
    match activation {
        Activation::Relu => Clamp::Relu,
        Activation::Relu6 => Clamp::Relu6,
        Activation::Linear | Activation::Sigmoid => Clamp::None,
    }
}

pub(super) fn values<const D: usize>(param: &Param<Tensor<D>>) -> Vec<f32> {
    to_vec(param.val())
}

pub(super) fn to_vec<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().expect("parameters are f32")
}

#[cfg(test)]
mod tests {
    use burn::module::{Module, ModuleMapper};
    use burn::tensor::{Device, TensorData};
    use model_compiler::graph::pixels_to_input;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::super::Task;
    use super::*;
    use crate::config::{Head, ModelConfig, Padding, Preset};

    /// Changes every parameter and statistic, so that none keeps a value that would hide a mistake.
    struct Shake(ChaCha8Rng);

    impl ModuleMapper for Shake {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let mut values = values(&param);
            for value in &mut values {
                *value = *value * self.0.random_range(0.6..1.4) + self.0.random_range(-0.1..0.1);
            }
            let dims = param.dims();
            param.map(|tensor| Tensor::from_data(TensorData::new(values, dims), &tensor.device()))
        }
    }

    /// Compares graph and network on random images.
    fn check(config: &ModelConfig, height: usize, width: usize, channels: usize) -> Graph {
        let input = Shape { height, width, channels };
        let task = Task { input, classes: 3, mean: [0.3, 0.5, 0.6], std: [0.2, 0.3, 0.1] };
        let device = Device::flex();
        let net = Net::new(config, task, 1, &device).unwrap().map(&mut Shake(ChaCha8Rng::seed_from_u64(2)));
        let graph = net.graph();
        graph.validate().unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for _ in 0..4 {
            let image: Vec<u8> = (0..input.len()).map(|_| rng.random()).collect();
            let planes: Vec<f32> = (0..channels)
                .flat_map(|c| image[c..].iter().step_by(channels).map(|&pixel| f32::from(pixel) - 128.0))
                .collect();
            let pixels = Tensor::from_data(TensorData::new(planes, [1, channels, height, width]), &device);
            let expected = to_vec(net.forward(pixels, None));
            let logits = graph.logits(&pixels_to_input(&image));
            let scale = expected.iter().fold(0.0f32, |max, logit| max.max(logit.abs()));
            assert!(scale > 0.01, "{expected:?}");
            for (logit, expected) in logits.iter().zip(&expected) {
                assert!((logit - expected).abs() < 1e-4 * scale, "{logits:?} {expected:?}");
            }
        }
        graph
    }

    #[test]
    fn presets_and_their_graphs_agree() {
        for (height, width, channels) in [(21, 14, 3), (14, 22, 1)] {
            let graph =
                check(&ModelConfig { preset: Preset::Resnet8, ..ModelConfig::default() }, height, width, channels);
            assert!(graph.nodes.iter().any(|node| node.name == "features.2.shortcut"));
        }
        check(&ModelConfig { preset: Preset::Shallow, ..ModelConfig::default() }, 35, 17, 3);
        for preset in [Preset::Mobilenet, Preset::Mobilenetv2, Preset::Dwresnet] {
            check(&ModelConfig { preset, ..ModelConfig::default() }, 38, 64, 1);
        }
    }

    #[test]
    fn every_block_and_its_graph_agree() {
        let features = vec![
            Block::Separable { channels: 6, stride: 2, activation: Activation::Relu6 },
            Block::Conv {
                channels: 5,
                kernel: 4,
                stride: 1,
                padding: Padding::Valid,
                batch_norm: false,
                activation: Activation::Sigmoid,
            },
            Block::MaxPool { size: 2 },
            Block::Residual { channels: 5, stride: 1 },
            Block::SeparableResidual { channels: 5, stride: 1 },
            Block::SeparableResidual { channels: 6, stride: 1 },
            Block::InvertedResidual { channels: 6, expansion: 3, stride: 1, activation: Activation::Relu6 },
            Block::InvertedResidual { channels: 6, expansion: 1, stride: 1, activation: Activation::Relu },
            Block::InvertedResidual { channels: 4, expansion: 2, stride: 1, activation: Activation::Relu6 },
            Block::Conv {
                channels: 7,
                kernel: 5,
                stride: 2,
                padding: Padding::Same,
                batch_norm: true,
                activation: Activation::Linear,
            },
            Block::AveragePool { size: 2 },
        ];
        let head = Head { hidden: vec![9, 4], activation: Activation::Sigmoid, dropout: 0.5 };
        let config = ModelConfig { features: Some(features), head: Some(head), ..ModelConfig::default() };
        check(&config, 33, 26, 3);
    }

    #[test]
    fn networks_that_start_without_a_convolution_normalise_in_a_layer_of_its_own() {
        for first in [Block::AveragePool { size: 2 }, Block::Residual { channels: 3, stride: 1 }] {
            let config = ModelConfig { features: Some(vec![first]), ..ModelConfig::default() };
            assert_eq!(check(&config, 5, 6, 3).nodes[0].name, "normalise");
        }
        let config = ModelConfig { features: Some(Vec::new()), ..ModelConfig::default() };
        assert_eq!(check(&config, 2, 3, 3).nodes.len(), 2);
    }
}
