//! Convolution over all input channels.

pub(crate) mod form;
pub(crate) mod order;
pub(crate) mod packed;
pub(crate) mod patches;
pub mod winograd;

use self::order::PatchOrder;
use self::patches::Patches;
use self::winograd::Form;
use super::check::{check_activation, check_rows, check_weights, check_window};
use super::record::{Field, Record, record};
use super::{Activation, Code, Layout, Operator, Overlap, Plain, Weights, Window, overlap};
use crate::bounded::Bounded;
use crate::error::OpError;
use crate::format::Tensor;
use crate::kernels::{Kernels, Memory};

record! {
    /// Parameters of [`Op::Conv2d`](super::Op::Conv2d) and [`Op::DepthwiseConv2d`](super::Op::DepthwiseConv2d): the sum
    /// over the window of weight times input, plus the bias, is scaled by the output channel's multiplier, and clamped.
    pub struct Conv2d: [input] => output {
        /// Input, HWC.
        pub input: Tensor,
        /// Output, HWC.
        pub output: Tensor,
        /// Kernel, stride, dilation and padding.
        pub window: Window,
        /// Constants.
        pub weights: Weights,
        /// Fused clamp.
        pub activation: Activation,
        /// First byte of the scratch in the arena; its length is [`Op::scratch_len`](super::Op::scratch_len).
        pub scratch: u32,
    }
}

/// Where a record says how a convolution's constants lie in flash.
const LAYOUT_AT: usize = 1 + 2 * Tensor::LEN + Window::LEN;

/// What tells a convolution's kernel: its layout's byte.
pub(super) const fn layout(record: &Record) -> u8 {
    record[LAYOUT_AT]
}

impl Operator for Conv2d {
    type Params = Self;
    const READ_BY_CALL: bool = true;

    /// The [`Patches`](patches::Patches) of four output pixels and a [`Strip`](packed::Strip) of the input. A packed one widens
    /// the patches to 16 bits, 16 bytes for each pair. One with transformed weights copies the rows under a row of tiles and
    /// transforms four tiles.
    fn scratch(op: &Self) -> (u32, usize) {
        let len = match (op.weights.layout, Form::of(op.weights.layout)) {
            (_, Some(form)) => winograd::scratch_len(form, op),
            (Layout::Packed, _) => packed::scratch_len(op),
            _ => Patches::new(op).scratch_len(op),
        };
        (op.scratch, len)
    }

    fn overlap(op: &Self, _: &Tensor) -> Option<Overlap> {
        (op.weights.layout != Layout::Plain).then(|| Overlap { most: overlap::of_convolution(op), step: 1 })
    }

    fn weights(op: &Self) -> u32 {
        let taps = op.output.channels.saturating_mul(op.window.area());
        taps.saturating_mul(op.input.channels)
    }
}

/// With plain weights.
pub(super) struct Direct;

impl Code for Direct {
    type Operator = Conv2d;

    fn check(op: &Conv2d, section: &[u8]) -> Result<(), OpError> {
        check_convolution(op)?;
        let Plain { weights, channels } = plain_weights(op, section).ok_or(OpError::Constants)?;
        check_weights(op.weights, channels)?;
        check_rows(weights, op.window.taps().times(op.input.channels as usize), channels)
    }

    #[inline(always)]
    fn run<K: Kernels>(op: &Conv2d, memory: Memory<'_>) -> Option<()> {
        let constants = plain_weights(op, memory.section)?;
        let scratch = (op.scratch, Patches::new(op).scratch_len(op));
        K::conv2d(op, &constants, memory.shared_with(&op.input, &op.output, scratch)?);
        Some(())
    }
}

/// What must hold of any convolution.
pub(super) fn check_convolution(op: &Conv2d) -> Result<(), OpError> {
    check_window(&op.window, &op.input, &op.output)?;
    check_activation(op.activation)
}

/// Finds a convolution's plain weights, OHWI; `None` when they lie outside the weights section.
#[inline(always)]
#[must_use]
pub fn plain_weights<'a>(op: &Conv2d, section: &'a [u8]) -> Option<Plain<'a>> {
    Plain::find(section, op.weights, PatchOrder::conv2d(op).len(), op.output.channels as usize)
}
