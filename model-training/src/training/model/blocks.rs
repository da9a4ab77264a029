//! What networks are made of: convolutions with batch-norm and activation, blocks of them, dense layers.

use anyhow::Result;
use burn::module::{Module, Param};
use burn::nn::BatchNorm;
use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::module::{avg_pool2d, linear, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions, PadMode};
use burn::tensor::{Device, Tensor, TensorData};
use model_compiler::graph::{Shape, same_padding};
use model_compiler::quantise::{NodeQuantisation, Quantisation};

#[cfg(doc)]
use super::Net;
use super::initialiser::{Initialiser, param};
use super::ops::{self, Bounds, Norm};
use super::rounding::{round, round_parameters};
use super::shapes::output_shape;
use crate::config::{Activation, Block, Padding};

/// Applies an activation function.
pub(super) fn activate<const D: usize>(x: Tensor<D>, activation: Activation) -> Tensor<D> {
    match activation {
        Activation::Linear => x,
        Activation::Relu => relu(x),
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::Sigmoid => sigmoid(x),
    }
}

/// Convolution, then batch-norm or bias, then activation.
#[derive(Module, Debug)]
pub(super) struct Conv {
    /// `[out][in / groups][kernel][kernel]`.
    pub weight: Param<Tensor<4>>,
    /// `[out]`; absent where batch-norm follows.
    pub bias: Option<Param<Tensor<1>>>,
    pub norm: Option<BatchNorm>,
    pub stride: usize,
    pub depthwise: bool,
    #[module(skip)]
    pub padding: Padding,
    #[module(skip)]
    pub activation: Activation,
    /// Where the forward pass is [aware](Net::quantise_aware) of it.
    #[module(skip)]
    pub quantisation: Option<NodeQuantisation>,
}

/// Scale and offset by which pixels less 128 are normalised, `[1][channels][1][1]`.
type Pixels = [Tensor<4>; 2];

/// What `normalise` multiplies by and adds.
fn scale_and_offset(channels: usize, device: &Device, normalise: impl Fn(Tensor<4>) -> Tensor<4>) -> Pixels {
    let offset = normalise(Tensor::zeros([1, channels, 1, 1], device));
    [normalise(Tensor::ones([1, channels, 1, 1], device)) - offset.clone(), offset]
}

/// How a [`Conv`] differs from the others.
struct ConvShape {
    inputs: usize,
    outputs: usize,
    kernel: usize,
    stride: usize,
    depthwise: bool,
    padding: Padding,
    batch_norm: bool,
    activation: Activation,
}

impl Conv {
    fn new(shape: ConvShape, init: &mut Initialiser) -> Self {
        let ConvShape { inputs, outputs, kernel, stride, depthwise, padding, batch_norm, activation } = shape;
        let per_group = if depthwise { 1 } else { inputs };
        Self {
            weight: init.he([outputs, per_group, kernel, kernel], per_group * kernel * kernel),
            bias: (!batch_norm).then(|| init.zeros(outputs)),
            norm: batch_norm.then(|| init.norm(outputs)),
            stride,
            depthwise,
            padding,
            activation,
            quantisation: None,
        }
    }

    pub fn kernel(&self) -> usize {
        self.weight.dims()[2]
    }

    /// Padding above and below, left and right of an input.
    pub fn padding(&self, height: usize, width: usize) -> [(usize, usize); 2] {
        match self.padding {
            Padding::Same => [height, width].map(|size| same_padding(size, self.kernel(), self.stride)),
            Padding::Valid => [(0, 0); 2],
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        let padding = self.padding(height, width);
        self.convolve(x, padding)
    }

    /// Pads the pixels with 0 first and normalises the result, so that the padding is mid-grey.
    fn forward_pixels(&self, pixels: Tensor<4>, normalise: impl Fn(Tensor<4>) -> Tensor<4>) -> Tensor<4> {
        let [_, channels, height, width] = pixels.dims();
        let padding = self.padding(height, width);
        if let Some(quantisation) = self.quantisation {
            let folded = self.folded(Some(scale_and_offset(channels, &pixels.device(), normalise)));
            return self.convolve_aware(pixels, padding, folded, quantisation);
        }
        let padded = pixels.pad(padding, PadMode::Constant(0.0));
        self.convolve(normalise(padded), [(0, 0); 2])
    }

    fn convolve(&self, x: Tensor<4>, padding: [(usize, usize); 2]) -> Tensor<4> {
        if let Some(quantisation) = self.quantisation {
            return self.convolve_aware(x, padding, self.folded(None), quantisation);
        }
        let x = ops::conv2d(x, self.weight.val(), self.options(padding));
        match (&self.norm, &self.bias) {
            (Some(norm), _) => normalise(x, norm, self.activation),
            (None, Some(bias)) => activate(x + bias.val().reshape([1, -1, 1, 1]), self.activation),
            (None, None) => activate(x, self.activation),
        }
    }

    /// Convolution by folded weights and bias, with the values that int8 has.
    fn convolve_aware(
        &self,
        x: Tensor<4>,
        padding: [(usize, usize); 2],
        folded: (Tensor<4>, Tensor<1>),
        quantisation: NodeQuantisation,
    ) -> Tensor<4> {
        let (weight, bias) = round_parameters(folded, 0, quantisation.input.scale);
        let sums = ops::conv2d(x, weight, self.options(padding)) + bias.reshape([1, -1, 1, 1]);
        activate_aware(sums, self.activation, quantisation.output)
    }

    /// Weights and bias with batch-norm and the pixels' normalisation folded in, as in the graph.
    fn folded(&self, pixels: Option<Pixels>) -> (Tensor<4>, Tensor<1>) {
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

    fn options(&self, padding: [(usize, usize); 2]) -> ConvOptions<2> {
        let groups = if self.depthwise { self.weight.dims()[0] } else { 1 };
        ConvOptions::new_with_padding([self.stride; 2], padding, [1, 1], groups)
    }
}

/// An activation function with the values that int8 has. The device clamps as it rounds; a sigmoid is a layer of its own.
fn activate_aware<const D: usize>(x: Tensor<D>, activation: Activation, output: Quantisation) -> Tensor<D> {
    match activation {
        Activation::Sigmoid => round(sigmoid(round(x, output)), Quantisation::PROBABILITY),
        other => round(activate(x, other), output),
    }
}

/// Batch-norm, then the activation. Where it learns, it normalises by the batch's statistics and follows them.
fn normalise(x: Tensor<4>, norm: &BatchNorm, activation: Activation) -> Tensor<4> {
    if !(x.device().is_autodiff() && norm.training.is_enabled()) {
        return activate(norm.forward(x), activation);
    }
    let (bounds, rest) = match activation {
        Activation::Relu => (Bounds { min: 0.0, max: f32::INFINITY }, Activation::Linear),
        Activation::Relu6 => (Bounds { min: 0.0, max: 6.0 }, Activation::Linear),
        other => (Bounds { min: f32::NEG_INFINITY, max: f32::INFINITY }, other),
    };
    let how = Norm { epsilon: norm.epsilon, bounds };
    let (x, statistics) = ops::norm(x, norm.gamma.val(), norm.beta.val(), how);
    for (running, batch) in [&norm.running_mean, &norm.running_var].into_iter().zip(statistics) {
        let kept = running.value_sync().to_device(&x.device()) * (1.0 - norm.momentum);
        running.update((kept + batch.detach() * norm.momentum).detach());
    }
    activate(x, rest)
}

/// One [`Block`] with its weights.
#[derive(Module, Debug)]
pub(super) struct Layer {
    /// In the order of [`Layer::unit_names`].
    pub units: Vec<Conv>,
    #[module(skip)]
    pub block: Block,
    /// Whether what its convolutions make is added to its input, or to a shortcut.
    #[module(skip)]
    pub adds: bool,
    /// Of what its sum or pooling makes, where the forward pass is [aware](Net::quantise_aware) of it.
    #[module(skip)]
    pub quantisation: Option<Quantisation>,
}

impl Layer {
    /// The layer for an input of `shape`, and the shape of its output.
    pub fn new(block: &Block, shape: Shape, init: &mut Initialiser) -> Result<(Self, Shape)> {
        let output = output_shape(block, shape)?;
        let inputs = shape.channels;
        let conv = |inputs, outputs, kernel, stride, batch_norm, activation| ConvShape {
            inputs,
            outputs,
            kernel,
            stride,
            depthwise: false,
            padding: Padding::Same,
            batch_norm,
            activation,
        };
        let shapes = match *block {
            Block::Conv { channels, kernel, stride, padding, batch_norm, activation } => {
                vec![ConvShape { padding, ..conv(inputs, channels, kernel, stride, batch_norm, activation) }]
            }
            Block::Separable { channels, stride, activation } => vec![
                ConvShape { depthwise: true, ..conv(inputs, inputs, 3, stride, true, activation) },
                conv(inputs, channels, 1, 1, true, activation),
            ],
            Block::Residual { channels, stride } => {
                let mut shapes = vec![
                    conv(inputs, channels, 3, stride, true, Activation::Relu),
                    conv(channels, channels, 3, 1, true, Activation::Linear),
                ];
                if output != shape {
                    shapes.push(conv(inputs, channels, 1, stride, false, Activation::Linear));
                }
                shapes
            }
            Block::SeparableResidual { channels, stride } => {
                let depthwise = |channels, stride| ConvShape {
                    depthwise: true,
                    ..conv(channels, channels, 3, stride, true, Activation::Relu)
                };
                let mut shapes = vec![
                    depthwise(inputs, stride),
                    conv(inputs, channels, 1, 1, true, Activation::Relu),
                    depthwise(channels, 1),
                    conv(channels, channels, 1, 1, true, Activation::Linear),
                ];
                if output != shape {
                    shapes.push(conv(inputs, channels, 1, stride, false, Activation::Linear));
                }
                shapes
            }
            Block::InvertedResidual { channels, expansion, stride, activation } => {
                let wide = inputs * expansion;
                let expand = (expansion > 1).then(|| conv(inputs, wide, 1, 1, true, activation));
                let rest = [
                    ConvShape { depthwise: true, ..conv(wide, wide, 3, stride, true, activation) },
                    conv(wide, channels, 1, 1, true, Activation::Linear),
                ];
                expand.into_iter().chain(rest).collect()
            }
            Block::MaxPool { .. } | Block::AveragePool { .. } | Block::GlobalAveragePool => Vec::new(),
        };
        let units = shapes.into_iter().map(|shape| Conv::new(shape, init)).collect();
        let adds = match block {
            Block::Residual { .. } | Block::SeparableResidual { .. } => true,
            Block::InvertedResidual { .. } => output == shape,
            _ => false,
        };
        Ok((Self { units, block: block.clone(), adds, quantisation: None }, output))
    }

    /// Names of [`Layer::units`].
    pub fn unit_names(&self) -> &'static [&'static str] {
        match self.block {
            Block::Conv { .. } => &["conv"],
            Block::Separable { .. } => &["depthwise", "pointwise"],
            Block::Residual { .. } => &["conv1", "conv2", "shortcut"],
            Block::SeparableResidual { .. } => &["depthwise1", "pointwise1", "depthwise2", "pointwise2", "shortcut"],
            Block::InvertedResidual { expansion: 1, .. } => &["depthwise", "project"],
            Block::InvertedResidual { .. } => &["expand", "depthwise", "project"],
            Block::MaxPool { .. } | Block::AveragePool { .. } | Block::GlobalAveragePool => &[],
        }
    }

    /// True when one convolution alone reads the input, so that normalisation can be folded into it.
    pub fn starts_with_convolution(&self) -> bool {
        matches!(self.block, Block::Conv { .. } | Block::Separable { .. })
    }

    /// [`Layer::forward`] of a layer that [starts with a convolution](Layer::starts_with_convolution), for pixels.
    pub fn forward_pixels(&self, pixels: Tensor<4>, normalise: impl Fn(Tensor<4>) -> Tensor<4>) -> Tensor<4> {
        let first = self.units[0].forward_pixels(pixels, normalise);
        self.units[1..].iter().fold(first, |x, unit| unit.forward(x))
    }

    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = match self.block {
            Block::Conv { .. } | Block::Separable { .. } => self.chain(x, self.units.len()),
            Block::Residual { .. } => relu(self.residual(x, 2)),
            Block::SeparableResidual { .. } => relu(self.residual(x, 4)),
            Block::InvertedResidual { .. } if self.adds => self.residual(x, self.units.len()),
            Block::InvertedResidual { .. } => self.chain(x, self.units.len()),
            Block::MaxPool { size } => max_pool2d(x, MaxPoolOptions::new([size; 2])),
            Block::AveragePool { size } => avg_pool2d(x, AvgPoolOptions::new([size; 2])),
            Block::GlobalAveragePool => {
                let [images, channels, height, width] = x.dims();
                x.reshape([images, channels, height * width]).mean_dim(2).reshape([images, channels, 1, 1])
            }
        };
        match self.quantisation {
            Some(quantisation) => round(x, quantisation),
            None => x,
        }
    }

    /// What the first `units` convolutions make of `x`, one after the other.
    fn chain(&self, x: Tensor<4>, units: usize) -> Tensor<4> {
        self.units[..units].iter().fold(x, |x, unit| unit.forward(x))
    }

    /// The same, and what the shortcut makes of `x`, or `x` itself where there is none.
    fn residual(&self, x: Tensor<4>, units: usize) -> Tensor<4> {
        let main = self.chain(x.clone(), units);
        let shortcut = match self.units.get(units) {
            Some(unit) => unit.forward(x),
            None => x,
        };
        main + shortcut
    }
}

/// Fully connected layer.
#[derive(Module, Debug)]
pub(super) struct Dense {
    /// `[in][out]`.
    pub weight: Param<Tensor<2>>,
    /// `[out]`.
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    pub activation: Activation,
    /// Where the forward pass is [aware](Net::quantise_aware) of it.
    #[module(skip)]
    pub quantisation: Option<NodeQuantisation>,
}

impl Dense {
    pub fn new(inputs: usize, outputs: usize, activation: Activation, init: &mut Initialiser) -> Self {
        Self { weight: init.he([inputs, outputs], inputs), bias: init.zeros(outputs), activation, quantisation: None }
    }

    /// Replaces weights `[in][out]` and bias.
    pub fn set(&mut self, weights: Vec<f32>, bias: Vec<f32>) {
        let (dims, device) = (self.weight.dims(), self.bias.device());
        self.weight = Param::from_data(TensorData::new(weights, dims), &device);
        self.bias = param(bias, &device);
    }

    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let (weight, bias) = (self.weight.val(), self.bias.val());
        let Some(NodeQuantisation { input, output }) = self.quantisation else {
            return activate(linear(x, weight, Some(bias)), self.activation);
        };
        let (weight, bias) = round_parameters((weight, bias), 1, input.scale);
        activate_aware(linear(x, weight, Some(bias)), self.activation, output)
    }
}
