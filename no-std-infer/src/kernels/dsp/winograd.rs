//! Winograd's convolutions: four tiles of output pixels at a time. See [`crate::ops::winograd`].

#[cfg(not(dsp))]
mod model;
mod product;
mod tiles;

use core::cell::Cell;
use core::ops::Range;

use self::product::{Product, Target};
use self::tiles::Source;
use crate::format::{Conv2d, Op};
use crate::kernels::rows::Rows;
use crate::ops::winograd::{COLUMNS, TILES, columns_len, panel_len, strip};
use crate::ops::{Form, Winograd};

/// Output rows of a tile, at most.
const ROWS_MAX: usize = 4;

/// Output rows `rows` of a convolution with transformed weights; all of them where the output lies in place of the input.
pub fn conv2d(arena: &mut [i8], op: &Conv2d, winograd: &Winograd<'_>, rows: Range<usize>) {
    let arena = Cell::from_mut(arena).as_slice_of_cells();
    let scratch = op.scratch as usize..op.scratch as usize + Op::Conv2d(*op).scratch_len() as usize;
    let (width, channels) = (usize::from(op.output.width), op.output.channels as usize);
    let line = width * channels;
    let start = op.output.offset as usize + rows.start * line;
    let [input, output, scratch] =
        [op.input.range(), start..start + rows.len() * line, scratch].map(|range| arena.get(range).unwrap_or_default());
    let (form, quads) = (winograd.form, winograd.quads);
    let Some((panel, rest)) = scratch.split_at_checked(panel_len(form, quads)) else { return };
    let Some((columns, bytes)) = rest.split_at_checked(columns_len(form, quads)) else { return };
    let Some(product) = Product::new(winograd) else { return };
    let mut group = Group { product, panel, channels, targets: [Target::default(); 2], ends: [0; 2], count: 0 };
    let strip = strip(form, op);
    let (mut strip_rows, inputs) = (Rows::with_strip(op, strip, bytes), op.input.channels as usize);
    for (y, output) in rows.step_by(form.tile()).zip(output.chunks((form.tile() * line).max(1))) {
        let source = strip_rows.under(input, y);
        for x in (0..width).step_by(COLUMNS) {
            let first = x * usize::from(form.stride()) * inputs;
            let bytes = source.get(first..).unwrap_or_default();
            tiles::transform(form, Source { bytes, pitch: strip.pitch, channels: inputs }, columns, group.next());
            let output = output.get(x * channels..).unwrap_or_default();
            group.add(Target { output, row_stride: line, pixel_stride: channels }, (width - x).min(COLUMNS));
        }
    }
    group.multiply();
}

/// Tiles that are multiplied as soon as there are four.
struct Group<'a> {
    product: Product<'a>,
    panel: &'a [Cell<i8>],
    /// Output channels.
    channels: usize,
    /// Where the results of each [`COLUMNS`] columns go, and how many of these there are.
    targets: [Target<'a>; 2],
    ends: [usize; 2],
    count: usize,
}

impl<'a> Group<'a> {
    /// The panel from the first tile on that is not there yet.
    fn next(&self) -> &'a [Cell<i8>] {
        self.panel.get(self.count * COLUMNS / self.form().tile() * 4..).unwrap_or_default()
    }

    fn form(&self) -> Form {
        self.product.form
    }

    /// Adds the tiles of some columns, which have been transformed.
    fn add(&mut self, target: Target<'a>, columns: usize) {
        if let (Some(slot), Some(end)) = (self.targets.get_mut(self.count), self.ends.get_mut(self.count)) {
            (*slot, *end) = (target, columns);
        }
        self.count += 1;
        if self.count * COLUMNS >= TILES * self.form().tile() {
            self.multiply();
        }
    }

    /// Multiplies the tiles that are there, if any.
    fn multiply(&mut self) {
        if self.count == 0 {
            return;
        }
        let used = TILES * self.form().tile() / COLUMNS;
        let whole = self.count == used && self.ends.iter().take(used).all(|&end| end == COLUMNS);
        if !(whole && self.product.multiply(self.panel, 0..self.channels / 2, self.targets)) {
            self.multiply_part();
        }
        self.count = 0;
    }

    /// The same where tiles reach beyond the output: through buffers, pair by pair of channels.
    fn multiply_part(&self) {
        let buffers = [const { [const { Cell::new(0) }; 2 * COLUMNS * ROWS_MAX] }; 2];
        let [first, second] = &buffers;
        let buffers = [first, second].map(|output| Target { output, row_stride: 2 * COLUMNS, pixel_stride: 2 });
        for pair in 0..self.channels / 2 {
            self.product.multiply(self.panel, pair..pair + 1, buffers);
            for ((target, buffer), &end) in self.targets.iter().zip(&buffers).zip(&self.ends).take(self.count) {
                copy_pair(buffer.output, target, pair * 2, [end, self.form().tile()]);
            }
        }
    }
}

/// Copies a pair of channels, from `first` on, of some columns and rows.
fn copy_pair(results: &[Cell<i8>], target: &Target<'_>, first: usize, [columns, rows]: [usize; 2]) {
    let lines = target.output.chunks(target.row_stride.max(1)).take(rows);
    for (results, line) in results.as_chunks::<{ 2 * COLUMNS }>().0.iter().zip(lines) {
        let pixels = line.chunks(target.pixel_stride.max(1)).take(columns);
        for (pixel, results) in pixels.zip(results.as_chunks::<2>().0) {
            pixel.iter().skip(first).zip(results).for_each(|(out, result)| out.set(result.get()));
        }
    }
}
