//! Products of transformed tiles and weights, transformed back and requantised.
#![allow(unsafe_code)]

use core::cell::Cell;
use core::ops::Range;

use super::Loops;
use crate::bounded::Bounded;
use crate::format::PACKED_CHANNEL_LEN;
use crate::operators::winograd::{COLUMNS, panel_len, row_len};
use crate::operators::{Form, Winograd};

/// Bytes of the parameters of a pair of output channels.
const PARAMETERS_LEN: usize = 2 * PACKED_CHANNEL_LEN;

#[cfg(nsi_armv7em)]
#[repr(C)]
pub struct Arguments {
    panel: *const i8,
    skipped: usize,
    words: *const u8,
    channels: *const u8,
    channels_end: *const u8,
    output: *mut i8,
    pixel_stride: usize,
    row_stride: usize,
    panel_end: *const i8,
    second_output: *mut i8,
}

#[cfg(nsi_armv7em)]
crate::kernels::arch::assembly! {
    pub fn no_std_infer_product_2x2(arguments: *const Arguments);
    pub fn no_std_infer_product_4x4(arguments: *const Arguments);
    pub fn no_std_infer_product_stride_2(arguments: *const Arguments);
}

/// Where the results of [`COLUMNS`] neighbouring columns go: the first row of a tile's and those below it.
pub type Target<'a> = &'a [Cell<i8>];

/// A panel of tiles and the weights that it is multiplied with.
pub struct Product<'a> {
    /// How.
    loops: Loops,
    quads: usize,
    panel: &'a [Cell<i8>],
    words: &'a [u8],
    channels: &'a [u8],
}

impl<'a> Product<'a> {
    /// `None` when there are no weights, or too many input channels, or the panel or the words are too short, or something is
    /// not aligned to 4 bytes.
    pub fn new(loops: Loops, winograd: &Winograd<'a>, panel: &'a [Cell<i8>]) -> Option<Self> {
        let (form, &Winograd { quads, words, channels, .. }) = (loops.form, winograd);
        let channels = channels.bytes();
        let addresses = words.as_ptr() as usize | channels.as_ptr() as usize | panel.as_ptr() as usize;
        let enough = words.len() >= (channels.len() / PARAMETERS_LEN).times(row_len(form, quads));
        let enough = enough && panel.len() >= panel_len(form, quads) && addresses.is_multiple_of(4);
        let few = (1..=form.channels_max() as usize / 4).contains(&quads);
        (few && enough).then_some(Self { loops, quads, panel, words, channels })
    }

    /// The transform.
    pub fn form(&self) -> Form {
        self.loops.form
    }

    /// Multiplies the panel's tiles with pairs `rows` of output channels, and writes the int8 results to the targets: for F(4x4)
    /// two, of two tiles each; otherwise the first. `strides` are bytes from row to row and from pixel to pixel. Does nothing
    /// and returns false when there are no such rows or a target is too short.
    pub fn multiply(&self, rows: Range<usize>, targets: [Target<'_>; 2], strides: [usize; 2]) -> bool {
        let [row_stride, pixel_stride] = strides;
        let form = self.loops.form;
        let large = form == Form::F4x4;
        let last = row_stride.times(if large { 3 } else { 1 }).plus(pixel_stride.times(COLUMNS - 1));
        let needed = last.plus(rows.len().times(2));
        let rows_fit = rows.start < rows.end && rows.end <= self.channels.len() / PARAMETERS_LEN;
        let [first, second] = targets;
        if !rows_fit || first.len() < needed || (large && second.len() < needed) {
            return false;
        }
        #[cfg(nsi_armv7em)]
        // SAFETY: the loops keep the calling convention, and this is the one of `form`. They read `panel_len` bytes of
        // the panel and for each of `rows` `row_len` bytes of words and `PARAMETERS_LEN` of parameters, which the
        // slices hold, in words at multiples of 4; the number of steps, twice `quads`, is at least 2 and at most half
        // of `channels_max`. They write two bytes a row for each pixel of the targets that are used, the furthest at
        // `last`, inside the target. Through the cells nobody else reads or writes meanwhile.
        unsafe {
            let quads = self.quads;
            let [output, second_output] = targets.map(|target| target.as_ptr().cast_mut().cast());
            let panel: *const i8 = self.panel.as_ptr().cast();
            let arguments = Arguments {
                panel,
                skipped: (form.channels_max() as usize / 2).minus(quads.times(2)),
                words: self.words.as_ptr().wrapping_add(rows.start.times(row_len(form, quads))),
                channels: self.channels.as_ptr().wrapping_add(rows.start.times(PARAMETERS_LEN)),
                channels_end: self.channels.as_ptr().wrapping_add(rows.end.times(PARAMETERS_LEN)),
                output,
                pixel_stride,
                row_stride,
                panel_end: panel.wrapping_add(panel_len(form, quads)),
                second_output,
            };
            (self.loops.product)(&arguments);
        }
        #[cfg(not(nsi_armv7em))]
        self.model(rows, targets, strides);
        true
    }

    #[cfg(not(nsi_armv7em))]
    fn model(&self, rows: Range<usize>, targets: [Target<'_>; 2], [row_stride, pixel_stride]: [usize; 2]) {
        use super::super::insn::requantise;
        use super::model::outputs;
        use crate::operators::winograd::TILES;
        use crate::operators::{OutputParams, PackedParams};

        let (form, side, tile_side) = (self.loops.form, self.loops.form.side(), self.loops.form.tile());
        let all = self.words.chunks_exact(row_len(form, self.quads)).zip(self.channels.chunks_exact(PARAMETERS_LEN));
        for (index, (words, parameters)) in all.skip(rows.start).take(rows.len()).enumerate() {
            for (channel, tile) in (0..2).flat_map(|channel| (0..TILES).map(move |tile| (channel, tile))) {
                let p = PackedParams::from_bytes(&parameters[channel * PACKED_CHANNEL_LEN..]);
                let mut sums = [[0; 6]; 6];
                for element in 0..form.elements() {
                    sums[element / side][element % side] = self.element_sum(words, [element, channel, tile]);
                }
                for (y, row) in outputs(form, sums).into_iter().enumerate().take(tile_side) {
                    for (x, doubled) in row.into_iter().enumerate().take(tile_side) {
                        let column = tile * tile_side % COLUMNS + x;
                        let at = y * row_stride + column * pixel_stride + index * 2 + channel;
                        let doubled = doubled.wrapping_add(p.doubled_bias);
                        targets[tile * tile_side / COLUMNS][at]
                            .set(requantise(doubled, p.mantissa, p.rounding, p.shift));
                    }
                }
            }
        }
    }

    /// The sum of an element's products over all input channels.
    #[cfg(not(nsi_armv7em))]
    fn element_sum(&self, words: &[u8], [element, channel, tile]: [usize; 3]) -> i32 {
        let steps = element * 2 * self.quads..(element + 1) * 2 * self.quads;
        steps.fold(0, |sum, step| {
            let weights = words[step * 8 + channel * 4..][..4].try_into().map_or(0, u32::from_le_bytes);
            let inputs = [0, 1, 2, 3].map(|byte| self.panel[step * 16 + tile * 4 + byte].get() as u8);
            super::super::insn::smlad(weights, u32::from_le_bytes(inputs), sum)
        })
    }
}
