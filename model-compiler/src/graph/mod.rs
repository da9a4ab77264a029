//! The trained network as a float graph with batch-norm and normalisation folded: what quantisation starts from.
//!
//! Activations are HWC, convolution weights OHWI, depthwise weights HWC, dense weights `[out][in]`, as in the blob.
//! The input is `pixel − 128` less [`Graph::zero`], which is 0 for networks trained here, so that padding by 0 is padding
//! by mid-grey, here and on the device.

mod check;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A convolution and an output layer.
    pub fn small() -> Graph {
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
}
