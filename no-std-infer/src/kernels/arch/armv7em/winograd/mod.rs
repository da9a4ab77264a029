//! Winograd's convolutions: four tiles of output pixels at a time. See [`crate::operators::winograd`].

#[cfg(not(nsi_armv7em))]
mod model;
mod product;
mod tiles;

use core::cell::Cell;

use self::product::{Product, Target};
use self::tiles::Tiles;
use crate::bounded::Bounded;
use crate::kernels::Shared;
use crate::kernels::rows::Rows;
use crate::kernels::views::cells;
use crate::operators::winograd::{COLUMNS, columns_len, panel_len, strip};
use crate::operators::{Conv2d, Form, Winograd};

/// Output rows of a tile, at most.
const ROWS_MAX: usize = 4;

/// A loop in assembly.
#[cfg(nsi_armv7em)]
type Code<Arguments> = unsafe extern "C" fn(*const Arguments);

/// The loops of a transform, `form`'s.
#[derive(Clone, Copy)]
pub struct Loops {
    form: Form,
    #[cfg(nsi_armv7em)]
    tiles: Code<tiles::Arguments>,
    #[cfg(nsi_armv7em)]
    product: Code<product::Arguments>,
}

impl Loops {
    /// A transform's; where that is known when this is compiled, no others are linked.
    #[inline(always)]
    pub fn of(form: Form) -> Self {
        #[cfg(nsi_armv7em)]
        let (tiles, product): (Code<_>, Code<_>) = match form {
            Form::F2x2 => (tiles::no_std_infer_tiles_2x2, product::no_std_infer_product_2x2),
            Form::F4x4 => (tiles::no_std_infer_tiles_4x4, product::no_std_infer_product_4x4),
            Form::Stride2 => (tiles::no_std_infer_tiles_stride_2, product::no_std_infer_product_stride_2),
        };
        Self {
            form,
            #[cfg(nsi_armv7em)]
            tiles,
            #[cfg(nsi_armv7em)]
            product,
        }
    }
}

/// A convolution with transformed weights, by the loops of their transform. But the last part has whole tiles.
pub fn conv2d(op: &Conv2d, winograd: &Winograd<'_>, views: Shared<'_, 1>, loops: Loops) {
    let Shared { inputs: [input], output, scratch, rows } = views;
    let scratch = cells(scratch);
    let (width, channels) = (usize::from(op.output.width), op.output.channels as usize);
    let line = width.times(channels);
    let (form, quads, strip) = (winograd.form, winograd.quads, strip(winograd.form, op));
    let Some((panel, rest)) = scratch.split_at_checked(panel_len(form, quads)) else { return };
    let Some((columns, bytes)) = rest.split_at_checked(columns_len(form, quads)) else { return };
    let inputs = op.input.channels as usize;
    let Some(tiles) = Tiles::new(loops, [inputs, strip.pitch], columns, panel) else { return };
    let Some(product) = Product::new(loops, winograd, panel) else { return };
    let mut group = Group { product, strides: [line, channels], targets: [&[]; 2], columns: [0; 2], count: 0 };
    let strip = Rows::with_strip(op, strip, bytes).resumed(rows.start.checked_sub(form.tile()));
    let (mut strip, step) = (strip, (COLUMNS * usize::from(form.stride())).times(inputs));
    for (y, output) in rows.step_by(form.tile()).zip(output.chunks(form.tile().times(line).max(1))) {
        let (mut source, mut output, mut left) = (strip.under(input, y), output, width);
        while left > 0 {
            tiles.transform(source, group.count);
            group.add(output, left.min(COLUMNS));
            source = source.get(step..).unwrap_or_default();
            output = output.get(channels.times(COLUMNS)..).unwrap_or_default();
            left = left.saturating_sub(COLUMNS);
        }
    }
    group.finish();
}

/// Tiles that are multiplied as soon as there are four.
struct Group<'a> {
    product: Product<'a>,
    /// Bytes from row to row and from pixel to pixel of the output.
    strides: [usize; 2],
    /// Where the results of each [`COLUMNS`] columns go.
    targets: [Target<'a>; 2],
    /// How many of these columns there are.
    columns: [usize; 2],
    /// How many of the targets are in use.
    count: usize,
}

impl<'a> Group<'a> {
    /// Adds the tiles of some columns, which have been transformed.
    fn add(&mut self, target: Target<'a>, columns: usize) {
        let [first, second] = if self.count == 0 { [target, &[]] } else { [self.targets[0], target] };
        self.targets = [first, second];
        self.columns = if self.count == 0 { [columns, COLUMNS] } else { [self.columns[0], columns] };
        self.count = self.count.plus(1);
        if self.count == 2 || self.product.form() != Form::F4x4 {
            let whole = self.columns == [COLUMNS; 2];
            let pairs = 0..self.strides[1] / 2;
            if !(whole && self.product.multiply(pairs, self.targets, self.strides)) {
                self.multiply_part();
            }
            self.count = 0;
        }
    }

    /// Multiplies the tiles that are there.
    fn finish(&self) {
        if self.count > 0 {
            self.multiply_part();
        }
    }

    /// Multiplies where tiles reach beyond the output or are missing: through buffers, pair by pair of channels.
    fn multiply_part(&self) {
        let buffers = [const { [const { Cell::new(0) }; 2 * COLUMNS * ROWS_MAX] }; 2];
        let buffers = buffers.each_ref().map(|buffer| &buffer[..]);
        for pair in 0..self.strides[1] / 2 {
            self.product.multiply(pair..pair.plus(1), buffers, [2 * COLUMNS, 2]);
            for ((results, target), &columns) in buffers.iter().zip(self.targets).zip(&self.columns).take(self.count) {
                self.copy_pair(results, target, pair.times(2), columns);
            }
        }
    }

    /// Copies a pair of channels, from `first` on, of some columns.
    fn copy_pair(&self, results: &[Cell<i8>], target: Target<'_>, first: usize, columns: usize) {
        let [row_stride, pixel_stride] = self.strides;
        let lines = target.chunks(row_stride.max(1)).take(self.product.form().tile());
        for (results, line) in results.as_chunks::<{ 2 * COLUMNS }>().0.iter().zip(lines) {
            let pixels = line.chunks(pixel_stride.max(1)).take(columns);
            for (pixel, results) in pixels.zip(results.as_chunks::<2>().0) {
                pixel.iter().skip(first).zip(results).for_each(|(out, result)| out.set(result.get()));
            }
        }
    }
}
