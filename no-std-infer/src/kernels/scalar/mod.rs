//! Kernels for cores without vector instructions: Cortex-M0+ and M3, RISC-V.
//!
//! A convolution copies the patches of four output pixels into a panel and multiplies it with two output channels at a
//! time, in one of two ways ([`Block`]). Each has a loop in assembly for the core that it was made for, and a plain model,
//! which runs on every other target. Operators without a kernel of their own here run the generic one.

mod add;
mod conv;
mod depthwise;
mod patch;
mod requantise;
mod weights;

use core::cell::Cell;
use core::marker::PhantomData;
use core::ops::Range;

pub use self::patch::Patch;
pub use self::weights::Weights;
use super::{Kernels, Shared, generic};
use crate::operators::{Add, Conv2d, Packed, PackedDepthwise, Tables, Winograd};

/// Pixels of a panel.
pub const PIXELS: usize = 4;

/// Kernels for cores without vector instructions, with one of the ways to multiply a panel.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Scalar<B>(PhantomData<B>);

/// How the elements of four patches lie in a panel and are multiplied.
pub trait Block {
    /// What holds an element of one pixel, or of several.
    type Slot;
    /// Slots of each element of a patch.
    const SLOTS: usize;

    /// The slots in `panel`, which holds at least 8 bytes for each element of a patch; none when it is not aligned.
    fn slots(panel: &[Cell<i8>]) -> &[Cell<Self::Slot>];

    /// Puts the element of pixel `pixel` into its slot; pixels come in order.
    fn put(slot: &Cell<Self::Slot>, pixel: usize, value: i8);

    /// Puts a patch into the panel as that of pixel `pixel`.
    fn fill(patch: &Patch<'_>, slots: &[Cell<Self::Slot>], pixel: usize) {
        patch.put::<Self>(slots, pixel);
    }

    /// Multiplies a panel with pairs of output channels, and writes the int8 results of four pixels, `stride` bytes apart.
    /// Does nothing when the panel or the output is too short.
    fn multiply(slots: &[Cell<Self::Slot>], weights: &Weights<'_>, output: &[Cell<i8>], stride: usize);
}

impl<B: Block> Kernels for Scalar<B> {
    /// Each part would transform all weights back again.
    const DIVIDES_TRANSFORMED: bool = false;

    #[inline(always)]
    fn conv2d_packed(op: &Conv2d, constants: &Packed<'_>, views: Shared<'_, 1>) {
        conv::packed::<B>(op, constants, views);
    }

    #[inline(always)]
    fn conv2d_winograd(op: &Conv2d, constants: &Winograd<'_>, mut views: Shared<'_, 1>) {
        if conv::winograd::<B>(op, constants, &mut views).is_none() {
            generic::winograd::conv2d(op, constants, views);
        }
    }

    #[inline(always)]
    fn depthwise_conv2d_packed(
        op: &Conv2d,
        constants: &PackedDepthwise<'_>,
        views: Shared<'_, 1>,
        channels: Range<usize>,
    ) {
        depthwise::depthwise_conv2d(op, constants, views, channels);
    }

    #[inline(always)]
    fn add_tables(op: &Add, tables: Tables<'_>, views: Shared<'_, 2>) {
        add::add(op, tables, views);
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::Arena;
    use crate::fixed::{Multiplier, clamp_i8};
    use crate::kernels::arch::{armv6m::Paired, armv7m::Single};
    use crate::operators::{ChannelParams, Channels, OutputParams, PackedParams};

    const PAIRS: usize = 40;

    /// Values with many at the ends of their range.
    fn values(len: usize) -> impl Strategy<Value = Vec<i8>> {
        prop::collection::vec(prop_oneof![Just(i8::MIN), Just(i8::MAX), any::<i8>()], len)
    }

    /// The results of a panel that is filled pixel by pixel, both channels for each pixel.
    fn results<B: Block>(pixels: &[Vec<i8>], words: &[u8], channels: &[u8]) -> Vec<i8> {
        let mut panel = Arena::<{ PAIRS * 16 }>::new();
        let slots = &B::slots(Cell::from_mut(&mut panel[..]).as_slice_of_cells())[..pixels[0].len() * B::SLOTS];
        for (pixel, values) in pixels.iter().enumerate() {
            for (element, &value) in values.iter().enumerate() {
                B::put(&slots[element * B::SLOTS + pixel * B::SLOTS / PIXELS], pixel, value);
            }
        }
        let mut output = std::vec![0; 2 * PIXELS];
        let weights = Weights {
            pairs: pixels[0].len() / 2,
            words,
            channels: Channels::find(channels, 0, 2).expect("there are two"),
        };
        B::multiply(slots, &weights, Cell::from_mut(&mut output[..]).as_slice_of_cells(), 2);
        output
    }

    proptest! {
        #[test]
        fn both_blocks_give_the_sums_of_products(
            (pixels, [first, mut second]) in (1..=PAIRS).prop_flat_map(|pairs| {
                (prop::collection::vec(values(pairs * 2), PIXELS), [values(pairs * 2), values(pairs * 2)])
            }),
            shift in 1..=22_i8,
            mantissa in 1 << 30..=i32::MAX,
        ) {
            // Together with a negative weight, -128 leaves the halfword, and no blob may hold it.
            second.iter_mut().zip(&first).filter(|(_, a)| **a < 0).for_each(|(b, _)| *b = (*b).max(-127));
            let halfwords = first.iter().zip(&second).map(|(&a, &b)| i16::from(a).wrapping_add(i16::from(b) << 8));
            let words: Vec<u8> = halfwords.flat_map(i16::to_le_bytes).collect();
            let plain = ChannelParams { bias: -5, multiplier: Multiplier { mantissa, shift: -shift } };
            let parameters = PackedParams::new(plain, 3).expect("the shift is in range").to_bytes().repeat(2);
            let expected: Vec<i8> = pixels.iter().flat_map(|values| [&first, &second].map(|weights| {
                let products = values.iter().zip(weights).map(|(&value, &weight)| i32::from(value) * i32::from(weight));
                clamp_i8(plain.scale(products.sum::<i32>() - 5) + 3, i8::MIN, i8::MAX)
            })).collect();
            prop_assert_eq!(results::<Single>(&pixels, &words, &parameters), &expected[..]);
            prop_assert_eq!(results::<Paired>(&pixels, &words, &parameters), &expected[..]);
        }
    }
}
