//! Convolution: the patches of four output pixels are put side by side, then multiplied with all output channels.

use core::cell::Cell;

use super::gemm::{Gemm, PIXELS};
use super::panel::Source;
use crate::bounded::Bounded;
use crate::fixed::clamp_i8;
use crate::kernels::rows::Rows;
use crate::kernels::views::cells;
use crate::kernels::{Shared, generic};
use crate::operators::{Activation, Conv2d, Patches, Plain, Strip};

/// A convolution with plain weights. Dilated columns are left to the generic kernel.
#[inline(always)]
pub fn conv2d(op: &Conv2d, constants: &Plain<'_>, views: Shared<'_, 1>) {
    let patches = Patches::new(op);
    let Shared { inputs: [input], output, scratch, rows } = views;
    let halves = cells(scratch).split_at_checked(patches.panel_len());
    let Some((panel, rest)) = halves else { return };
    let gemm = if op.window.dilation_w == 1 { Gemm::new(op, patches, panel, constants) } else { None };
    let (Some(gemm), Some((line, strip))) = (gemm, rest.split_at_checked(patches.line_len())) else {
        return generic::conv2d::conv2d(op, constants, Shared { inputs: [input], output, scratch, rows });
    };
    let (width, channels) = (usize::from(op.input.width), op.input.channels as usize);
    let source = Source {
        patches,
        run_stride: Strip::new(op).pitch.times(op.window.dilation_h.into()),
        pixel_stride: channels.times(op.window.stride_w.into()),
        line,
    };
    let mut product = Product { gemm, source, channels: op.output.channels as usize, output, pixels: 0 };
    if op.window.taps() > 1 {
        let mut strip = Rows::new(op, strip, rows.start);
        for y in rows {
            product.add(strip.under(input, y), usize::from(op.output.width));
        }
    } else if op.window.stride_w == 1 && op.output.width == op.input.width && op.output.height == op.input.height {
        let first = rows.start.times(width).times(channels);
        product.add_all(input.get(first..).unwrap_or_default(), rows.len().times(width));
    } else {
        for y in rows {
            let first = y.times(op.window.stride_h.into()).times(width).times(channels);
            product.add(input.get(first..).unwrap_or_default(), usize::from(op.output.width));
        }
    }
    product.finish();
    if op.activation != Activation::NONE {
        let (min, max) = (op.activation.min, op.activation.max);
        output.iter().for_each(|out| out.set(clamp_i8(out.get().into(), min, max)));
    }
}

/// A panel that is multiplied whenever it is full.
struct Product<'a> {
    gemm: Gemm<'a>,
    source: Source<'a>,
    /// Output channels.
    channels: usize,
    /// What is left of the output.
    output: &'a [Cell<i8>],
    /// Pixels in the panel.
    pixels: usize,
}

impl<'a> Product<'a> {
    /// Adds `count` neighbouring pixels, all that there are: those beyond a multiple of four are computed together with some before
    /// them once more, which is faster than alone.
    fn add_all(&mut self, source: &[Cell<i8>], count: usize) {
        if count < PIXELS || count.is_multiple_of(PIXELS) || !self.gemm.is_direct(self.output) {
            return self.add(source, count);
        }
        let output = self.take(count);
        let last = count.minus(PIXELS);
        let from = |pixel: usize| source.get(pixel.times(self.source.pixel_stride)..).unwrap_or_default();
        self.gemm.convolve(&self.source, source, count / PIXELS, output);
        let output = output.get(last.times(self.channels)..).unwrap_or_default();
        self.gemm.convolve(&self.source, from(last), 1, output);
    }

    /// Adds `count` neighbouring pixels whose patches start at the beginning of `source`.
    fn add(&mut self, source: &[Cell<i8>], count: usize) {
        let mut done = 0;
        while done < count {
            let quads = count.minus(done) / PIXELS;
            if self.pixels == 0 && quads > 0 && self.gemm.is_direct(self.output) {
                let rest = source.get(done.times(self.source.pixel_stride)..).unwrap_or_default();
                let output = self.take(quads.times(PIXELS));
                self.gemm.convolve(&self.source, rest, quads, output);
                done = done.plus(quads.times(PIXELS));
                continue;
            }
            let pixels = PIXELS.minus(self.pixels).min(count.minus(done));
            let source = source.get(done.times(self.source.pixel_stride)..).unwrap_or_default();
            self.source.put(source, self.pixels, pixels, self.gemm.panel());
            done = done.plus(pixels);
            self.pixels = self.pixels.plus(pixels);
            if self.pixels == PIXELS {
                self.multiply();
            }
        }
    }

    /// Multiplies the pixels in the panel with all output channels.
    fn multiply(&mut self) {
        let output = self.take(self.pixels);
        self.gemm.multiply(output, self.pixels);
        self.pixels = 0;
    }

    /// The output of the next `pixels`.
    fn take(&mut self, pixels: usize) -> &'a [Cell<i8>] {
        let (output, rest) = self.output.split_at_checked(pixels.times(self.channels)).unwrap_or_default();
        self.output = rest;
        output
    }

    /// Multiplies what is left in the panel.
    fn finish(mut self) {
        if self.pixels > 0 {
            self.multiply();
        }
    }
}
