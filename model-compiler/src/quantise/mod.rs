//! From a float graph and ranges of activations to an int8 model, in the arithmetic of the LiteRT quantisation spec.

pub mod calibrate;
mod ending;
pub mod equalise;
mod error;
mod method;
pub mod noise;
mod scale;
pub mod search;
mod share;
#[cfg(test)]
pub(crate) mod tests;
mod weights;

use std::collections::BTreeMap;

use no_std_infer::fixed::{DoubleMultiplier, Multiplier};
use no_std_infer::format::{
    ADD_SHIFT, Activation, Add, CHANNEL_LEN, Concat, Conv2d, Dense, Layout, Lookup, Mul, Op, Pad, Pool2d, Reshape,
    Tensor, Weights,
};
use no_std_infer::operators::{ChannelParams, DenseParams};
use no_std_infer::{Cost, classes, is_sigmoid};

use crate::graph::{Clamp, FloatOp, Graph, Node, Shape, apply};
use error::Result;

pub use ending::Ending;
pub use error::Error;
pub use method::Method;
pub use scale::{
    Quantisation, Range, layer_factor, mean_multiplier, multiplier, product_factor, softmax_parameters,
    softmax_parameters_of_step,
};
pub use weights::{Channel, quantise_channel};

/// Where constants start in the weights section: multiples of this.
const CONSTANT_ALIGN: usize = 16;

/// An int8 model whose tensors have no place in the arena yet.
///
/// Until [`Plan::apply`](crate::layout::arena::Plan::apply) gives them one, a tensor's `offset` is its index: 0 is the input,
/// `i + 1` the output of operator `i`. The last operator makes the logits, or reads them: its [`Ending`].
#[derive(Clone, Debug, PartialEq)]
pub struct QuantModel {
    /// In execution order, one for each node of the graph, then that of the ending.
    pub ops: Vec<Op>,
    /// Names of the operators, for people.
    pub names: Vec<String>,
    /// The weights section.
    pub constants: Vec<u8>,
    /// The network's input.
    pub input: Tensor,
    /// The scores before the ending.
    pub logits: Tensor,
    /// Temperature folded into the softmax; 1 without one.
    pub temperature: f32,
    /// Layers whose weights had to be made coarser, a sentence each.
    pub notes: Vec<String>,
}

impl QuantModel {
    /// What an inference takes at most, its operators run whole; `None` when that cannot be counted.
    #[must_use]
    pub fn cost(&self) -> Option<Cost> {
        self.ops.iter().try_fold(Cost::default(), |sum, op| sum.checked_add(op.cost()?))
    }

    /// Number of classes, as the engine counts them.
    #[must_use]
    pub fn classes(&self) -> usize {
        let sigmoid = self.ops.last().is_some_and(|op| is_sigmoid(op, &self.logits));
        classes(&self.logits, sigmoid) as usize
    }

    /// The model whose input's bytes stand for real numbers by this scale. No operator computes with it: the first layers'
    /// multipliers hold it already.
    #[must_use]
    pub fn with_input_scale(mut self, scale: f32) -> Self {
        self.input.scale = scale;
        let input = |tensor: &mut Tensor| {
            if tensor.offset == 0 {
                tensor.scale = scale;
            }
        };
        self.ops.iter_mut().for_each(|op| op.map_tensors(input));
        self
    }
}

/// Quantises a graph. `ranges` are those of [`calibrate`](crate::quantise::calibrate::calibrate), one a tensor; those of the input,
/// of sigmoids, and of what poolings, paddings and concatenations make are not used. Probabilities are
/// softmax(logits / `temperature`).
///
/// # Errors
/// When the graph is not valid or too large for the format, or a layer's numbers cannot be represented.
pub fn quantise(graph: &Graph, ranges: &[Range], temperature: f32) -> Result<QuantModel> {
    quantise_ending(graph, ranges, Ending::Softmax { temperature })
}

/// [`quantise`] with any ending.
///
/// # Errors
/// Those of [`quantise`].
pub fn quantise_ending(graph: &Graph, ranges: &[Range], ending: Ending) -> Result<QuantModel> {
    graph.validate()?;
    let (found, tensors) = (ranges.len(), graph.nodes.len() + 1);
    ensure!(found == tensors, Error::Ranges { found, tensors });
    let quantisations = share::quantisations(graph, ranges)?;
    let mut builder = Builder { tensors: vec![tensor(0, graph.input, quantisations[0])?], ..Builder::default() };
    for (node, &quantisation) in graph.nodes.iter().zip(&quantisations[1..]) {
        let layer = |source| Error::Layer { name: node.name.clone(), source: Box::new(source) };
        builder.add(node, quantisation).map_err(layer)?;
    }
    builder.finish().ended(ending)
}

/// How what a node reads and makes is quantised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NodeQuantisation {
    /// Its first input.
    pub input: Quantisation,
    /// Its output.
    pub output: Quantisation,
}

/// How each node's tensors are quantised, by the node's name.
///
/// # Errors
/// Those of [`quantise`] that concern ranges.
pub fn node_quantisations(graph: &Graph, ranges: &[Range]) -> Result<BTreeMap<String, NodeQuantisation>> {
    let of = share::quantisations(graph, ranges)?;
    let node = |(index, node): (usize, &Node)| {
        (node.name.clone(), NodeQuantisation { input: of[node.inputs[0]], output: of[index + 1] })
    };
    Ok(graph.nodes.iter().enumerate().map(node).collect())
}

/// Layers with weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`Op::Conv2d`].
    Convolution,
    /// [`Op::DepthwiseConv2d`].
    Depthwise,
    /// [`Op::Dense`].
    Dense,
}

impl Kind {
    /// One output channel's entry in the blob: `factor` is input scale · weight scale / output scale, in double precision.
    /// `None` when the factor is out of the format's range.
    #[must_use]
    pub fn parameters(self, bias: i32, factor: f64) -> Option<[u8; CHANNEL_LEN]> {
        match self {
            Kind::Convolution | Kind::Depthwise => {
                multiplier(factor).map(|multiplier| ChannelParams { bias, multiplier }.to_bytes())
            }
            Kind::Dense => {
                let multiplier = DoubleMultiplier { bits: factor.to_bits() };
                multiplier.is_valid().then(|| DenseParams { bias, multiplier }.to_bytes())
            }
        }
    }
}

/// An int8 model while it is made.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    /// The input, then what each operator makes; their offsets are their indices.
    pub tensors: Vec<Tensor>,
    /// In execution order.
    pub ops: Vec<Op>,
    /// Names of the operators, for people.
    pub names: Vec<String>,
    /// The weights section.
    pub constants: Vec<u8>,
    /// Layers whose weights had to be made coarser, a sentence each.
    pub notes: Vec<String>,
}

impl Builder {
    fn add(&mut self, node: &Node, quantisation: Quantisation) -> Result<()> {
        let operand = |at: usize| self.tensors[node.inputs[at]];
        let input = operand(0);
        let output = tensor(self.tensors.len(), node.output, quantisation)?;
        let op = match &node.op {
            FloatOp::Conv2d { window, weights, bias, clamp }
            | FloatOp::DepthwiseConv2d { window, weights, bias, clamp } => {
                let depthwise = matches!(node.op, FloatOp::DepthwiseConv2d { .. });
                let kind = if depthwise { Kind::Depthwise } else { Kind::Convolution };
                let weights = self.add_weights(node, weights, bias, kind, [input, output])?;
                let activation = activation(*clamp, quantisation);
                let op = Conv2d { input, output, window: *window, weights, activation, scratch: 0 };
                if depthwise { Op::DepthwiseConv2d(op) } else { Op::Conv2d(op) }
            }
            FloatOp::Dense { weights, bias, clamp } => {
                let weights = self.add_weights(node, weights, bias, Kind::Dense, [input, output])?;
                Op::Dense(Dense { input, output, weights, activation: activation(*clamp, quantisation) })
            }
            FloatOp::MaxPool2d { window } => {
                Op::MaxPool2d(Pool2d { input, output, window: *window, activation: Activation::NONE })
            }
            FloatOp::AveragePool2d { window } => {
                Op::AveragePool2d(Pool2d { input, output, window: *window, activation: Activation::NONE })
            }
            FloatOp::Add { clamp } => {
                let (b, activation) = (operand(1), activation(*clamp, quantisation));
                let [a_multiplier, b_multiplier, output_multiplier] =
                    add_multipliers(input.scale, b.scale, output.scale)?;
                Op::Add(Add {
                    a: input,
                    b,
                    output,
                    a_multiplier,
                    b_multiplier,
                    output_multiplier,
                    activation,
                    tables: [None; 2],
                })
            }
            FloatOp::Mul { clamp } => {
                let (b, activation) = (operand(1), activation(*clamp, quantisation));
                let real = product_factor(input.scale, b.scale, output.scale);
                let multiplier = multiplier(real).ok_or(Error::Multiplier(real))?;
                Op::Mul(Mul { a: input, b, output, multiplier, activation })
            }
            FloatOp::Map { functions } => {
                let table = self.add_constant(&lookup_table(&input, &output, |x| apply(functions, x)));
                Op::Lookup(Lookup { input, output, table })
            }
            FloatOp::Reshape => Op::Reshape(Reshape { input, output }),
            FloatOp::Pad { top, left, front } => {
                let side = |side: usize| u16::try_from(side).map_err(|_| Error::TooLarge(node.output));
                let front = u32::try_from(*front).map_err(|_| Error::TooLarge(node.output))?;
                let (top, left, value) = (side(*top)?, side(*left)?, output.zero_point);
                Op::Pad(Pad { input, output, top, left, front, value })
            }
            FloatOp::Concat => Op::Concat(Concat { a: input, b: operand(1), output }),
        };
        self.push(op, node.name.clone());
        Ok(())
    }

    /// Adds an operator, whose output has the index of the next tensor.
    pub fn push(&mut self, op: Op, name: String) {
        self.tensors.push(*op.output());
        self.ops.push(op);
        self.names.push(name);
    }

    /// The model, whose logits are what the last operator makes.
    fn finish(self) -> QuantModel {
        let Self { tensors, ops, names, constants, notes } = self;
        let (input, logits) = (tensors[0], tensors[tensors.len() - 1]);
        QuantModel { ops, names, constants, input, logits, temperature: 1.0, notes }
    }

    /// Appends bytes to the weights section and gives their offset.
    pub fn add_constant(&mut self, bytes: &[u8]) -> u32 {
        append(&mut self.constants, bytes)
    }

    fn add_weights(
        &mut self,
        node: &Node,
        weights: &[f32],
        bias: &[f32],
        kind: Kind,
        [input, output]: [Tensor; 2],
    ) -> Result<Weights> {
        let (outputs, taps) = (bias.len(), weights.len() / bias.len());
        // Index of a channel's tap in the layer's weights, float and int8 alike.
        let index = |channel: usize, tap: usize| match kind {
            Kind::Depthwise => tap * outputs + channel,
            Kind::Convolution | Kind::Dense => channel * taps + tap,
        };
        let mut bytes = vec![0_u8; weights.len()];
        let mut parameters = Vec::new();
        let mut doublings = 0;
        for (c, &bias) in bias.iter().enumerate() {
            let row: Vec<f32> = (0..taps).map(|tap| weights[index(c, tap)]).collect();
            let channel = quantise_channel(&row, bias, quantisation(&input), quantisation(&output))
                .map_err(|source| Error::Channel { index: c, source: Box::new(source) })?;
            channel.weights.iter().enumerate().for_each(|(tap, &weight)| bytes[index(c, tap)] = weight as u8);
            parameters.extend(kind.parameters(channel.bias, channel.factor).ok_or(Error::Multiplier(channel.factor))?);
            doublings = doublings.max(channel.doublings);
        }
        if doublings > 0 {
            let factor = 2.0_f64.powi(doublings as i32);
            self.notes.push(format!("{}: weights up to {factor} times coarser, or sums would overflow", node.name));
        }
        let weights = self.add_constant(&bytes);
        Ok(Weights { layout: Layout::Plain, weights, channels: self.add_constant(&parameters) })
    }
}

/// Appends bytes to a weights section and gives their offset.
fn append(constants: &mut Vec<u8>, bytes: &[u8]) -> u32 {
    constants.resize(constants.len().next_multiple_of(CONSTANT_ALIGN), 0);
    let offset = constants.len() as u32;
    constants.extend_from_slice(bytes);
    offset
}

fn tensor(index: usize, shape: Shape, quantisation: Quantisation) -> Result<Tensor> {
    Ok(Tensor {
        offset: index as u32,
        height: u16::try_from(shape.height).map_err(|_| Error::TooLarge(shape))?,
        width: u16::try_from(shape.width).map_err(|_| Error::TooLarge(shape))?,
        channels: u32::try_from(shape.channels).map_err(|_| Error::TooLarge(shape))?,
        scale: quantisation.scale,
        zero_point: quantisation.zero_point,
    })
}

/// How a tensor's bytes stand for real numbers.
#[must_use]
pub fn quantisation(tensor: &Tensor) -> Quantisation {
    Quantisation { scale: tensor.scale, zero_point: tensor.zero_point }
}

/// The int8 values that a fused clamp leaves.
fn activation(clamp: Clamp, output: Quantisation) -> Activation {
    let (min, max) = clamp.range();
    Activation { min: output.quantise(min), max: output.quantise(max) }
}

/// Multipliers of both summands and of the sum, as TFLite's: the summands share twice the larger input scale.
///
/// # Errors
/// When a multiplier is out of range, or the sum's scale far below the summands'.
pub fn add_multipliers(a: f32, b: f32, output: f32) -> Result<[Multiplier; 3]> {
    let twice_largest = 2.0 * f64::from(a.max(b));
    let real = [
        f64::from(a) / twice_largest,
        f64::from(b) / twice_largest,
        twice_largest / (f64::from(1_u32 << ADD_SHIFT) * f64::from(output)),
    ];
    let in_proportion = real[2] < 1.0;
    ensure!(in_proportion, Error::Sum);
    let multipliers = real.map(multiplier);
    let [Some(a), Some(b), Some(sum)] = multipliers else { return Err(Error::SumMultipliers(real)) };
    Ok([a, b, sum])
}

/// The 256 outputs of `function` for the inputs −128..=127.
fn lookup_table(input: &Tensor, output: &Tensor, function: impl Fn(f64) -> f64) -> Vec<u8> {
    (i8::MIN..=i8::MAX)
        .map(|q| quantisation(output).quantise(function(f64::from(quantisation(input).real(q))) as f32) as u8)
        .collect()
}
