//! Convolution: patches of four output pixels are widened into a panel, then multiplied with all output channels.

use core::ops::Range;

use super::gemm::{Weights, gemm};
use super::widen::{Runs, widen};
use crate::format::{Conv2d, Op};
use crate::kernels::window::{Taps, gather, horizontal_taps, vertical_taps};
use crate::ops::{Packed, PatchOrder, panel_len};

/// Pixels that are multiplied at a time.
const PIXELS: usize = 4;

/// Output rows `rows` of a convolution with packed weights.
pub fn conv2d(arena: &mut [i8], op: &Conv2d, packed: &Packed<'_>, rows: Range<usize>) {
    let scratch = op.scratch as usize..op.scratch as usize + Op::Conv2d(*op).scratch_len() as usize;
    let row = usize::from(op.output.width) * op.output.channels as usize;
    let start = op.output.offset as usize + rows.start * row;
    let regions = arena.get_disjoint_mut([op.input.range(), start..start + rows.len() * row, scratch]);
    let Ok([input, output, scratch]) = regions else { return };
    let Some((panel, patch)) = scratch.split_at_mut_checked(panel_len(op)) else { return };
    let mut layer = Layer { op, order: packed.order, weights: Weights::new(packed), panel, patch };
    let mut pixels = 0;
    let mut output = output.chunks_mut(PIXELS * op.output.channels as usize);
    for y in rows {
        let vertical = vertical_taps(&op.window, y, &op.input);
        for x in 0..usize::from(op.output.width) {
            layer.fill(input, pixels, vertical, x);
            pixels += 1;
            if pixels == PIXELS {
                layer.multiply(output.next().unwrap_or_default());
                pixels = 0;
            }
        }
    }
    layer.multiply(output.next().unwrap_or_default());
}

struct Layer<'a> {
    op: &'a Conv2d,
    order: PatchOrder,
    weights: Weights<'a>,
    /// Pair by pair of a patch, the pairs of four pixels.
    panel: &'a mut [i8],
    /// Room for a patch, where a patch has to be gathered first.
    patch: &'a mut [i8],
}

impl Layer<'_> {
    /// Widens the patch of the output pixel at column `x` into the panel, as pixel number `pixel`.
    fn fill(&mut self, input: &[i8], pixel: usize, vertical: Taps, x: usize) {
        let (op, order) = (self.op, self.order);
        let window = &op.window;
        let (width, channels) = (i32::from(op.input.width), op.input.channels as usize);
        let Some(column) = self.panel.get_mut(pixel * 4..) else { return };
        let row = usize::from(op.input.width) * channels;
        let left = x as i32 * i32::from(window.stride_w) - i32::from(window.pad_left);
        let columns_inside = left >= 0 && left + i32::from(window.kernel_w) <= width;
        let rows_inside = vertical.inside().len() == usize::from(window.kernel_h);
        if columns_inside && rows_inside && window.dilation_w == 1 {
            let first = vertical.start as usize * row + left as usize * channels;
            let stride = usize::from(window.dilation_h) * row;
            widen_patch(input.get(first..).unwrap_or_default(), stride, order, column);
        } else if channels.is_multiple_of(4) {
            fill_by_rows(op, input, vertical, horizontal_taps(window, x, &op.input), column);
        } else {
            gather(op, input, self.patch, vertical, horizontal_taps(window, x, &op.input));
            widen_patch(self.patch, order.run, order, column);
        }
    }

    /// Multiplies the panel with all output channels; `output` takes one to four pixels.
    fn multiply(&self, output: &mut [i8]) {
        let channels = self.op.output.channels as usize;
        let pairs = if output.len() == PIXELS * channels { channels / 2 } else { 0 };
        let Some((full, rest)) = self.weights.split_at(pairs) else { return };
        gemm(self.panel, full, output, channels);
        // What the product would write beyond the output goes through a buffer.
        let mut rest = rest;
        for first in (pairs * 2..channels).step_by(2) {
            let Some((pair, after)) = rest.split_at(1) else { return };
            rest = after;
            let mut results = [0; 2 * PIXELS];
            gemm(self.panel, pair, &mut results, 2);
            for (pixel, results) in output.chunks_exact_mut(channels).zip(results.as_chunks::<2>().0) {
                for (out, &result) in pixel.iter_mut().skip(first).zip(results) {
                    *out = result;
                }
            }
        }
    }
}

/// Widens a patch whose runs lie `stride` bytes apart.
fn widen_patch(source: &[i8], stride: usize, order: PatchOrder, column: &mut [i8]) {
    widen(source, Runs { runs: order.runs, quads: order.quads(), stride }, column);
    if order.left_over() == 0 {
        return;
    }
    let runs = source.chunks(stride.max(1)).take(order.runs);
    let left_over = runs.flat_map(|run| run.iter().skip(order.quads() * 4).take(order.left_over()));
    let pairs = column.chunks_mut(PIXELS * 4).skip(order.runs * order.quads() * 2);
    let halves = pairs.filter_map(|pair| pair.first_chunk_mut::<4>()).flat_map(|pair| pair.as_chunks_mut::<2>().0);
    for (half, &value) in halves.zip(left_over) {
        *half = i16::from(value).to_le_bytes().map(|byte| byte as i8);
    }
}

/// Widens a patch that reaches into the padding, or whose taps are apart; the channels are a multiple of 4.
fn fill_by_rows(op: &Conv2d, input: &[i8], vertical: Taps, horizontal: Taps, column: &mut [i8]) {
    let window = &op.window;
    let (kernel_w, channels) = (usize::from(window.kernel_w), op.input.channels as usize);
    // One tap takes a pair for each two channels.
    let tap_len = channels / 2 * PIXELS * 4;
    for tap_y in 0..usize::from(window.kernel_h) {
        let column = column.get_mut(tap_y * kernel_w * tap_len..).unwrap_or_default();
        let inside = if vertical.inside().contains(&tap_y) { horizontal.inside() } else { 0..0 };
        for outside in [0..inside.start, inside.end..kernel_w] {
            let slots = column.get_mut(outside.start * tap_len..).unwrap_or_default();
            fill_pairs(slots, outside.len() * channels / 2, op.input.zero_point);
        }
        let y = vertical.position(tap_y, window.dilation_h);
        let together = if window.dilation_w == 1 { inside.len().max(1) } else { 1 };
        let run = Runs { runs: 1, quads: together * (channels / 4), stride: together * channels };
        for tap_x in inside.step_by(together) {
            let x = horizontal.position(tap_x, window.dilation_w);
            let first = (y * usize::from(op.input.width) + x) * channels;
            let slots = column.get_mut(tap_x * tap_len..).unwrap_or_default();
            widen(input.get(first..).unwrap_or_default(), run, slots);
        }
    }
}

/// Writes `count` pairs of equal values, 16 bytes apart.
fn fill_pairs(slots: &mut [i8], count: usize, value: i8) {
    let [low, high] = i16::from(value).to_le_bytes().map(|byte| byte as i8);
    for pair in slots.chunks_mut(PIXELS * 4).take(count).filter_map(|slot| slot.first_chunk_mut::<4>()) {
        *pair = [low, high, low, high];
    }
}
