//! From bytes to the panel: four tiles of 4 x 4 inputs, transformed.
#![allow(unsafe_code)]

use crate::ops::winograd::{COLUMNS, COLUMNS_LEN, PANEL_LEN};

#[cfg(dsp)]
core::arch::global_asm!(include_str!("tiles.s"), options(raw));

#[cfg(dsp)]
#[repr(C)]
struct Arguments {
    rows: [*const i8; 4],
    columns: *mut i8,
    quads: usize,
    panel: *mut i8,
    skipped: isize,
}

#[cfg(dsp)]
unsafe extern "C" {
    fn no_std_infer_tiles(arguments: *const Arguments);
}

/// Transforms four tiles, two columns apart, of ten columns of `channels` bytes in four rows, `V = Bᵀ · d · B`, into the
/// panel: for each element of a tile, row by row and in a row in the order 2, 1, 0, 3, for each pair of channels the
/// pairs of the four tiles. `columns` is for what lies between. Does nothing when a slice is too short, or the address of
/// `columns` or `panel` is no multiple of 4. Of three channels the last column is read one byte further.
pub fn transform(rows: [&[i8]; 4], channels: usize, columns: &mut [i8], panel: &mut [i8]) {
    let quads = channels.div_ceil(4);
    let span = (COLUMNS + 1) * channels + quads * 4;
    let room = columns.len() >= quads * COLUMNS_LEN && panel.len() >= quads * PANEL_LEN;
    let aligned = (columns.as_ptr() as usize | panel.as_ptr() as usize).is_multiple_of(4);
    if quads == 0 || !room || !aligned || rows.iter().any(|row| row.len() < span) {
        return;
    }
    #[cfg(dsp)]
    // SAFETY: the loop keeps the calling convention. It reads ten times `quads` words in each row, starting `channels` bytes
    // apart, `span` bytes in all, which need no alignment; it writes and reads `quads` times `COLUMNS_LEN` bytes of `columns`
    // and writes `quads` times `PANEL_LEN` bytes of `panel`, in words at multiples of 4, `quads` being at least 1.
    unsafe {
        no_std_infer_tiles(&Arguments {
            rows: rows.map(<[i8]>::as_ptr),
            columns: columns.as_mut_ptr(),
            quads,
            panel: panel.as_mut_ptr(),
            skipped: channels as isize - (quads * 4) as isize,
        });
    }
    #[cfg(not(dsp))]
    model(rows, channels, panel);
}

#[cfg(not(dsp))]
fn model(rows: [&[i8]; 4], channels: usize, panel: &mut [i8]) {
    let quads = channels.div_ceil(4);
    let transform = |[a, b, c, d]: [i16; 4]| [c - b, b + c, a - c, b - d];
    for (tile, channel) in (0..COLUMNS / 2).flat_map(|tile| (0..quads * 4).map(move |channel| (tile, channel))) {
        let columns = [0, 1, 2, 3].map(|x| {
            let [second, first, zeroth, third] =
                transform(rows.map(|row| i16::from(row[(tile * 2 + x) * channels + channel])));
            [zeroth, first, second, third]
        });
        let pair = channel / 4 * 2 + channel % 2;
        for y in 0..4 {
            for (x, value) in transform(columns.map(|column| column[y])).into_iter().enumerate() {
                let at = ((y * 4 + x) * quads * 2 + pair) * 16 + tile * 4 + channel / 2 % 2 * 2;
                panel[at..at + 2].copy_from_slice(&value.to_le_bytes().map(|byte| byte as i8));
            }
        }
    }
}
