//! The matrix product: a panel of four pixels times packed weights, requantised.
#![allow(unsafe_code)]

use core::cell::Cell;
use core::ops::Range;

use crate::bounded::Bounded;
use crate::format::PACKED_CHANNEL_LEN;
use crate::operators::Packed;

/// Bytes of the parameters of a pair of output channels.
const ROW_LEN: usize = 2 * PACKED_CHANNEL_LEN;

#[cfg(nsi_armv7em)]
#[repr(C)]
pub(super) struct Arguments {
    pub(super) panel: *const i8,
    pub(super) panel_end: *const i8,
    words: *const u8,
    channels: *const u8,
    channels_end: *const u8,
    pub(super) output: *mut i8,
    pixel_stride: usize,
    entry: usize,
    floor: usize,
}

#[cfg(nsi_armv7em)]
crate::kernels::arch::assembly! {
    pub(super) fn no_std_infer_gemm(arguments: *const Arguments);
    fn no_std_infer_gemm_one(arguments: *const Arguments);
}

#[cfg(all(nsi_armv7em, target_abi = "eabihf"))]
crate::kernels::arch::assembly! {
    pub(super) fn no_std_infer_gemm_groups(arguments: *const Arguments);
}

/// A panel and the weights that it is multiplied with.
pub struct Gemm<'a> {
    panel: &'a [Cell<i8>],
    /// Pairs of elements of a patch.
    pairs: usize,
    /// Pairs of output channels.
    rows: usize,
    /// For each pair of output channels, a word for each pair of elements.
    words: &'a [u8],
    /// For each pair of output channels, the parameters of both.
    channels: &'a [u8],
    /// True where the output's zero point is the least value, so that the shorter requantisation will do.
    #[cfg(nsi_armv7em)]
    floor: bool,
}

impl<'a> Gemm<'a> {
    /// `None` when there are no weights, or panel or weights are too short or not aligned to 4 bytes. `zero_point` is the output's.
    #[cfg_attr(not(nsi_armv7em), allow(unused_variables, reason = "the model has one requantisation for all"))]
    pub fn new(panel: &'a [Cell<i8>], packed: &Packed<'a>, zero_point: i8) -> Option<Self> {
        let (pairs, words, channels) = (packed.order.pairs(), packed.words, packed.channels.bytes());
        let rows = channels.len() / ROW_LEN;
        let addresses = panel.as_ptr() as usize | words.as_ptr() as usize | channels.as_ptr() as usize;
        let enough = panel.len() >= pairs.times(16) && words.len() >= rows.times(pairs).times(4);
        let whole = pairs > 0 && enough && addresses.is_multiple_of(4);
        whole.then_some(Self {
            panel,
            pairs,
            rows,
            words,
            channels,
            #[cfg(nsi_armv7em)]
            floor: zero_point == i8::MIN,
        })
    }

    /// The panel: pair by pair of a patch, the pairs of four pixels.
    pub fn panel(&self) -> &'a [Cell<i8>] {
        self.panel
    }

    /// Multiplies the panel with pairs `rows` of output channels, and writes the int8 results of four pixels,
    /// `pixel_stride` bytes apart. Does nothing when there are no such rows or the output is too short.
    pub fn multiply(&self, rows: Range<usize>, output: &[Cell<i8>], pixel_stride: usize) {
        let enough = output.len() >= pixel_stride.times(3).plus(rows.len().times(2));
        if rows.is_empty() || rows.end > self.rows || !enough {
            return;
        }
        #[cfg(nsi_armv7em)]
        // SAFETY: the output is long enough, as checked above.
        unsafe {
            no_std_infer_gemm(&self.arguments(rows, output.as_ptr().cast_mut().cast(), pixel_stride));
        }
        #[cfg(not(nsi_armv7em))]
        self.model(rows, output, pixel_stride, 4);
    }

    /// Multiplies the panel's first pixel with pairs `rows` of output channels, and writes the int8 results. Does
    /// nothing when there are no such rows or the output is too short.
    pub fn multiply_one(&self, rows: Range<usize>, output: &[Cell<i8>]) {
        if rows.is_empty() || rows.end > self.rows || output.len() < rows.len().times(2) {
            return;
        }
        #[cfg(nsi_armv7em)]
        // SAFETY: it reads no more than `no_std_infer_gemm` and writes two bytes a row one after the other, inside the
        // output, as checked above. It keeps the calling convention.
        unsafe {
            no_std_infer_gemm_one(&self.arguments(rows, output.as_ptr().cast_mut().cast(), 0));
        }
        #[cfg(not(nsi_armv7em))]
        self.model(rows, output, 0, 1);
    }

    /// The arguments of `no_std_infer_gemm`, which keeps the calling convention. It reads `pairs` groups of 16 bytes from
    /// the panel and for each of `rows` `pairs` words and 32 bytes of parameters, all of which lie inside the slices when
    /// there are such rows; every address of a word is a multiple of 4. It writes two bytes a row, without
    /// alignment, at four places `pixel_stride` apart: that they are inside the output is up to the caller. Besides
    /// memory it changes floating-point registers that a function may change.
    #[cfg(nsi_armv7em)]
    pub(super) fn arguments(&self, rows: Range<usize>, output: *mut i8, pixel_stride: usize) -> Arguments {
        let panel = self.panel.as_ptr().cast::<i8>();
        Arguments {
            panel,
            panel_end: panel.wrapping_add(self.pairs.times(16)),
            words: self.words.as_ptr().wrapping_add(rows.start.times(self.pairs).times(4)),
            channels: self.channels.as_ptr().wrapping_add(rows.start.times(ROW_LEN)),
            channels_end: self.channels.as_ptr().wrapping_add(rows.end.times(ROW_LEN)),
            output,
            pixel_stride,
            entry: if self.pairs == 1 { 16 } else { 1_usize.wrapping_sub(self.pairs) % 16 },
            floor: self.floor.into(),
        }
    }

    /// Pairs of elements of a patch.
    #[cfg(all(nsi_armv7em, target_abi = "eabihf"))]
    pub(super) fn pairs(&self) -> usize {
        self.pairs
    }

    /// Pairs of output channels.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    #[cfg(not(nsi_armv7em))]
    fn model(&self, rows: Range<usize>, output: &[Cell<i8>], pixel_stride: usize, pixels: usize) {
        use super::insn::{requantise, smlad, sxtb16};
        use crate::operators::{OutputParams, PackedParams};

        let all = self.words.chunks_exact(self.pairs * 4).zip(self.channels.chunks_exact(ROW_LEN));
        for (index, (row, channels)) in all.skip(rows.start).take(rows.len()).enumerate() {
            let (mut first, mut both) = ([0; 4], [0; 4]);
            for (&weight, pixels) in row.as_chunks::<4>().0.iter().zip(self.panel.as_chunks::<16>().0) {
                let weight = u32::from_le_bytes(weight);
                for (pixel, pair) in pixels.as_chunks::<4>().0.iter().enumerate() {
                    let pair = u32::from_le_bytes(pair.each_ref().map(|byte| byte.get() as u8));
                    both[pixel] = smlad(weight, pair, both[pixel]);
                    first[pixel] = smlad(sxtb16(weight), pair, first[pixel]);
                }
            }
            for pixel in 0..pixels {
                let doubled = [first[pixel] << 1, both[pixel].wrapping_sub(first[pixel]) >> 7];
                for (channel, doubled) in doubled.into_iter().enumerate() {
                    let p = PackedParams::from_bytes(&channels[channel * PACKED_CHANNEL_LEN..]);
                    let doubled = doubled.wrapping_add(p.doubled_bias);
                    let result = requantise(doubled, p.mantissa, p.rounding, p.shift);
                    output[pixel * pixel_stride + index * 2 + channel].set(result);
                }
            }
        }
    }
}
