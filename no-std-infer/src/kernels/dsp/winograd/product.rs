//! Products of transformed tiles and weights, transformed back and requantised.
#![allow(unsafe_code)]

use core::cell::Cell;
use core::ops::Range;

use crate::format::PACKED_CHANNEL_LEN;
use crate::ops::winograd::{COLUMNS, Form, TILES, panel_len};
use crate::ops::Winograd;

/// Bytes of the parameters of a pair of output channels.
pub(super) const PARAMETERS_LEN: usize = 2 * PACKED_CHANNEL_LEN;

#[cfg(dsp)]
core::arch::global_asm!(
    include_str!("../requantise.s"),
    include_str!("steps.s"),
    include_str!("product_2x2.s"),
    include_str!("../requantise.s"),
    include_str!("steps.s"),
    include_str!("product_4x4.s"),
    include_str!("../requantise.s"),
    include_str!("steps.s"),
    include_str!("product_stride_2.s"),
    options(raw)
);

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
    second_output: *mut i8,
}

#[cfg(dsp)]
unsafe extern "C" {
    fn no_std_infer_product_2x2(arguments: *const Arguments);
    fn no_std_infer_product_4x4(arguments: *const Arguments);
    fn no_std_infer_product_stride_2(arguments: *const Arguments);
}

/// Where the results of [`COLUMNS`] neighbouring columns go.
#[derive(Clone, Copy, Debug, Default)]
pub struct Target<'a> {
    /// The first row of a tile's and those below it.
    pub output: &'a [Cell<i8>],
    /// Bytes from row to row.
    pub row_stride: usize,
    /// Bytes from pixel to pixel.
    pub pixel_stride: usize,
}

/// The weights that tiles are multiplied with.
pub struct Product<'a> {
    pub(super) form: Form,
    pub(super) quads: usize,
    /// Bytes of the words of a pair of output channels.
    pub(super) row_len: usize,
    pub(super) words: &'a [u8],
    pub(super) channels: &'a [u8],
}

impl<'a> Product<'a> {
    /// `None` when there are no weights, or too many input channels, or they are not aligned to 4 bytes.
    pub fn new(winograd: &Winograd<'a>) -> Option<Self> {
        let &Winograd { form, quads, words, channels } = winograd;
        let channels = channels.bytes();
        let aligned = (words.as_ptr() as usize | channels.as_ptr() as usize).is_multiple_of(4);
        let row_len = quads * form.elements() * 16;
        let enough = words.len() >= channels.len() / PARAMETERS_LEN * row_len;
        let possible = (1..=form.channels_max() as usize / 4).contains(&quads) && aligned && enough;
        possible.then_some(Self { form, quads, row_len, words, channels })
    }

    /// Multiplies the panel's tiles with pairs `rows` of output channels, and writes the int8 results to the targets, of
    /// equal strides: for F(4x4) two, of two tiles each; otherwise the first. Does nothing and returns false when there are no such rows, an output or the panel
    /// is too short, or the panel is not aligned to 4 bytes.
    pub fn multiply(&self, panel: &[Cell<i8>], rows: Range<usize>, targets: [Target<'_>; 2]) -> bool {
        let [Target { row_stride, pixel_stride, .. }, _] = targets;
        let last = (self.form.tile() - 1) * row_stride + (COLUMNS - 1) * pixel_stride;
        let panel_len = panel_len(self.form, self.quads);
        let panel_fits = panel.len() >= panel_len && (panel.as_ptr() as usize).is_multiple_of(4);
        let rows_fit = rows.start < rows.end && rows.end <= self.channels.len() / PARAMETERS_LEN;
        let used = TILES * self.form.tile() / COLUMNS;
        let short = |target: &Target<'_>| target.output.len() < last + rows.len() * 2;
        if !panel_fits || !rows_fit || targets.iter().take(used).any(short) {
            return false;
        }
        #[cfg(dsp)]
        // SAFETY: the loops keep the calling convention. They read `panel_len` bytes of the panel and for each of `rows`
        // `row_len` bytes of words and `PARAMETERS_LEN` of parameters, which the slices hold, in words at multiples of 4;
        // the number of steps, twice `quads`, is at least 2 and at most half of `channels_max`. They write two bytes a row for
        // each pixel of the targets that are used, the furthest at `last`, inside the output. Through the cells nobody else reads or
        // writes meanwhile.
        unsafe {
            let steps_max = self.form.channels_max() as usize / 2;
            let [output, second_output] = targets.map(|target| target.output.as_ptr().cast_mut().cast());
            let panel: *const i8 = panel.as_ptr().cast();
            let arguments = Arguments {
                panel,
                skipped: steps_max - 2 * self.quads,
                words: self.words.as_ptr().wrapping_add(rows.start * self.row_len),
                channels: self.channels.as_ptr().wrapping_add(rows.start * PARAMETERS_LEN),
                channels_end: self.channels.as_ptr().wrapping_add(rows.end * PARAMETERS_LEN),
                output,
                pixel_stride,
                row_stride,
                panel_end: panel.wrapping_add(panel_len),
                second_output,
            };
            match self.form {
                Form::F2x2 => no_std_infer_product_2x2(&arguments),
                Form::F4x4 => no_std_infer_product_4x4(&arguments),
                Form::Stride2 => no_std_infer_product_stride_2(&arguments),
            }
        }
        #[cfg(not(dsp))]
        super::model::multiply(self, panel, rows, targets);
        true
    }
}
