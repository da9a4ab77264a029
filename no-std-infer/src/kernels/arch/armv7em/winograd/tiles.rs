//! From bytes to the panel: tiles of inputs, transformed.
#![allow(unsafe_code)]

use core::cell::Cell;

use super::Loops;
use crate::bounded::Bounded;
use crate::operators::winograd::{COLUMNS, TILES, columns_len, panel_len, span, tile_rows};

#[cfg(nsi_armv7em)]
#[repr(C)]
pub struct Arguments {
    source: *const i8,
    pitch: usize,
    columns: *mut i8,
    channels: usize,
    panel: *mut i8,
    quads: usize,
}

#[cfg(nsi_armv7em)]
crate::kernels::arch::assembly! {
    pub fn no_std_infer_tiles_2x2(arguments: *const Arguments);
    pub fn no_std_infer_tiles_4x4(arguments: *const Arguments);
    pub fn no_std_infer_tiles_stride_2(arguments: *const Arguments);
}

/// Turns inputs into a panel of tiles, `V = Bᵀ · d · B`: for each element of a tile, row by row and in the order of the
/// weights, for each pair of channels 16 bytes, of which each tile has 4.
pub struct Tiles<'a> {
    /// How.
    loops: Loops,
    /// Channels of the input.
    channels: usize,
    /// Bytes from row to row of the input.
    pitch: usize,
    /// Bytes that are read.
    needed: usize,
    /// For what lies between inputs and panel.
    #[cfg(nsi_armv7em)]
    columns: &'a [Cell<i8>],
    panel: &'a [Cell<i8>],
}

impl<'a> Tiles<'a> {
    /// `None` when there are no channels, or `columns` or `panel` are too short or not aligned to 4 bytes.
    pub fn new(
        loops: Loops,
        [channels, pitch]: [usize; 2],
        columns: &'a [Cell<i8>],
        panel: &'a [Cell<i8>],
    ) -> Option<Self> {
        let (form, quads) = (loops.form, channels.div_ceil(4));
        let room = columns.len() >= columns_len(form, quads) && panel.len() >= panel_len(form, quads);
        let aligned = (columns.as_ptr() as usize | panel.as_ptr() as usize).is_multiple_of(4);
        let needed = pitch.times(tile_rows(form) - 1).plus(channels.times(span(form) - 1)).plus(quads.times(4));
        let possible = quads > 0 && room && aligned;
        possible.then_some(Self {
            loops,
            channels,
            pitch,
            needed,
            #[cfg(nsi_armv7em)]
            columns,
            panel,
        })
    }

    /// Transforms the inputs under [`COLUMNS`] output columns; the first of them starts where `source` does. Of F(4x4)'s panel
    /// they fill one half, the first or the second. Does nothing when `source` is too short or there is no such half.
    /// Of three channels the last column is read one byte further.
    pub fn transform(&self, source: &[Cell<i8>], half: usize) {
        if source.len() < self.needed || half * COLUMNS >= TILES * self.loops.form.tile() {
            return;
        }
        #[cfg(nsi_armv7em)]
        // SAFETY: the loops keep the calling convention, and this is the one of `form`. They read as many words as
        // there are groups of four channels of each of `span` columns in `tile_rows` rows, `channels` and `pitch` bytes
        // apart, `needed` bytes in all, which need no alignment. They write and read `columns_len` bytes of `columns`,
        // and write in each 16 bytes of the panel's `panel_len` those of this half's tiles, in words at multiples of 4.
        // There is at least one group. Through the cells nobody else reads or writes meanwhile.
        unsafe {
            let quads = self.channels.div_ceil(4);
            let columns = self.columns.as_ptr().cast_mut().cast();
            let panel = self.panel.as_ptr().cast_mut().cast::<i8>().wrapping_add(half * 8);
            let source: *const i8 = source.as_ptr().cast();
            let arguments = Arguments { source, pitch: self.pitch, columns, channels: self.channels, panel, quads };
            (self.loops.tiles)(&arguments);
        }
        #[cfg(not(nsi_armv7em))]
        self.model(source, half);
    }

    #[cfg(not(nsi_armv7em))]
    fn model(&self, source: &[Cell<i8>], half: usize) {
        use super::model::{Axis, spread};

        let (form, channels) = (self.loops.form, self.channels);
        let (quads, side) = (channels.div_ceil(4), form.side());
        let (step, tiles) = (form.tile() * usize::from(form.stride()), 0..COLUMNS / form.tile());
        for (tile, channel) in tiles.flat_map(|tile| (0..quads * 4).map(move |channel| (tile, channel))) {
            let mut columns = [[0; 6]; 6];
            for (x, column) in columns.iter_mut().enumerate().take(side) {
                let mut inputs = [0; 6];
                for (y, input) in inputs.iter_mut().enumerate().take(side) {
                    *input = source[y * self.pitch + (tile * step + x) * channels + channel].get().into();
                }
                *column = spread(form, Axis::Down, inputs);
            }
            for y in 0..side {
                let row = spread(form, Axis::Across, columns.map(|column| column[y]));
                for (x, value) in row.into_iter().enumerate().take(side) {
                    let pair = (y * side + x) * quads * 2 + channel / 4 * 2 + channel % 2;
                    let at = pair * 16 + half * 8 + tile * 4 + channel / 2 % 2 * 2;
                    let cells = self.panel[at..].iter();
                    cells.zip(value.to_le_bytes()).for_each(|(cell, byte)| cell.set(byte as i8));
                }
            }
        }
    }
}
