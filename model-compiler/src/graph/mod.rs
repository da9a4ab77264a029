//! The trained network as a float graph with batch-norm and normalisation folded: what quantisation starts from.
//!
//! Activations are HWC, convolution weights OHWI, depthwise weights HWC, dense weights `[out][in]`, as in the blob.
//! The input is `pixel − 128` less [`Graph::zero`], which is 0 for networks trained here, so that padding by 0 is padding
//! by mid-grey, here and on the device.

mod error;
mod fold;
mod function;
mod run;
mod scores;
mod shapes;

use no_std_infer::Cost;
use no_std_infer::format::Window;
use serde::{Deserialize, Serialize};

pub use error::{Error, Misfit};
pub use fold::{BatchNorm, WeightOrder, fold_batch_norm, fold_normalisation, same_padding, same_window, valid_window};
pub use function::{Function, apply};
pub use run::pixels_to_input;
pub use scores::{class, softmax};

static CRC: crc::Crc<u32> = no_std_infer::CRC32;

/// Rows, columns and channels of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Channels.
    pub channels: usize,
}

impl Shape {
    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// True when there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}x{}", self.height, self.width, self.channels)
    }
}

/// A float network. Tensor 0 is the input; node `i` makes tensor `i + 1`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    /// Shape of tensor 0.
    pub input: Shape,
    /// What the input's bytes are less, in tensor 0: the byte that stands for 0, and pads.
    pub zero: i8,
    /// In execution order; every input of a node is an earlier tensor. The last node makes the logits.
    pub nodes: Vec<Node>,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// For people: `features.2.conv1`.
    pub name: String,
    /// What is computed.
    pub op: FloatOp,
    /// Tensors that it reads.
    pub inputs: Vec<usize>,
    /// Shape of the tensor that it makes.
    pub output: Shape,
}

/// What a node computes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FloatOp {
    /// Convolution; weights OHWI.
    Conv2d {
        /// Kernel, stride and padding.
        window: Window,
        /// `[out][kernel_h][kernel_w][in]`.
        weights: Vec<f32>,
        /// `[out]`.
        bias: Vec<f32>,
        /// Fused clamp.
        clamp: Clamp,
    },
    /// Depthwise convolution with multiplier 1.
    DepthwiseConv2d {
        /// Kernel, stride and padding.
        window: Window,
        /// `[kernel_h][kernel_w][channels]`.
        weights: Vec<f32>,
        /// `[channels]`.
        bias: Vec<f32>,
        /// Fused clamp.
        clamp: Clamp,
    },
    /// Fully connected; the input is flattened in HWC order.
    Dense {
        /// `[out][in]`.
        weights: Vec<f32>,
        /// `[out]`.
        bias: Vec<f32>,
        /// Fused clamp.
        clamp: Clamp,
    },
    /// Max pooling.
    MaxPool2d {
        /// Kernel, stride and padding.
        window: Window,
    },
    /// Average pooling over the part of the window inside the input.
    AveragePool2d {
        /// Kernel, stride and padding.
        window: Window,
    },
    /// Sum of two tensors; a side of 1 counts for all rows, columns or channels.
    Add {
        /// Fused clamp.
        clamp: Clamp,
    },
    /// Functions of each element, one after the other.
    Map {
        /// In their order.
        functions: Vec<Function>,
    },
    /// Product of two tensors, whose sides may be 1 as those of [`Add`](Self::Add).
    Mul {
        /// Fused clamp.
        clamp: Clamp,
    },
    /// The input among zeros.
    Pad {
        /// Rows above the input.
        top: usize,
        /// Columns left of the input.
        left: usize,
        /// Channels before the input's.
        front: usize,
    },
    /// The same elements under another shape.
    Reshape,
    /// Two tensors side by side, along the side in which the output is longer than both.
    Concat,
}

/// A fused activation function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Clamp {
    /// None.
    None,
    /// max(x, 0).
    Relu,
    /// min(max(x, 0), 6).
    Relu6,
}

impl Clamp {
    /// The range that it leaves, infinite where open.
    #[must_use]
    pub fn range(self) -> (f32, f32) {
        match self {
            Clamp::None => (f32::NEG_INFINITY, f32::INFINITY),
            Clamp::Relu => (0.0, f32::INFINITY),
            Clamp::Relu6 => (0.0, 6.0),
        }
    }
}

impl Graph {
    /// Multiply-accumulates of one inference, taps in the padding included.
    #[must_use]
    pub fn macs(&self) -> usize {
        let of = |node: &Node| match &node.op {
            FloatOp::Conv2d { weights, .. }
            | FloatOp::DepthwiseConv2d { weights, .. }
            | FloatOp::Dense { weights, .. } => weights.len() * node.output.height * node.output.width,
            _ => 0,
        };
        self.nodes.iter().map(of).sum()
    }

    /// What an int8 inference takes at most, as the engine counts it; `None` when that cannot be counted.
    #[must_use]
    pub fn cost(&self) -> Option<Cost> {
        let of = |node: &Node| {
            let each = match &node.op {
                FloatOp::Conv2d { weights, .. }
                | FloatOp::DepthwiseConv2d { weights, .. }
                | FloatOp::Dense { weights, .. } => weights.len() as u64,
                FloatOp::MaxPool2d { window } | FloatOp::AveragePool2d { window } => {
                    (node.output.channels as u64).checked_mul(window.taps() as u64)?
                }
                _ => 0,
            };
            let pixels = (node.output.height as u64).checked_mul(node.output.width as u64)?;
            let tensors = node.inputs.iter().map(|&input| self.shape(input)).chain([node.output]);
            let bytes = tensors.map(|shape| shape.len() as u64).sum();
            Some(Cost { products: each.checked_mul(pixels)?, bytes })
        };
        self.nodes.iter().try_fold(Cost::default(), |sum, node| sum.checked_add(of(node)?))
    }

    /// Numbers of the largest tensor, input included.
    #[must_use]
    pub fn largest(&self) -> usize {
        (0..=self.nodes.len()).map(|tensor| self.shape(tensor).len()).max().unwrap_or_default()
    }

    /// Shape of a tensor: 0 is the input, `i + 1` what node `i` makes.
    #[must_use]
    pub fn shape(&self, tensor: usize) -> Shape {
        if tensor == 0 { self.input } else { self.nodes[tensor - 1].output }
    }

    /// Number of classes: the channels of the last node's output.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.shape(self.nodes.len()).channels
    }

    /// Checks that the nodes fit together, so that [`run`](Self::run) cannot fail.
    ///
    /// # Errors
    /// Names the first node with a wrong input, shape, window or constant, or says that the last node makes no
    /// vector of logits.
    pub fn validate(&self) -> Result<(), Error> {
        ensure!(!self.input.is_empty(), Error::EmptyInput(self.input));
        for (index, node) in self.nodes.iter().enumerate() {
            let layer = |source| Error::Layer { index, name: node.name.clone(), source };
            self.check_node(index, node).map_err(layer)?;
        }
        let Node { name, output, .. } = self.nodes.last().ok_or(Error::NoLayers)?;
        let logits = output.height == 1 && output.width == 1;
        ensure!(logits, Error::Logits { name: name.clone(), output: *output });
        Ok(())
    }

    fn check_node(&self, index: usize, node: &Node) -> Result<(), Misfit> {
        let binary = matches!(node.op, FloatOp::Add { .. } | FloatOp::Mul { .. } | FloatOp::Concat);
        let arity = if binary { 2 } else { 1 };
        ensure!(node.inputs.len() == arity, Misfit(format!("it has {} inputs instead of {arity}", node.inputs.len())));
        ensure!(
            node.inputs.iter().all(|&tensor| tensor <= index),
            Misfit("it reads a tensor that a later layer makes".to_owned())
        );
        ensure!(!node.output.is_empty(), Misfit(format!("its output {} is empty", node.output)));
        let (input, output) = (self.shape(node.inputs[0]), node.output);
        match &node.op {
            FloatOp::Conv2d { window, weights, bias, .. } => {
                check_window(window, input, output)?;
                check_constants(weights, output.channels * window.taps() * input.channels, bias, output.channels)
            }
            FloatOp::DepthwiseConv2d { window, weights, bias, .. } => {
                check_window(window, input, output)?;
                ensure!(
                    input.channels == output.channels,
                    Misfit(format!("{} channels become {}", input.channels, output.channels))
                );
                check_constants(weights, window.taps() * output.channels, bias, output.channels)
            }
            FloatOp::Dense { weights, bias, .. } => {
                ensure!(output.height == 1 && output.width == 1, Misfit(format!("its output {output} is no vector")));
                check_constants(weights, output.channels * input.len(), bias, output.channels)
            }
            FloatOp::MaxPool2d { window } | FloatOp::AveragePool2d { window } => {
                check_window(window, input, output)?;
                ensure!(
                    window.dilation_h == 1 && window.dilation_w == 1,
                    Misfit("a pooling window has no dilation".to_owned())
                );
                ensure!(
                    input.channels == output.channels,
                    Misfit(format!("{} channels become {}", input.channels, output.channels))
                );
                Ok(())
            }
            FloatOp::Add { .. } | FloatOp::Mul { .. } => {
                let other = self.shape(node.inputs[1]);
                ensure!(
                    shapes::broadcasts(input, other, output),
                    Misfit(format!("{input} and {other} cannot make {output}"))
                );
                Ok(())
            }
            FloatOp::Concat => {
                let other = self.shape(node.inputs[1]);
                let fits = shapes::second_corner(input, other, output).is_some();
                ensure!(fits, Misfit(format!("{input} beside {other} cannot make {output}")));
                Ok(())
            }
            FloatOp::Reshape => {
                ensure!(input.len() == output.len(), Misfit(format!("{input} becomes {output}")));
                Ok(())
            }
            FloatOp::Map { .. } => {
                ensure!(input == output, Misfit(format!("{input} becomes {output}")));
                Ok(())
            }
            FloatOp::Pad { top, left, front } => {
                let fits = |before: usize, inner: usize, outer: usize| before.saturating_add(inner) <= outer;
                let [rows, columns] = [(top, input.height, output.height), (left, input.width, output.width)];
                let all = [rows, columns, (front, input.channels, output.channels)];
                ensure!(
                    all.iter().all(|&(&before, inner, outer)| fits(before, inner, outer)),
                    Misfit(format!("it pads {input} to {output}"))
                );
                Ok(())
            }
        }
    }

    /// The graph as bytes, with a checksum.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        postcard::to_stdvec_crc32(self, CRC.digest()).map_err(Error::Encoding)
    }

    /// The graph that [`to_bytes`](Self::to_bytes) made these bytes of.
    ///
    /// # Errors
    /// When they are damaged or hold a graph that is not valid.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let graph: Self = postcard::from_bytes_crc32(bytes, CRC.digest()).map_err(Error::Damaged)?;
        graph.validate()?;
        Ok(graph)
    }
}

/// Every window touches the input, and padding is narrower than the window.
fn check_window(window: &Window, input: Shape, output: Shape) -> Result<(), Misfit> {
    let w = window;
    let fits = |outputs: usize, inputs: usize, [kernel, stride, dilation, pad]: [u16; 4]| {
        kernel > 0
            && stride > 0
            && dilation > 0
            && usize::from(pad) <= usize::from(kernel - 1) * usize::from(dilation)
            && (outputs - 1) * usize::from(stride) < inputs + usize::from(pad)
    };
    ensure!(
        fits(output.height, input.height, [w.kernel_h, w.stride_h, w.dilation_h, w.pad_top])
            && fits(output.width, input.width, [w.kernel_w, w.stride_w, w.dilation_w, w.pad_left]),
        Misfit(format!("its window {window:?} cannot make {output} from {input}"))
    );
    Ok(())
}

fn check_constants(weights: &[f32], weights_len: usize, bias: &[f32], bias_len: usize) -> Result<(), Misfit> {
    ensure!(weights.len() == weights_len, Misfit(format!("it has {} weights instead of {weights_len}", weights.len())));
    ensure!(bias.len() == bias_len, Misfit(format!("it has {} biases instead of {bias_len}", bias.len())));
    ensure!(
        weights.iter().chain(bias).all(|value| value.is_finite()),
        Misfit("a weight is not a finite number: training diverged; lower train.learning_rate".to_owned())
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::error::with_sources;

    fn small() -> Graph {
        let input = Shape { height: 5, width: 4, channels: 3 };
        let (window, output) = same_window(input, 3, 2);
        let conv = FloatOp::Conv2d { window, weights: vec![0.5; 2 * 27], bias: vec![1.0; 2], clamp: Clamp::Relu };
        let conv_output = Shape { channels: 2, ..output };
        let dense = FloatOp::Dense { weights: vec![0.1; 4 * 12], bias: vec![0.0; 4], clamp: Clamp::None };
        let output = Shape { height: 1, width: 1, channels: 4 };
        Graph {
            input,
            zero: 0,
            nodes: vec![
                Node { name: "conv".into(), op: conv, inputs: vec![0], output: conv_output },
                Node { name: "head".into(), op: dense, inputs: vec![1], output },
            ],
        }
    }

    #[test]
    fn bytes_round_trip_and_damage_is_found() {
        let graph = small();
        let mut bytes = graph.to_bytes().unwrap();
        assert_eq!(Graph::from_bytes(&bytes).unwrap(), graph);
        bytes[20] ^= 1;
        assert!(Graph::from_bytes(&bytes).unwrap_err().to_string().contains("damaged"));
    }

    #[test]
    fn a_wrong_graph_is_refused_by_the_layer_s_name() {
        small().validate().unwrap();
        let spoil = |change: fn(&mut Graph)| {
            let mut graph = small();
            change(&mut graph);
            with_sources(&graph.validate().unwrap_err())
        };
        assert!(spoil(|g| g.nodes[1].inputs = vec![2]).contains("head"));
        assert!(spoil(|g| g.nodes[0].output.height = 4).contains("conv"));
        assert!(spoil(|g| g.nodes[0].inputs.clear()).contains("0 inputs"));
        assert!(spoil(|g| g.input.channels = 4).contains("weights"));
        assert!(spoil(|g| g.nodes.truncate(1)).contains("logits"));
        assert!(spoil(|g| g.nodes.clear()).contains("no layers"));
        assert!(
            spoil(|g| if let FloatOp::Dense { bias, .. } = &mut g.nodes[1].op {
                bias[0] = f32::NAN
            })
            .contains("diverged")
        );
    }
}
