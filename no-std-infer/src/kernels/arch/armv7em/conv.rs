//! Convolution: patches of four output pixels are widened into a panel, then multiplied with all output channels.

use core::cell::Cell;

use super::gemm::Gemm;
use super::groups::{PIXELS, convolve};
use super::widen::{Patches, widen};
use crate::bounded::Bounded;
use crate::kernels::Shared;
use crate::kernels::rows::Rows;
use crate::kernels::views::cells;
use crate::operators::{Conv2d, Packed, Strip, panel_len};

/// A convolution with packed weights.
#[inline(always)]
pub fn conv2d(op: &Conv2d, packed: &Packed<'_>, views: Shared<'_, 1>) {
    let Shared { inputs: [input], output, scratch, rows } = views;
    let Some((panel, strip)) = cells(scratch).split_at_checked(panel_len(op)) else { return };
    let Some(gemm) = Gemm::new(panel, packed, op.output.zero_point) else { return };
    let mut product = Product { gemm, channels: op.output.channels as usize, output, pixels: 0 };
    let (width, channels) = (usize::from(op.input.width), op.input.channels as usize);
    let patches = Patches {
        quads: packed.order.quads(),
        left_over: packed.order.left_over(),
        runs: packed.order.runs,
        run_stride: Strip::new(op).pitch.times(op.window.dilation_h.into()),
        pixel_stride: channels.times(op.window.stride_w.into()),
    };
    if op.window.taps() > 1 {
        let mut strip = Rows::new(op, strip, rows.start);
        for y in rows {
            product.add(strip.under(input, y), op, &patches, usize::from(op.output.width));
        }
    } else if op.window.stride_w == 1 && op.output.width == op.input.width && op.output.height == op.input.height {
        let first = rows.start.times(width).times(channels);
        product.add(input.get(first..).unwrap_or_default(), op, &patches, rows.len().times(width));
    } else {
        for y in rows {
            let first = y.times(op.window.stride_h.into()).times(width).times(channels);
            product.add(input.get(first..).unwrap_or_default(), op, &patches, usize::from(op.output.width));
        }
    }
    product.finish();
}

/// A panel that is multiplied whenever it is full.
struct Product<'a> {
    gemm: Gemm<'a>,
    /// Output channels.
    channels: usize,
    /// What is left of the output.
    output: &'a [Cell<i8>],
    /// Pixels in the panel.
    pixels: usize,
}

impl<'a> Product<'a> {
    /// Adds `count` neighbouring pixels whose patches start at the beginning of `source`.
    fn add(&mut self, source: &[Cell<i8>], op: &Conv2d, patches: &Patches, count: usize) {
        let mut done = 0;
        while done < count {
            let groups = count.minus(done) / PIXELS;
            if self.pixels == 0 && groups > 0 && self.channels.is_multiple_of(2) && op.window.dilation_w == 1 {
                let source = source.get(done.times(patches.pixel_stride)..).unwrap_or_default();
                let output = self.take(groups.times(PIXELS));
                convolve(&self.gemm, patches, source, groups, output, self.channels);
                done = done.plus(groups.times(PIXELS));
                continue;
            }
            let pixels = PIXELS.minus(self.pixels).min(count.minus(done));
            let source = source.get(done.times(patches.pixel_stride)..).unwrap_or_default();
            let panel = self.gemm.panel().get(self.pixels.times(4)..).unwrap_or_default();
            widen_patches(source, op, patches, pixels, panel);
            done = done.plus(pixels);
            self.pixels = self.pixels.plus(pixels);
            if self.pixels == PIXELS {
                self.multiply();
            }
        }
    }

    /// Multiplies a full panel with all output channels.
    fn multiply(&mut self) {
        self.pixels = 0;
        let output = self.take(PIXELS);
        self.gemm.multiply(0..self.channels / 2, output, self.channels);
        if self.channels % 2 == 1 {
            self.multiply_pair(self.channels / 2, output);
        }
    }

    /// The output of the next `pixels`.
    fn take(&mut self, pixels: usize) -> &'a [Cell<i8>] {
        let (output, rest) = self.output.split_at_checked(pixels.times(self.channels)).unwrap_or_default();
        self.output = rest;
        output
    }

    /// Multiplies what is left in the panel.
    fn finish(self) {
        let pairs = self.channels / 2;
        let done = if self.pixels == 1 { pairs } else { 0 };
        self.gemm.multiply_one(0..done, self.output);
        if self.pixels > 0 {
            (done..self.channels.div_ceil(2)).for_each(|pair| self.multiply_pair(pair, self.output));
        }
    }

    /// Multiplies with one pair of channels, where the product would write beyond the output: through a buffer.
    fn multiply_pair(&self, pair: usize, output: &[Cell<i8>]) {
        let results = [const { Cell::new(0) }; 2 * PIXELS];
        self.gemm.multiply(pair..pair.plus(1), &results, 2);
        for (pixel, results) in output.chunks_exact(self.channels.max(1)).zip(results.as_chunks::<2>().0) {
            for (out, result) in pixel.iter().skip(pair.times(2)).zip(results) {
                out.set(result.get());
            }
        }
    }
}

/// Widens patches into the panel; where columns are dilated, kernel row by kernel row.
fn widen_patches(source: &[Cell<i8>], op: &Conv2d, patches: &Patches, pixels: usize, panel: &[Cell<i8>]) {
    if op.window.dilation_w == 1 {
        return widen(source, patches, pixels, panel);
    }
    let columns = usize::from(op.window.kernel_w);
    let run_stride = usize::from(op.window.dilation_w).times(op.input.channels as usize);
    let row = Patches { runs: columns, run_stride, ..*patches };
    for tap_y in 0..usize::from(op.window.kernel_h) {
        let source = source.get(tap_y.times(patches.run_stride)..).unwrap_or_default();
        let first = tap_y.times(columns).times(patches.quads).times(32);
        widen(source, &row, pixels, panel.get(first..).unwrap_or_default());
    }
}
