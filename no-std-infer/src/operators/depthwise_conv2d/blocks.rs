//! The geometry of a 3x3 depthwise convolution with plain weights: 16 channels at a time lie in scratch, column by column, four
//! neighbouring rows of each channel in a word.

use crate::bounded::Bounded;
use crate::operators::{Conv2d, rounded};

/// Blocks of four input rows: those under two output rows, or with stride 2 under one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// Columns of a block: those under the outputs, borders included, and what a kernel reads ahead.
    pub columns: usize,
    /// Blocks that are worked on at a time, an even number.
    pub count: usize,
}

impl Blocks {
    /// Channels that are taken together.
    pub const CHANNELS: usize = 16;
    /// Bytes of a column.
    pub const COLUMN: usize = 4 * Self::CHANNELS;
    /// Bytes of the weights of 16 channels, 16 each, behind a vector of zeros.
    pub const TAPS_LEN: usize = 17 * Self::CHANNELS;
    /// Bytes of blocks, where two take no more: more blocks at a time save a few instructions for each channel.
    const USUAL: usize = 9 << 10;

    /// Those of a convolution; `None` where its window is none that kernels take by blocks.
    #[must_use]
    pub fn new(op: &Conv2d) -> Option<Self> {
        if !op.window.is_packable_depthwise() || op.input.channels != op.output.channels {
            return None;
        }
        let (pairs, height) = (usize::from(op.output.width).div_ceil(2), usize::from(op.output.height));
        let stride_1 = op.window.stride_w == 1;
        let columns = if stride_1 { pairs.times(2).plus(4) } else { pairs.times(4).plus(6) };
        let all = if stride_1 { height.div_ceil(2) } else { height }.div_ceil(2).times(2);
        let fit = Self::USUAL.checked_div(columns.times(Self::COLUMN))? & !1;
        Some(Self { columns, count: fit.max(2).min(all) })
    }

    /// Bytes of a block.
    #[must_use]
    pub fn len(self) -> usize {
        self.columns.times(Self::COLUMN)
    }

    /// Bytes of scratch: a vector of padding, weights and blocks; 0 where there are no blocks.
    pub(super) fn scratch_len(op: &Conv2d) -> usize {
        Self::new(op)
            .map_or(0, |blocks| rounded(blocks.count.times(blocks.len()).plus(Self::CHANNELS + Self::TAPS_LEN)))
    }
}
