//! Patches of four output pixels side by side, in vectors of 16 bytes.

use super::Conv2d;
use super::order::PatchOrder;
use super::packed::Strip;
use crate::operators::rounded;

/// How a convolution with plain weights works on four output pixels at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patches {
    /// The patch of a pixel.
    pub order: PatchOrder,
    /// Vectors of 16 bytes that a patch takes; the last one is filled up with zeros.
    pub vectors: usize,
}

impl Patches {
    /// Bytes of a vector.
    pub const VECTOR: usize = 16;

    /// A convolution's.
    #[must_use]
    pub const fn new(op: &Conv2d) -> Self {
        let order = PatchOrder::conv2d(op);
        Self { order, vectors: order.len().div_ceil(Self::VECTOR) }
    }

    /// Bytes of four patches.
    #[must_use]
    pub const fn panel_len(self) -> usize {
        self.vectors.saturating_mul(4 * Self::VECTOR)
    }

    /// Bytes in which a patch is put together whose runs are no whole vectors, and a vector more, which the last run may
    /// touch; 0 where runs are whole vectors.
    #[must_use]
    pub const fn line_len(self) -> usize {
        if self.order.run.is_multiple_of(Self::VECTOR) { 0 } else { self.vectors.saturating_add(1).saturating_mul(16) }
    }

    /// Bytes of scratch: a panel, a line and a strip.
    pub(super) fn scratch_len(self, op: &Conv2d) -> usize {
        rounded(self.panel_len().saturating_add(self.line_len()).saturating_add(Strip::new(op).len()))
    }
}
