//! A fully connected layer's record together with its constants in flash.

use super::params::DenseParams;
use super::{Channels, unpack};
use crate::format::{CHANNEL_LEN, DENSE_BLOCK_LEN, Dense, Layout};

/// Outputs, and inputs, of a block of packed weights.
pub const DENSE_BLOCK: usize = 4;

/// The parameters of a block's outputs are as long as so many blocks.
pub(crate) const ENTRIES_IN_BLOCKS: usize = const {
    assert!((DENSE_BLOCK * CHANNEL_LEN).is_multiple_of(DENSE_BLOCK_LEN));
    DENSE_BLOCK * CHANNEL_LEN / DENSE_BLOCK_LEN
};

/// Blocks of outputs; none for more outputs than there can be.
#[inline(always)]
pub(crate) const fn groups(outputs: usize) -> usize {
    outputs.wrapping_add(DENSE_BLOCK - 1) / DENSE_BLOCK
}

/// A fully connected layer with its constants.
#[derive(Clone, Copy, Debug)]
pub struct DenseLayer<'a> {
    /// Geometry and quantisation.
    pub op: &'a Dense,
    /// Weights in one of the layouts.
    pub weights: DenseWeights<'a>,
    /// One entry an output; where weights are packed, for a multiple of [`DENSE_BLOCK`] of outputs.
    pub channels: Channels<'a, DenseParams>,
}

/// The weights of a fully connected layer.
#[derive(Clone, Copy, Debug)]
pub enum DenseWeights<'a> {
    /// [`Layout::Plain`]: two's complement bytes, `[out][in]`.
    Plain(&'a [u8]),
    /// [`Layout::Packed`]: for each four outputs a block for each four inputs.
    Packed(&'a [[u8; DENSE_BLOCK_LEN]]),
}

impl<'a> DenseLayer<'a> {
    /// Finds the constants in the weights section; `None` when they lie outside or the layout is not one of this kind.
    #[must_use]
    pub fn new(op: &'a Dense, section: &'a [u8]) -> Option<Self> {
        match op.weights.layout {
            Layout::Plain => Self::plain(op, section),
            Layout::Packed => Self::packed(op, section),
            _ => None,
        }
    }

    /// Finds plain weights.
    #[inline(always)]
    pub(crate) fn plain(op: &'a Dense, section: &'a [u8]) -> Option<Self> {
        let outputs = op.output.channels as usize;
        let weights = DenseWeights::Plain(find(op, section, op.inputs().checked_mul(outputs)?)?);
        Some(Self { op, weights, channels: Channels::find(section, op.weights.channels, outputs)? })
    }

    /// Finds packed weights.
    #[inline(always)]
    pub(crate) fn packed(op: &'a Dense, section: &'a [u8]) -> Option<Self> {
        let (inputs, outputs) = (op.vector_len()?, op.output.channels as usize);
        if !inputs.is_multiple_of(DENSE_BLOCK) {
            return None;
        }
        let groups = groups(outputs);
        let blocks = (inputs / DENSE_BLOCK).checked_mul(groups).filter(|&blocks| blocks > 0)?;
        let weights = section.get(op.weights.weights as usize..)?.as_chunks().0.get(..blocks)?;
        let entries = section
            .get(op.weights.channels as usize..)?
            .as_chunks::<DENSE_BLOCK_LEN>()
            .0
            .get(..groups * ENTRIES_IN_BLOCKS)?;
        let (weights, channels) = (DenseWeights::Packed(weights), Channels::new(entries.as_flattened()));
        Some(Self { op, weights, channels })
    }

    /// The weight of an output for element `input` of a vector.
    #[must_use]
    pub fn weight(&self, output: usize, input: usize) -> i8 {
        let inputs = self.op.inputs();
        match self.weights {
            DenseWeights::Plain(weights) => weights.get(output * inputs + input).map_or(0, |&weight| weight as i8),
            DenseWeights::Packed(blocks) => {
                let block = blocks.get(output / DENSE_BLOCK * (inputs / DENSE_BLOCK) + input / DENSE_BLOCK);
                let halfwords = block.map_or(&[][..], |block| block.as_chunks::<2>().0);
                let at = dense_position(output % DENSE_BLOCK, input % DENSE_BLOCK);
                let (even, odd) = unpack(halfwords.get(at).copied().unwrap_or_default());
                if output.is_multiple_of(2) { even } else { odd as i8 }
            }
        }
    }
}

/// The weights' bytes, so many.
fn find<'a>(op: &Dense, section: &'a [u8], len: usize) -> Option<&'a [u8]> {
    let start = op.weights.weights as usize;
    section.get(start..start.checked_add(len)?)
}

/// The halfword of a block that holds the weight of an output for an input, both counted in the block: for both pairs of
/// outputs those of inputs 0, 2, 1 and 3.
#[must_use]
pub const fn dense_position(output: usize, input: usize) -> usize {
    output / 2 * 4 + (input & 1) * 2 + (input >> 1 & 1)
}
