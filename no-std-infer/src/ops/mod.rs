//! The operators' geometry: what [`Model::parse`](crate::Model::parse) proves about each and kernels rely on.

mod add;
pub(crate) mod check;
mod dense;
mod layer;
mod order;
mod overlap;
mod params;
mod plane;
pub mod winograd;

pub use add::AddLayer;
pub use dense::{DENSE_BLOCK, DenseLayer, DenseWeights, dense_position};
#[cfg(dsp)]
pub(crate) use dense::{ENTRIES_IN_BLOCKS, groups};
pub use layer::{Channels, Constants, ConvLayer, Packed, PackedDepthwise, unpack};
pub use order::PatchOrder;
pub use overlap::Overlap;
pub use params::{ChannelParams, DenseParams, OutputParams, PackedParams};
pub(crate) use plane::Plane;
pub use winograd::{Form, Winograd};

use crate::format::{Conv2d, Layout, Op, Tensor};

/// Bytes of one output pixel's patch, rounded up to a multiple of 16.
fn patch_len(op: &Conv2d) -> usize {
    PatchOrder::conv2d(op).len().checked_next_multiple_of(16).unwrap_or(usize::MAX)
}

/// Bytes of four output pixels' patches, widened.
pub(crate) fn panel_len(op: &Conv2d) -> usize {
    PatchOrder::conv2d(op).pairs().saturating_mul(16)
}

fn same_shape(a: &Tensor, b: &Tensor) -> bool {
    (a.height, a.width, a.channels) == (b.height, b.width, b.channels)
}

/// Rows of the input that lie under one output row, copied with their padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strip {
    /// Number of rows; 0 where no copy is needed, since patches of one pixel need no padding.
    pub rows: usize,
    /// Bytes of a row, a multiple of 4.
    pub pitch: usize,
}

impl Strip {
    /// The strip that a packed convolution needs.
    #[must_use]
    pub fn new(op: &Conv2d) -> Self {
        let w = &op.window;
        if w.taps() == 1 {
            return Self { rows: 0, pitch: 0 };
        }
        let reach = |kernel: u16, dilation: u16| usize::from(kernel.saturating_sub(1)) * usize::from(dilation) + 1;
        let starts = usize::from(op.output.width.saturating_sub(1)) * usize::from(w.stride_w);
        let columns = starts.saturating_add(reach(w.kernel_w, w.dilation_w));
        let pitch = columns.saturating_mul(op.input.channels as usize).checked_next_multiple_of(4);
        Self { rows: reach(w.kernel_h, w.dilation_h), pitch: pitch.unwrap_or(usize::MAX) }
    }

    /// Bytes in all, rounded up to a multiple of 16.
    #[must_use]
    pub fn len(self) -> usize {
        self.rows.saturating_mul(self.pitch).checked_next_multiple_of(16).unwrap_or(usize::MAX)
    }

    /// True where no copy is needed.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

impl Op {
    /// The tensors that the operator reads: none to two.
    pub fn inputs(&self) -> impl Iterator<Item = &Tensor> + Clone {
        let (first, second) = match self {
            Op::Conv2d(op) | Op::DepthwiseConv2d(op) => (Some(&op.input), None),
            Op::Dense(op) => (Some(&op.input), None),
            Op::MaxPool2d(op) | Op::AveragePool2d(op) => (Some(&op.input), None),
            Op::Add(op) => (Some(&op.a), Some(&op.b)),
            Op::Clamp(op) => (Some(&op.input), None),
            Op::Lookup(op) => (Some(&op.input), None),
            Op::Softmax(op) => (Some(&op.input), None),
            Op::Reshape(op) => (Some(&op.input), None),
            Op::Mul(op) => (Some(&op.a), Some(&op.b)),
            Op::Mean(op) => (Some(&op.input), None),
            Op::Pad(op) => (Some(&op.input), None),
            Op::Concat(op) => (Some(&op.a), Some(&op.b)),
            Op::Constant(_) => (None, None),
        };
        first.into_iter().chain(second)
    }

    /// The tensor that the operator makes.
    #[must_use]
    pub fn output(&self) -> &Tensor {
        match self {
            Op::Conv2d(op) | Op::DepthwiseConv2d(op) => &op.output,
            Op::Dense(op) => &op.output,
            Op::MaxPool2d(op) | Op::AveragePool2d(op) => &op.output,
            Op::Add(op) => &op.output,
            Op::Clamp(op) => &op.output,
            Op::Lookup(op) => &op.output,
            Op::Softmax(op) => &op.output,
            Op::Reshape(op) => &op.output,
            Op::Mul(op) => &op.output,
            Op::Mean(op) => &op.output,
            Op::Pad(op) => &op.output,
            Op::Concat(op) => &op.output,
            Op::Constant(op) => &op.output,
        }
    }

    /// Bytes of scratch that the operator needs with any kernel set.
    ///
    /// A convolution gathers one output pixel's patch: kernel height · kernel width · input channels bytes,
    /// rounded up to a multiple of 16. A packed one widens those of four pixels to 16 bits, 16 bytes for each pair of the
    /// patch, from a [`Strip`] of the input. One with transformed weights copies the rows under a row of tiles and transforms
    /// four tiles. A packed depthwise convolution copies one channel with its border. The other operators need
    /// none.
    #[must_use]
    pub fn scratch_len(&self) -> u32 {
        let len = match self {
            Op::Conv2d(op) => match op.weights.layout {
                Layout::Plain => patch_len(op),
                Layout::Packed => panel_len(op).saturating_add(Strip::new(op).len()),
                layout => Form::of(layout).map_or(0, |form| winograd::scratch_len(form, op)),
            },
            Op::DepthwiseConv2d(op) if op.weights.layout == Layout::Packed => {
                Plane::new(op, &(0..usize::from(op.output.height)))
                    .len()
                    .checked_next_multiple_of(16)
                    .unwrap_or(usize::MAX)
            }
            _ => 0,
        };
        u32::try_from(len).unwrap_or(u32::MAX)
    }

    /// First byte of the scratch in the arena.
    #[must_use]
    pub fn scratch_offset(&self) -> u32 {
        match self {
            Op::Conv2d(op) | Op::DepthwiseConv2d(op) => op.scratch,
            _ => 0,
        }
    }

    /// Multiply-accumulates of one inference, taps in the padding included.
    #[must_use]
    pub fn macs(&self) -> u64 {
        let outputs = self.output().len() as u64;
        match self {
            Op::Conv2d(op) => outputs * op.window.taps() as u64 * u64::from(op.input.channels),
            Op::DepthwiseConv2d(op) => outputs * op.window.taps() as u64,
            Op::Dense(op) => outputs * op.inputs() as u64,
            _ => 0,
        }
    }

    /// The operator's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Op::Conv2d(_) => "conv2d",
            Op::DepthwiseConv2d(_) => "depthwise_conv2d",
            Op::Dense(_) => "dense",
            Op::MaxPool2d(_) => "max_pool2d",
            Op::AveragePool2d(_) => "average_pool2d",
            Op::Add(_) => "add",
            Op::Clamp(_) => "clamp",
            Op::Lookup(_) => "lookup",
            Op::Softmax(_) => "softmax",
            Op::Reshape(_) => "reshape",
            Op::Mul(_) => "mul",
            Op::Mean(_) => "mean",
            Op::Pad(_) => "pad",
            Op::Concat(_) => "concat",
            Op::Constant(_) => "constant",
        }
    }
}
