//! Fully connected layers.

use super::check::{add_magnitudes, check_activation, check_magnitude, check_rows, check_weights, ensure};
use super::params::{DenseParams, OutputParams};
use super::record::{Field, Record, record};
use super::{Activation, Channels, Code, Operator, Weights};
use crate::bounded::Bounded;
use crate::error::OpError;
use crate::format::{CHANNEL_LEN, DENSE_BLOCK_LEN, Tensor};
use crate::kernels::{Kernels, Memory};

record! {
    /// Parameters of [`Op::Dense`](super::Op::Dense).
    ///
    /// The input is taken as as many vectors as the output has pixels, each multiplied with the same weights; for an output
    /// of 1 x 1 the whole input is one vector.
    pub struct Dense: [input] => output {
        /// Input, taken as vectors in HWC order.
        pub input: Tensor,
        /// Output.
        pub output: Tensor,
        /// Constants.
        pub weights: Weights,
        /// Fused clamp.
        pub activation: Activation,
    }
}

impl Dense {
    /// Length of each vector that is multiplied; 0 when there is none.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.vector_len().unwrap_or(0)
    }

    /// Length of each vector that is multiplied; `None` when there is none.
    #[inline(always)]
    pub(crate) fn vector_len(&self) -> Option<usize> {
        let vectors = usize::from(self.output.height) * usize::from(self.output.width);
        self.input.len().checked_div(vectors)
    }
}

/// Where a record says how a fully connected layer's constants lie in flash.
const LAYOUT_AT: usize = 1 + 2 * Tensor::LEN;

/// What tells a fully connected layer's kernel: its layout's byte.
pub(super) const fn layout(record: &Record) -> u8 {
    record[LAYOUT_AT]
}

impl Operator for Dense {
    type Params = Self;

    fn weights(op: &Self) -> u32 {
        op.output.channels.saturating_mul(op.inputs() as u32)
    }

    fn parts(_: &Self) -> u16 {
        1
    }
}

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

/// Plain weights of a fully connected layer.
#[derive(Clone, Copy, Debug)]
pub struct DensePlain<'a> {
    /// Two's complement bytes, `[out][in]`.
    pub weights: &'a [u8],
    /// One entry an output.
    pub channels: Channels<'a, DenseParams>,
}

impl<'a> DensePlain<'a> {
    /// Finds the constants in the weights section; `None` when they lie outside.
    #[inline(always)]
    #[must_use]
    pub fn find(op: &Dense, section: &'a [u8]) -> Option<Self> {
        let (start, outputs) = (op.weights.weights as usize, op.output.channels as usize);
        let weights = section.get(start..start.checked_add(op.inputs().checked_mul(outputs)?)?)?;
        Some(Self { weights, channels: Channels::find(section, op.weights.channels, outputs)? })
    }
}

/// Packed weights of a fully connected layer.
#[derive(Clone, Copy, Debug)]
pub struct DensePacked<'a> {
    /// For each four outputs a block for each four inputs.
    pub blocks: &'a [[u8; DENSE_BLOCK_LEN]],
    /// One entry an output, for a multiple of [`DENSE_BLOCK`] of outputs, in pieces as long as a block.
    pub entries: &'a [[u8; DENSE_BLOCK_LEN]],
}

impl<'a> DensePacked<'a> {
    /// The entries.
    #[inline(always)]
    #[must_use]
    pub fn channels(&self) -> Channels<'a, DenseParams> {
        Channels::new(self.entries.as_flattened())
    }

    /// Finds the constants in the weights section; `None` when they lie outside or the vectors' length does not allow packing.
    #[inline(always)]
    #[must_use]
    pub fn find(op: &Dense, section: &'a [u8]) -> Option<Self> {
        let (inputs, outputs) = (op.vector_len()?, op.output.channels as usize);
        if !inputs.is_multiple_of(DENSE_BLOCK) {
            return None;
        }
        let groups = groups(outputs);
        let blocks = (inputs / DENSE_BLOCK).checked_mul(groups).filter(|&blocks| blocks > 0)?;
        let weights = section.get(op.weights.weights as usize..)?.as_chunks().0.get(..blocks)?;
        let entries = section.get(op.weights.channels as usize..)?.as_chunks().0.get(..groups * ENTRIES_IN_BLOCKS)?;
        Some(Self { blocks: weights, entries })
    }
}

/// The halfword of a block that holds the weight of an output for an input, both counted in the block: for both pairs of
/// outputs those of inputs 0, 2, 1 and 3.
#[must_use]
pub const fn dense_position(output: usize, input: usize) -> usize {
    output / 2 * 4 + (input & 1) * 2 + (input >> 1 & 1)
}

/// With plain weights.
pub(super) struct Product;

impl Code for Product {
    type Operator = Dense;

    fn check(op: &Dense, section: &[u8]) -> Result<(), OpError> {
        check_dense(op)?;
        let DensePlain { weights, channels } = DensePlain::find(op, section).ok_or(OpError::Constants)?;
        check_weights(op.weights, channels)?;
        check_rows(weights, op.inputs(), channels)
    }

    #[inline(always)]
    fn run<K: Kernels>(op: &Dense, memory: Memory<'_>) -> Option<()> {
        let constants = DensePlain::find(op, memory.section)?;
        K::dense(op, &constants, memory.whole(&op.input, &op.output)?);
        Some(())
    }
}

/// With packed weights.
pub(super) struct PackedProduct;

impl Code for PackedProduct {
    type Operator = Dense;

    /// Proves that packed weights are those of int8 weights, and that no sum leaves i32.
    fn check(op: &Dense, section: &[u8]) -> Result<(), OpError> {
        check_dense(op)?;
        let constants = DensePacked::find(op, section).ok_or(OpError::Constants)?;
        check_weights(op.weights, constants.channels())?;
        ensure(op.weights.weights.is_multiple_of(4), OpError::Constants)?;
        ensure(op.activation == Activation::NONE, OpError::Activation)?;
        let mut channels = constants.channels().iter();
        for row in constants.blocks.chunks_exact((op.inputs() / DENSE_BLOCK).max(1)) {
            for pair in 0..DENSE_BLOCK / 2 {
                let halves = row.iter().filter_map(|block| block.as_chunks::<8>().0.get(pair));
                let magnitudes = halves.flat_map(|half| half.as_chunks::<2>().0).try_fold([0, 0], add_magnitudes)?;
                for (magnitude, channel) in magnitudes.into_iter().zip(&mut channels) {
                    check_magnitude(channel.bias(), magnitude.into())?;
                }
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn run<K: Kernels>(op: &Dense, memory: Memory<'_>) -> Option<()> {
        let constants = DensePacked::find(op, memory.section)?;
        K::dense_packed(op, &constants, memory.whole(&op.input, &op.output)?);
        Some(())
    }
}

/// What must hold of any fully connected layer.
fn check_dense(op: &Dense) -> Result<(), OpError> {
    let vectors = usize::from(op.output.height) * usize::from(op.output.width);
    ensure(op.inputs() > 0 && op.inputs().times(vectors) == op.input.len(), OpError::Shape)?;
    check_activation(op.activation)
}
