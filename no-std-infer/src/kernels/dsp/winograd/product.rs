//! Products of transformed tiles and weights, transformed back and requantised.
#![allow(unsafe_code)]

use core::ops::Range;

use crate::format::PACKED_CHANNEL_LEN;
use crate::ops::Winograd;
use crate::ops::winograd::{CHANNELS_MAX, COLUMNS, PANEL_LEN};

/// Bytes of the parameters of a pair of output channels.
const PARAMETERS_LEN: usize = 2 * PACKED_CHANNEL_LEN;
/// Most groups of four input channels: the loop in assembly is unrolled for as many.
const QUADS_MAX: usize = CHANNELS_MAX as usize / 4;

#[cfg(dsp)]
core::arch::global_asm!(include_str!("../requantise.s"), include_str!("product.s"), options(raw));

#[cfg(dsp)]
#[repr(C)]
struct Arguments {
    panel: *const i8,
    skipped: usize,
    words: *const u8,
    channels: *const u8,
    channels_end: *const u8,
    output: *mut i8,
    pixel_stride: usize,
    row_stride: usize,
    panel_end: *const i8,
}

#[cfg(dsp)]
unsafe extern "C" {
    fn no_std_infer_winograd(arguments: *const Arguments);
}

/// The weights that tiles are multiplied with.
pub struct Product<'a> {
    quads: usize,
    /// Bytes of the words of a pair of output channels.
    row_len: usize,
    words: &'a [u8],
    channels: &'a [u8],
}

impl<'a> Product<'a> {
    /// `None` when there are no weights, or too many input channels, or they are not aligned to 4 bytes.
    pub fn new(winograd: &Winograd<'a>) -> Option<Self> {
        let (quads, words, channels) = (winograd.quads, winograd.words, winograd.channels.bytes());
        let aligned = (words.as_ptr() as usize | channels.as_ptr() as usize).is_multiple_of(4);
        let row_len = quads * 256;
        let enough = words.len() >= channels.len() / PARAMETERS_LEN * row_len;
        ((1..=QUADS_MAX).contains(&quads) && aligned && enough).then_some(Self { quads, row_len, words, channels })
    }

    /// Multiplies four tiles with pairs `rows` of output channels, and writes the int8 results of two rows of eight
    /// pixels; `strides` are the bytes from row to row and from pixel to pixel of the output. Does nothing and returns
    /// false when there are no such rows, the output or the panel is too short, or the panel is not aligned to 4 bytes.
    pub fn multiply(&self, panel: &[i8], rows: Range<usize>, output: &mut [i8], strides: [usize; 2]) -> bool {
        let [row_stride, pixel_stride] = strides;
        let last = row_stride + (COLUMNS - 1) * pixel_stride;
        let panel_fits = panel.len() >= self.quads * PANEL_LEN && (panel.as_ptr() as usize).is_multiple_of(4);
        let rows_fit = rows.start < rows.end && rows.end <= self.channels.len() / PARAMETERS_LEN;
        if !panel_fits || !rows_fit || output.len() < last + rows.len() * 2 {
            return false;
        }
        #[cfg(dsp)]
        // SAFETY: the loop keeps the calling convention. It reads `quads` times `PANEL_LEN` bytes of the panel and for each
        // of `rows` `row_len` bytes of words and `PARAMETERS_LEN` of parameters, which the slices hold, in words at multiples
        // of 4; the number of steps, twice `quads`, is 2 to 32. It writes two bytes a row at each of sixteen places, the
        // furthest at `last`, inside the output.
        unsafe {
            no_std_infer_winograd(&Arguments {
                panel: panel.as_ptr(),
                skipped: 2 * (QUADS_MAX - self.quads),
                words: self.words.as_ptr().wrapping_add(rows.start * self.row_len),
                channels: self.channels.as_ptr().wrapping_add(rows.start * PARAMETERS_LEN),
                channels_end: self.channels.as_ptr().wrapping_add(rows.end * PARAMETERS_LEN),
                output: output.as_mut_ptr(),
                pixel_stride,
                row_stride,
                panel_end: panel.as_ptr().wrapping_add(self.quads * PANEL_LEN),
            });
        }
        #[cfg(not(dsp))]
        self.model(panel, rows, output, strides);
        true
    }

    #[cfg(not(dsp))]
    fn model(&self, panel: &[i8], rows: Range<usize>, output: &mut [i8], [row_stride, pixel_stride]: [usize; 2]) {
        use super::super::insn::{requantise, smlad};
        use crate::ops::{OutputParams, PackedParams};

        let word = |bytes: [u8; 4]| u32::from_le_bytes(bytes);
        let all = self.words.chunks_exact(self.row_len).zip(self.channels.chunks_exact(PARAMETERS_LEN));
        for (index, (words, parameters)) in all.skip(rows.start).take(rows.len()).enumerate() {
            for (channel, tile) in (0..2).flat_map(|channel| (0..COLUMNS / 2).map(move |tile| (channel, tile))) {
                let mut sums = [0_i32; 16];
                for (element, sum) in sums.iter_mut().enumerate() {
                    for step in element * 2 * self.quads..(element + 1) * 2 * self.quads {
                        let weights = words[step * 8 + channel * 4..][..4].try_into().map_or(0, word);
                        let inputs =
                            panel[step * 16 + tile * 4..].first_chunk().map(|pair| pair.map(|byte| byte as u8));
                        *sum = smlad(weights, word(inputs.unwrap_or_default()), *sum);
                    }
                }
                // Of a row: elements 2, 1, 0, and 3 with its sign reversed.
                let halves = |row: usize| {
                    let [second, first, zeroth, third] = [0, 1, 2, 3].map(|column| sums[row * 4 + column]);
                    let left = zeroth.wrapping_add(first).wrapping_add(second);
                    [left, first.wrapping_sub(second).wrapping_add(third)].map(|sum| sum >> 1)
                };
                let p = PackedParams::from_bytes(&parameters[channel * PACKED_CHANNEL_LEN..]);
                for x in 0..2 {
                    let [zeroth, first, second, third] = [0, 1, 2, 3].map(|row| halves(row)[x]);
                    let upper = zeroth.wrapping_add(first).wrapping_add(second);
                    let lower = first.wrapping_sub(second).wrapping_sub(third);
                    for (y, doubled) in [upper, lower].into_iter().enumerate() {
                        let doubled = doubled.wrapping_add(p.doubled_bias);
                        output[y * row_stride + (tile * 2 + x) * pixel_stride + index * 2 + channel] =
                            requantise(doubled, p.mantissa, p.rounding, p.shift);
                    }
                }
            }
        }
    }
}
