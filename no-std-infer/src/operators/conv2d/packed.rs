//! Packed weights of a convolution: two output channels in one halfword.

use super::order::PatchOrder;
use super::{Conv2d, check_convolution};
use crate::bounded::Bounded;
use crate::error::OpError;
use crate::kernels::{Kernels, Memory};
use crate::operators::check::{add_magnitudes, check_packed_channel, check_packed_layer, ensure};
use crate::operators::params::PackedParams;
use crate::operators::{Channels, Code, rounded};

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
        rounded(self.rows.saturating_mul(self.pitch))
    }

    /// True where no copy is needed.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// Bytes of four output pixels' patches, widened.
pub(crate) fn panel_len(op: &Conv2d) -> usize {
    PatchOrder::conv2d(op).pairs().saturating_mul(16)
}

/// Bytes of scratch: a panel and a strip.
pub(super) fn scratch_len(op: &Conv2d) -> usize {
    panel_len(op).saturating_add(Strip::new(op).len())
}

/// The constants of a packed layer.
#[derive(Clone, Copy, Debug)]
pub struct Packed<'a> {
    /// The order of the weights.
    pub order: PatchOrder,
    /// For each pair of output channels, 4 bytes for each pair of elements.
    pub words: &'a [u8],
    /// One entry an output channel; an even number.
    pub channels: Channels<'a, PackedParams>,
}

impl<'a> Packed<'a> {
    /// Finds the constants in the weights section; `None` when they lie outside.
    #[must_use]
    pub fn find(section: &'a [u8], op: &Conv2d) -> Option<Self> {
        let (order, outputs) = (PatchOrder::conv2d(op), op.output.channels as usize);
        let start = op.weights.weights as usize;
        let len = outputs.div_ceil(2).checked_mul(order.pairs())?.checked_mul(4)?;
        let channels = Channels::find(section, op.weights.channels, outputs.plus(outputs % 2))?;
        Some(Self { order, words: section.get(start..start.checked_add(len)?)?, channels })
    }

    /// The words of each pair of output channels.
    pub fn rows(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.words.chunks_exact(self.order.pairs().saturating_mul(4).max(1))
    }
}

/// With packed weights.
pub(in crate::operators) struct Direct;

impl Code for Direct {
    type Operator = Conv2d;

    /// Proves that packed weights are those of int8 weights, and the conditions of the fast requantisation.
    fn check(op: &Conv2d, section: &[u8]) -> Result<(), OpError> {
        check_convolution(op)?;
        let packed = Packed::find(section, op).ok_or(OpError::Constants)?;
        check_packed_layer(op)?;
        ensure(op.window.dilation_w == 1 || packed.order.left_over() == 0, OpError::Constants)?;
        let half_empty = packed.order.runs & packed.order.left_over() & 1 == 1;
        let mut channels = packed.channels.iter();
        for row in packed.rows() {
            ensure(!half_empty || row.ends_with(&[0, 0]), OpError::Constants)?;
            let magnitudes = row.as_chunks::<2>().0.iter().try_fold([0, 0], add_magnitudes)?;
            // The second channel's sum is taken from the upper 24 bits of the common one.
            ensure(magnitudes[1] < 1 << 16, OpError::Overflow)?;
            for magnitude in magnitudes {
                let channel = channels.next().ok_or(OpError::Constants)?;
                check_packed_channel(op, channel, magnitude)?;
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn run<K: Kernels>(op: &Conv2d, memory: Memory<'_>) -> Option<()> {
        let constants = Packed::find(memory.section, op)?;
        K::conv2d_packed(op, &constants, memory.shared_with(&op.input, &op.output, (op.scratch, scratch_len(op)))?);
        Some(())
    }
}
