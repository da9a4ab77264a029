//! From bytes to the panel: tiles of inputs, transformed.
#![allow(unsafe_code)]

use core::cell::Cell;

use crate::ops::Form;
use crate::ops::winograd::{COLUMNS, columns_len, panel_len, span, tile_rows};

#[cfg(dsp)]
core::arch::global_asm!(
    include_str!("tiles_2x2.s"),
    include_str!("tiles_4x4.s"),
    include_str!("tiles_stride_2.s"),
    options(raw)
);

#[cfg(dsp)]
#[repr(C)]
struct Arguments2x2 {
    rows: [*const i8; 4],
    columns: *mut i8,
    quads: usize,
    panel: *mut i8,
    skipped: isize,
}

#[cfg(dsp)]
#[repr(C)]
struct Arguments {
    source: *const i8,
    pitch: usize,
    columns: *mut i8,
    channels: usize,
    panel: *mut i8,
    quads: usize,
}

#[cfg(dsp)]
unsafe extern "C" {
    fn no_std_infer_tiles_2x2(arguments: *const Arguments2x2);
    fn no_std_infer_tiles_4x4(arguments: *const Arguments);
    fn no_std_infer_tiles_stride_2(arguments: *const Arguments);
}

/// Rows of the input, of which the columns under some tiles side by side start where the bytes do.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The rows.
    pub bytes: &'a [Cell<i8>],
    /// Bytes from a row to the next.
    pub pitch: usize,
    /// Bytes of a column.
    pub channels: usize,
}

/// Transforms the inputs under [`COLUMNS`] output columns, `V = Bᵀ · d · B`, into the panel: for each element of a tile, row by
/// row and in the order of [`Transform`](crate::ops::winograd), for each pair of channels 16 bytes, of which each tile gets
/// the next 4. `columns` is for what lies between. Does nothing when a slice is too short, or the address of
/// `columns` or `panel` is no multiple of 4. Of three channels the last column is read one byte further.
pub fn transform(form: Form, source: Source<'_>, columns: &[Cell<i8>], panel: &[Cell<i8>]) {
    let Source { bytes, pitch, channels } = source;
    let quads = channels.div_ceil(4);
    let needed = (tile_rows(form) - 1) * pitch + (span(form) - 1) * channels + quads * 4;
    let last = 16 - COLUMNS / form.tile() * 4;
    let room = columns.len() >= columns_len(form, quads) && panel.len() + last >= panel_len(form, quads);
    let aligned = (columns.as_ptr() as usize | panel.as_ptr() as usize).is_multiple_of(4);
    if quads == 0 || !room || !aligned || bytes.len() < needed {
        return;
    }
    #[cfg(dsp)]
    // SAFETY: the loops keep the calling convention. They read `quads` words of each of `span` columns in `tile_rows` rows,
    // `channels` and `pitch` bytes apart, `needed` bytes in all, which need no alignment. They write and read
    // `columns_len` bytes of `columns`, and write the words of so many tiles in each 16 bytes of `panel_len` of the panel,
    // both at multiples of 4. `quads` is at least 1. Through the cells nobody else reads or writes meanwhile.
    unsafe {
        let [columns, panel] = [columns, panel].map(|cells| cells.as_ptr().cast_mut().cast());
        let bytes: *const i8 = bytes.as_ptr().cast();
        let arguments = Arguments { source: bytes, pitch, columns, channels, panel, quads };
        match form {
            Form::F2x2 => {
                let rows = [0, 1, 2, 3].map(|row| bytes.wrapping_add(row * pitch));
                let skipped = channels as isize - (quads * 4) as isize;
                no_std_infer_tiles_2x2(&Arguments2x2 { rows, columns, quads, panel, skipped });
            }
            Form::F4x4 => no_std_infer_tiles_4x4(&arguments),
            Form::Stride2 => no_std_infer_tiles_stride_2(&arguments),
        }
    }
    #[cfg(not(dsp))]
    super::model::transform(form, source, panel);
}
