//! The trained network as a float graph with batch-norm and normalisation folded: what quantisation starts from.
//!
//! Activations are HWC, convolution weights OHWI, depthwise weights HWC, dense weights `[out][in]`, as in the blob.
//! The input is `pixel − 128`, so that padding by 0 is padding by mid-grey, here and on the device.

use no_std_infer::format::Window;
use serde::{Deserialize, Serialize};

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

/// A float network. Tensor 0 is the input; node `i` makes tensor `i + 1`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    /// Shape of tensor 0.
    pub input: Shape,
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
    /// Sum of two tensors.
    Add {
        /// Fused clamp.
        clamp: Clamp,
    },
    /// 1 / (1 + e^−x), element by element.
    Sigmoid,
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
