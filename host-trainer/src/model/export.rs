//! From the trained network to the float graph: batch-norm and normalisation folded, layouts changed to HWC.

use burn::module::Param;
use burn::tensor::Tensor;
use no_std_infer::format::Window;

use super::Net;
use super::blocks::{Conv, Dense, Layer};
use crate::config::{Activation, Block};
use crate::graph::{Clamp, FloatOp, Graph, Node, Shape};

impl Net {
    /// The network as a float graph that computes the same logits as [`Net::forward`] without dropout and with
    /// the running statistics of batch-norm, up to rounding.
    #[must_use]
    pub fn graph(&self) -> Graph {
        let input = self.task.input;
        let mut builder = Builder { nodes: Vec::new(), tensor: 0, shape: input };
        let mut pixels = Some(self.normalisation());
        if !self.features.first().is_some_and(Layer::starts_with_convolution) {
            builder.normalise(self.normalisation());
            pixels = None;
        }
        for (index, layer) in self.features.iter().enumerate() {
            builder.layer(&format!("features.{index}"), layer, pixels.take());
        }
        for (index, dense) in self.head.iter().enumerate() {
            let flat = if index == 0 { self.flat } else { builder.shape };
            builder.dense(&format!("head.{index}"), dense, flat);
        }
        Graph { input, nodes: builder.nodes }
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

    fn normalise(&mut self, [scale, offset]: [[f32; 3]; 2]) {
        let channels = self.shape.channels;
        let op = FloatOp::DepthwiseConv2d {
            window: Window::square(1, 1),
            weights: scale[..channels].to_vec(),
            bias: offset[..channels].to_vec(),
            clamp: Clamp::None,
        };
        self.push("normalise".into(), op, vec![self.tensor], self.shape);
    }

    fn layer(&mut self, name: &str, layer: &Layer, mut pixels: Option<[[f32; 3]; 2]>) {
        let (input, input_shape) = (self.tensor, self.shape);
        let mut branches = Vec::new();
        for (unit, unit_name) in layer.units.iter().zip(layer.unit_names()) {
            if *unit_name == "shortcut" {
                branches.push(self.tensor);
                (self.tensor, self.shape) = (input, input_shape);
            }
            self.conv(format!("{name}.{unit_name}"), unit, pixels.take());
        }
        match layer.block {
            Block::Residual { .. } => {
                let shortcut = if branches.is_empty() { input } else { self.tensor };
                let main = branches.pop().unwrap_or(self.tensor);
                let op = FloatOp::Add { clamp: Clamp::Relu };
                self.push(format!("{name}.add"), op, vec![main, shortcut], self.shape);
            }
            Block::MaxPool { size } => {
                self.pool(format!("{name}.max_pool"), size, size, |window| FloatOp::MaxPool2d { window });
            }
            Block::AveragePool { size } => {
                self.pool(format!("{name}.average_pool"), size, size, |window| FloatOp::AveragePool2d { window });
            }
            Block::GlobalAveragePool => {
                let Shape { height, width, .. } = self.shape;
                let name = format!("{name}.global_average_pool");
                self.pool(name, height, width, |window| FloatOp::AveragePool2d { window });
            }
            Block::Conv { .. } | Block::Separable { .. } => {}
        }
    }

    fn pool(&mut self, name: String, height: usize, width: usize, op: impl Fn(Window) -> FloatOp) {
        let window = Window {
            kernel_h: byte(height),
            kernel_w: byte(width),
            stride_h: byte(height),
            stride_w: byte(width),
            ..Window::square(1, 1)
        };
        let output = Shape { height: self.shape.height / height, width: self.shape.width / width, ..self.shape };
        self.push(name, op(window), vec![self.tensor], output);
    }

    fn conv(&mut self, name: String, conv: &Conv, pixels: Option<[[f32; 3]; 2]>) {
        let [(pad_top, _), (pad_left, _)] = conv.padding(self.shape.height, self.shape.width);
        let window = Window {
            pad_top: byte(pad_top),
            pad_left: byte(pad_left),
            ..Window::square(byte(conv.kernel()), byte(conv.stride))
        };
        let [outputs, inputs, kernel, _] = conv.weight.dims();
        let (oihw, bias) = folded(conv, pixels);
        let clamp = clamp(conv.activation);
        let op = if conv.depthwise {
            let weights = permute(&oihw, [outputs, 1, kernel, kernel], [2, 3, 0, 1]);
            FloatOp::DepthwiseConv2d { window, weights, bias, clamp }
        } else {
            let weights = permute(&oihw, [outputs, inputs, kernel, kernel], [0, 2, 3, 1]);
            FloatOp::Conv2d { window, weights, bias, clamp }
        };
        let output = Shape {
            height: self.shape.height.div_ceil(conv.stride),
            width: self.shape.width.div_ceil(conv.stride),
            channels: outputs,
        };
        self.push(name.clone(), op, vec![self.tensor], output);
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
            self.push(format!("{name}.sigmoid"), FloatOp::Sigmoid, vec![self.tensor], self.shape);
        }
    }
}

/// Weights (OIHW) and bias of a convolution with its batch-norm folded in, and the normalisation of its
/// input's pixels where given.
fn folded(conv: &Conv, pixels: Option<[[f32; 3]; 2]>) -> (Vec<f32>, Vec<f32>) {
    let [outputs, inputs, kernel, _] = conv.weight.dims();
    let mut weights = values(&conv.weight);
    let mut bias = conv.bias.as_ref().map_or_else(|| vec![0.0; outputs], values);
    let per_output = weights.len() / outputs;
    if let Some(norm) = &conv.norm {
        let [gamma, beta] = [&norm.gamma, &norm.beta].map(values);
        let [mean, variance] = [&norm.running_mean, &norm.running_var].map(|state| to_vec(state.value_sync()));
        for (out, weights) in weights.chunks_exact_mut(per_output).enumerate() {
            let scale = f64::from(gamma[out]) / (f64::from(variance[out]) + norm.epsilon).sqrt();
            weights.iter_mut().for_each(|weight| *weight = (f64::from(*weight) * scale) as f32);
            bias[out] = (f64::from(bias[out] - mean[out]) * scale) as f32 + beta[out];
        }
    }
    if let Some([scale, offset]) = pixels {
        for (index, taps) in weights.chunks_exact_mut(kernel * kernel).enumerate() {
            let out = index / inputs;
            let channel = if conv.depthwise { out } else { index % inputs };
            bias[out] += taps.iter().sum::<f32>() * offset[channel];
            taps.iter_mut().for_each(|tap| *tap *= scale[channel]);
        }
    }
    (weights, bias)
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

fn values<const D: usize>(param: &Param<Tensor<D>>) -> Vec<f32> {
    to_vec(param.val())
}

fn to_vec<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().expect("parameters are f32")
}

/// Sizes are checked when the network is built.
fn byte(size: usize) -> u8 {
    u8::try_from(size).expect("sizes of windows are below 256")
}
