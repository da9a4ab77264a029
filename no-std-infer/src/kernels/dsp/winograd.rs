//! Winograd's convolution F(2x2, 3x3): four tiles of 2 x 2 output pixels at a time. See [`crate::ops::winograd`].

mod product;
mod tiles;

use core::cell::Cell;
use core::ops::Range;

use self::product::Product;
use crate::format::{Conv2d, Op};
use crate::kernels::rows::copy_row;
use crate::ops::winograd::{COLUMNS, COLUMNS_LEN, PANEL_LEN, strip};
use crate::ops::{Strip, Winograd};

/// Output rows `rows` of a convolution with transformed weights.
pub fn conv2d(arena: &mut [i8], op: &Conv2d, winograd: &Winograd<'_>, rows: Range<usize>) {
    let scratch = op.scratch as usize..op.scratch as usize + Op::Conv2d(*op).scratch_len() as usize;
    let (width, channels) = (usize::from(op.output.width), op.output.channels as usize);
    let start = op.output.offset as usize + rows.start * width * channels;
    let regions = arena.get_disjoint_mut([op.input.range(), start..start + rows.len() * width * channels, scratch]);
    let Ok([input, output, scratch]) = regions else { return };
    let input = Cell::from_mut(input).as_slice_of_cells();
    let Some((panel, rest)) = scratch.split_at_mut_checked(winograd.quads * PANEL_LEN) else { return };
    let Some((columns, bytes)) = rest.split_at_mut_checked(winograd.quads * COLUMNS_LEN) else { return };
    let Some(product) = Product::new(winograd) else { return };
    let mut ring = Ring { op, strip: strip(op), bytes, next: 0 };
    for (y, output) in rows.step_by(2).zip(output.chunks_mut((2 * width * channels).max(1))) {
        ring.fill(input, y);
        let source = ring.under(y);
        for x in (0..width).step_by(COLUMNS) {
            let first = x * op.input.channels as usize;
            let source = source.map(|row| row.get(first..).unwrap_or_default());
            tiles::transform(source, op.input.channels as usize, columns, panel);
            let output = output.get_mut(x * channels..).unwrap_or_default();
            let whole = width - x >= COLUMNS && output.len() > width * channels;
            if !(whole && product.multiply(panel, 0..channels / 2, output, [width * channels, channels])) {
                multiply_part(&product, panel, output, [width * channels, channels], (width - x).min(COLUMNS));
            }
        }
    }
}

/// Multiplies where tiles reach beyond the output: through a buffer, pair by pair of channels.
fn multiply_part(product: &Product<'_>, panel: &[i8], output: &mut [i8], strides: [usize; 2], columns: usize) {
    let [row, channels] = strides;
    for pair in 0..channels / 2 {
        let mut results = [0; 4 * COLUMNS];
        product.multiply(panel, pair..pair + 1, &mut results, [2 * COLUMNS, 2]);
        for (results, output) in results.as_chunks::<{ 2 * COLUMNS }>().0.iter().zip(output.chunks_mut(row.max(1))) {
            let pixels = output.chunks_mut(channels.max(1)).take(columns);
            for (pixel, results) in pixels.zip(results.as_chunks::<2>().0) {
                let pixel = pixel.get_mut(pair * 2..).unwrap_or_default();
                pixel.iter_mut().zip(results).for_each(|(out, &result)| *out = result);
            }
        }
    }
}

/// Four rows of the input with their padding; row `n` of the padded input is at place `n % 4`.
struct Ring<'a> {
    op: &'a Conv2d,
    strip: Strip,
    bytes: &'a mut [i8],
    /// The first row of the padded input that is not there yet.
    next: usize,
}

impl Ring<'_> {
    /// Copies the rows under output rows `y` and `y + 1` that are not there yet.
    fn fill(&mut self, input: &[Cell<i8>], y: usize) {
        for row in self.next.max(y)..y + 4 {
            self.copy(input, row);
        }
        self.next = y + 4;
    }

    /// Copies row `row` of the padded input.
    fn copy(&mut self, input: &[Cell<i8>], row: usize) {
        let pitch = self.strip.pitch;
        let target = self.bytes.get_mut(row % 4 * pitch..(row % 4 + 1) * pitch).unwrap_or_default();
        let y = row.checked_sub(usize::from(self.op.window.pad_top));
        copy_row(self.op, input, y, Cell::from_mut(target).as_slice_of_cells());
    }

    /// The rows under output rows `y` and `y + 1`.
    fn under(&self, y: usize) -> [&[i8]; 4] {
        let pitch = self.strip.pitch;
        [0, 1, 2, 3].map(|row| {
            let start = (y + row) % 4 * pitch;
            self.bytes.get(start..start + pitch).unwrap_or_default()
        })
    }
}
