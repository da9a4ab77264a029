//! Weights that are transformed for F(2x2, 3x3): Winograd's convolution in integers, with four products in place of nine.
//!
//! With the weights `g` of two channels, `U = G · g · Gᵀ`, where `G` holds integers, twice those of the usual form. Of
//! 4 x 4 inputs `d`, `V = Bᵀ · d · B`; the sum `M` of all input channels' products `U · V`, element by element, gives
//! four times the 2 x 2 sums of products: `Aᵀ · M · A`. Nothing is rounded:
//!
//! * |U| ≤ 9 · 128 and |V| ≤ 4 · 128 fit 16 bits whatever the weights and the inputs.
//! * Sums may wrap in 32 bits until `R = M · A`, a row of which is twice a sum of products of `G · g` and `Bᵀ · d`; it
//!   is below 2 · 3 · 384 · 256 times the number of input channels, and 2^31 for up to [`CHANNELS_MAX`] of them. Its halves
//!   then wrap until twice the sum with its bias, which is below 2^31 as in every packed layer.

use super::params::PackedParams;
use super::{Channels, Strip};
use crate::format::{Activation, Conv2d};

/// Most input channels of a transformed layer.
pub const CHANNELS_MAX: u32 = 64;

/// Output columns that are computed together: four tiles side by side.
pub(crate) const COLUMNS: usize = 8;

/// The weights of one output and one input channel, transformed.
pub type Block = [[i16; 4]; 4];

/// `U = G · g · Gᵀ`.
#[must_use]
pub fn transform(weights: [[i8; 3]; 3]) -> Block {
    let spread = |[a, b, c]: [i16; 3]| [2 * a, a + b + c, a - b + c, 2 * c];
    let [p, q, r] = weights.map(|row| spread(row.map(i16::from)));
    let columns = [[p[0], q[0], r[0]], [p[1], q[1], r[1]], [p[2], q[2], r[2]], [p[3], q[3], r[3]]];
    let [a, b, c, d] = columns.map(spread);
    [[a[0], b[0], c[0], d[0]], [a[1], b[1], c[1], d[1]], [a[2], b[2], c[2], d[2]], [a[3], b[3], c[3], d[3]]]
}

/// The weights whose transform is `block`, if it is one of int8 weights.
fn recover(block: Block) -> [[i8; 3]; 3] {
    let gather = |[a, b, c, d]: [i32; 4]| [a, b - c, d];
    let [p, q, r, s] = block.map(|row| gather(row.map(i32::from)));
    let columns = [[p[0], q[0], r[0], s[0]], [p[1], q[1], r[1], s[1]], [p[2], q[2], r[2], s[2]]];
    let [a, b, c] = columns.map(|column| gather(column).map(|sum| (sum >> 2) as i8));
    [[a[0], b[0], c[0]], [a[1], b[1], c[1]], [a[2], b[2], c[2]]]
}

/// The constants of a transformed layer.
#[derive(Clone, Copy, Debug)]
pub struct Winograd<'a> {
    /// Groups of four input channels; what is missing in the last has weights of 0.
    pub quads: usize,
    /// For each pair of output channels, for each element of a block, for each group, for input channels 0 and 2 and then 1
    /// and 3, for both output channels: two elements. A block's rows follow one another, each with its columns 2, 1, 0 and
    /// then 3, negated.
    pub words: &'a [u8],
    /// One entry an output channel.
    pub channels: Channels<'a, PackedParams>,
}

impl<'a> Winograd<'a> {
    /// Bytes of a pair of output channels.
    #[must_use]
    pub const fn row_len(op: &Conv2d) -> usize {
        quads(op) * 256
    }

    /// Finds the constants in the weights section; `None` when they lie outside or the layer is not one of this kind.
    pub(super) fn find(section: &'a [u8], op: &Conv2d) -> Option<Self> {
        let outputs = op.output.channels as usize;
        let (start, quads) = (op.weights.weights as usize, quads(op));
        let len = if is_possible(op) { Self::row_len(op).checked_mul(outputs / 2)? } else { return None };
        let words = section.get(start..start.checked_add(len)?)?;
        Some(Self { quads, words, channels: Channels::find(section, op.weights.channels, outputs)? })
    }

    /// Where the block of an output and an input channel starts, and from there to the next element: in halfwords.
    fn position(quads: usize, output: usize, input: usize) -> (usize, usize) {
        let step = (output / 2 * 16 * quads + input / 4) * 2 + (input & 1);
        ((step * 2 + (output & 1)) * 2 + (input >> 1 & 1), quads * 8)
    }

    /// The block of an output and an input channel.
    #[must_use]
    pub fn block(&self, output: usize, input: usize) -> Block {
        let (start, stride) = Self::position(self.quads, output, input);
        let elements = self.words.as_chunks::<2>().0.get(start..).unwrap_or_default().iter();
        let mut elements = elements.step_by(stride.max(1)).map(|&bytes| i16::from_le_bytes(bytes));
        let mut next = || elements.next().unwrap_or(0);
        [(); 4].map(|()| {
            let [c, b, a, d] = [next(), next(), next(), next()];
            [a, b, c, d.wrapping_neg()]
        })
    }

    /// The weights of an output and an input channel.
    #[must_use]
    pub fn weights(&self, output: usize, input: usize) -> [[i8; 3]; 3] {
        recover(self.block(output, input))
    }

    /// The same, once it is proved that the block is exactly their transform.
    pub(super) fn proved_weights(&self, output: usize, input: usize) -> Option<[[i8; 3]; 3]> {
        let block = self.block(output, input);
        let weights = recover(block);
        (transform(weights) == block).then_some(weights)
    }
}

/// Writes [`Winograd::words`], of as many pairs of output channels as there is room for; `weights` gives those of an
/// output and an input channel, and zeros beyond the last.
pub fn write_words(op: &Conv2d, words: &mut [u8], weights: impl Fn(usize, usize) -> [[i8; 3]; 3]) {
    let outputs = words.len().checked_div(Winograd::row_len(op)).unwrap_or(0) * 2;
    let halfwords = words.as_chunks_mut::<2>().0;
    for (output, input) in (0..outputs).flat_map(|output| (0..quads(op) * 4).map(move |input| (output, input))) {
        let (start, stride) = Winograd::position(quads(op), output, input);
        let slots = halfwords.get_mut(start..).unwrap_or_default().iter_mut().step_by(stride.max(1));
        let elements = transform(weights(output, input)).map(|[a, b, c, d]| [c, b, a, -d]);
        slots.zip(elements.as_flattened()).for_each(|(slot, element)| *slot = element.to_le_bytes());
    }
}

/// True when a convolution's shape allows [`Layout::Winograd2x2`](crate::format::Layout::Winograd2x2).
#[must_use]
pub fn is_possible(op: &Conv2d) -> bool {
    let (w, inputs) = (&op.window, op.input.channels);
    let kernel = w.kernel_h == 3 && w.kernel_w == 3 && w.stride_h == 1 && w.stride_w == 1;
    let dense = w.dilation_h == 1 && w.dilation_w == 1 && op.activation == Activation::NONE;
    let channels = inputs == 3 || (inputs.is_multiple_of(4) && inputs <= CHANNELS_MAX);
    kernel && dense && channels && op.output.channels.is_multiple_of(2)
}

/// Groups of four input channels.
const fn quads(op: &Conv2d) -> usize {
    op.input.channels.div_ceil(4) as usize
}

/// Bytes of scratch: a panel of 16 elements of four tiles, what becomes it, and four rows of the input.
pub(crate) fn scratch_len(op: &Conv2d) -> usize {
    let tiles = quads(op).saturating_mul(PANEL_LEN + COLUMNS_LEN);
    tiles.saturating_add(strip(op).len()).checked_next_multiple_of(16).unwrap_or(usize::MAX)
}

/// Bytes of the panel for a group of four input channels.
pub(crate) const PANEL_LEN: usize = 2 * 16 * 16;
/// Bytes of a group's columns, transformed vertically.
pub(crate) const COLUMNS_LEN: usize = 2 * 4 * (COLUMNS + 2) * 4;

/// The four rows of the input under two output rows. A column is read four channels at a time, beyond its end if it has
/// three.
pub(crate) fn strip(op: &Conv2d) -> Strip {
    let columns = usize::from(op.output.width).next_multiple_of(COLUMNS) + 2;
    let pitch = columns.saturating_mul(op.input.channels as usize).saturating_add(op.input.channels as usize % 4);
    Strip { rows: 4, pitch: pitch.checked_next_multiple_of(4).unwrap_or(usize::MAX) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn weights_are_recovered_from_their_transform(weights: [[i8; 3]; 3]) {
            let block = transform(weights);
            prop_assert_eq!(recover(block), weights);
            prop_assert!(block.as_flattened().iter().all(|value| value.abs() <= 9 * 128));
        }

        #[test]
        fn a_block_with_one_element_changed_is_no_transform(weights: [[i8; 3]; 3], at in 0..16_usize, change: i16) {
            let mut block = transform(weights);
            block[at / 4][at % 4] = block[at / 4][at % 4].wrapping_add(change);
            prop_assert_eq!(transform(recover(block)) == block, change == 0);
        }
    }
}
