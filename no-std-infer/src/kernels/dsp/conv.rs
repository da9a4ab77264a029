//! Convolution: patches of four output pixels are widened into a panel, then multiplied with all output channels.

use core::ops::Range;

use super::gemm::{Weights, gemm};
use super::rows::Rows;
use super::widen::{Patches, widen};
use crate::format::{Conv2d, Op};
use crate::ops::{Packed, Strip, panel_len};

/// Pixels that are multiplied at a time.
const PIXELS: usize = 4;

/// Output rows `rows` of a convolution with packed weights.
pub fn conv2d(arena: &mut [i8], op: &Conv2d, packed: &Packed<'_>, rows: Range<usize>) {
    let scratch = op.scratch as usize..op.scratch as usize + Op::Conv2d(*op).scratch_len() as usize;
    let row = usize::from(op.output.width) * op.output.channels as usize;
    let start = op.output.offset as usize + rows.start * row;
    let regions = arena.get_disjoint_mut([op.input.range(), start..start + rows.len() * row, scratch]);
    let Ok([input, output, scratch]) = regions else { return };
    let Some((panel, strip)) = scratch.split_at_mut_checked(panel_len(op)) else { return };
    let mut product = Product { weights: Weights::new(packed), panel, output, pixels: 0 };
    let (width, channels) = (usize::from(op.input.width), op.input.channels as usize);
    let patches = Patches {
        quads: packed.order.quads(),
        left_over: packed.order.left_over(),
        runs: packed.order.runs,
        run_stride: Strip::new(op).pitch * usize::from(op.window.dilation_h),
        pixels: 0,
        pixel_stride: usize::from(op.window.stride_w) * channels,
    };
    if op.window.taps() > 1 {
        let mut strip = Rows::new(op, strip);
        for y in rows {
            product.add(strip.under(input, y), op, patches, usize::from(op.output.width));
        }
    } else if op.output.width == op.input.width && op.output.height == op.input.height {
        let first = rows.start * width * channels;
        product.add(input.get(first..).unwrap_or_default(), op, patches, rows.len() * width);
    } else {
        for y in rows {
            let first = y * usize::from(op.window.stride_h) * width * channels;
            product.add(input.get(first..).unwrap_or_default(), op, patches, usize::from(op.output.width));
        }
    }
    product.finish(op.output.channels as usize);
}

/// A panel that is multiplied whenever it is full.
struct Product<'a> {
    weights: Weights<'a>,
    /// Pair by pair of a patch, the pairs of four pixels.
    panel: &'a mut [i8],
    /// What is left of the output.
    output: &'a mut [i8],
    /// Pixels in the panel.
    pixels: usize,
}

impl Product<'_> {
    /// Adds `count` neighbouring pixels whose patches start at the beginning of `source`.
    fn add(&mut self, source: &[i8], op: &Conv2d, patches: Patches, count: usize) {
        let mut done = 0;
        while done < count {
            let pixels = (PIXELS - self.pixels).min(count - done);
            let source = source.get(done * patches.pixel_stride..).unwrap_or_default();
            let panel = self.panel.get_mut(self.pixels * 4..).unwrap_or_default();
            widen_patches(source, op, Patches { pixels, ..patches }, panel);
            done += pixels;
            self.pixels += pixels;
            if self.pixels == PIXELS {
                self.multiply(op.output.channels as usize);
            }
        }
    }

    /// Multiplies a full panel with all output channels.
    fn multiply(&mut self, channels: usize) {
        self.pixels = 0;
        let output = core::mem::take(&mut self.output);
        let Some((output, rest)) = output.split_at_mut_checked(PIXELS * channels) else { return };
        self.output = rest;
        let Some((full, odd)) = self.weights.split_at(channels / 2) else { return };
        gemm(self.panel, full, output, channels);
        self.multiply_by_pairs(odd, channels & !1, output, channels);
    }

    /// Multiplies what is left in the panel.
    fn finish(mut self, channels: usize) {
        let output = core::mem::take(&mut self.output);
        self.multiply_by_pairs(self.weights, 0, output, channels);
    }

    /// Multiplies with one pair of channels after the other, from channel `first` on; what the product would write beyond
    /// the output goes through a buffer.
    fn multiply_by_pairs(&self, mut weights: Weights<'_>, first: usize, output: &mut [i8], channels: usize) {
        for first in (first..channels).step_by(2) {
            let Some((pair, rest)) = weights.split_at(1) else { return };
            weights = rest;
            let mut results = [0; 2 * PIXELS];
            gemm(self.panel, pair, &mut results, 2);
            for (pixel, results) in output.chunks_exact_mut(channels.max(1)).zip(results.as_chunks::<2>().0) {
                for (out, &result) in pixel.iter_mut().skip(first).zip(results) {
                    *out = result;
                }
            }
        }
    }
}

/// Widens patches into the panel; where columns are dilated, kernel row by kernel row.
fn widen_patches(source: &[i8], op: &Conv2d, patches: Patches, panel: &mut [i8]) {
    if op.window.dilation_w == 1 {
        return widen(source, patches, panel);
    }
    let columns = usize::from(op.window.kernel_w);
    let row = Patches {
        runs: columns,
        run_stride: usize::from(op.window.dilation_w) * op.input.channels as usize,
        ..patches
    };
    for tap_y in 0..usize::from(op.window.kernel_h) {
        let source = source.get(tap_y * patches.run_stride..).unwrap_or_default();
        widen(source, row, panel.get_mut(tap_y * columns * patches.quads * 32..).unwrap_or_default());
    }
}
