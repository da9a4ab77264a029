//! Convolution: patches of four output pixels are put into a panel, which is multiplied with pairs of output channels.

use core::cell::Cell;
use core::ops::Range;

use super::{Block, PIXELS, Patch, Weights};
use crate::format::{Conv2d, Op};
use crate::kernels::copy::unsigned;
use crate::kernels::rows::Rows;
use crate::ops::{Packed, PatchOrder, Strip, Winograd, panel_len};

/// Output rows `rows` of a convolution with packed weights.
pub fn packed<B: Block>(arena: &mut [i8], op: &Conv2d, packed: &Packed<'_>, rows: Range<usize>) {
    let Some((regions, scratch)) = Regions::split(arena, op) else { return };
    let Some((panel, strip)) = scratch.split_at_mut_checked(panel_len(op)) else { return };
    let mut strip = Rows::new(op, cells(strip));
    let weights = Weights { pairs: packed.order.pairs(), words: packed.words, channels: packed.channels };
    let patches = Patches { op, order: packed.order, regions };
    let source = |y| if op.window.taps() > 1 { strip.under(regions.input, y) } else { patches.row(y) };
    patches.multiply::<B>(cells(panel), source, rows, (&weights, 0));
}

/// Output rows `rows` of a convolution with transformed weights. They are transformed back, as many output channels at a
/// time as there is scratch for. Where these are not all and the output overwrites the input, that is done for each band of
/// rows, under which the input is copied first. `None` when they cannot be packed: then the input is as it was.
pub fn winograd<B: Block>(arena: &mut [i8], op: &Conv2d, winograd: &Winograd<'_>, rows: Range<usize>) -> Option<()> {
    let (regions, scratch) = Regions::split(arena, op)?;
    let (panel, rest) = scratch.split_at_mut_checked(panel_len(op))?;
    let (order, pairs) = (PatchOrder::conv2d(op), op.output.channels as usize / 2);
    let (row, apart) = ((order.pairs() * 4).max(1), !op.input.overlaps(&op.output));
    let (lines, mut strip) = (usize::from(op.window.stride_h), Strip::new(op));
    let mut together = rows.len().max(1);
    let in_bands = !apart && strip.len() + pairs * row > rest.len();
    if in_bands {
        // The copy takes up to half of the scratch.
        together = (rest.len() / 2 / strip.pitch.max(1)).saturating_sub(strip.rows) / lines.max(1) + 1;
        strip.rows += (together - 1) * lines;
    }
    let (bytes, words) = rest.split_at_mut_checked(strip.len())?;
    let (panel, words, pitch) = (cells(panel), unsigned(words), strip.pitch);
    let mut strip = Rows::with_strip(op, strip, cells(bytes));
    let patches = Patches { op, order, regions };
    let room = (words.len() / row).min(pairs).max(1);
    let firsts = || (0..pairs).step_by(room);
    if !apart {
        firsts().try_for_each(|first| recover(order, winograd, first..pairs, words))?;
    }
    let mut held = None;
    for start in rows.clone().step_by(together) {
        let rows = start..rows.end.min(start + together);
        for first in firsts() {
            if held.replace(first) != Some(first) {
                recover(order, winograd, first..pairs, words)?;
            }
            let channels = winograd.channels.skip(first * 2);
            let weights = Weights { pairs: order.pairs(), words, channels }.take(room.min(pairs - first));
            let source = |y| {
                let top = if in_bands { start } else { y };
                strip.under(regions.input, top).get((y - top) * lines * pitch..).unwrap_or_default()
            };
            patches.multiply::<B>(panel, source, rows.clone(), (&weights, first * 2));
        }
    }
    Some(())
}

fn cells(bytes: &mut [i8]) -> &[Cell<i8>] {
    Cell::from_mut(bytes).as_slice_of_cells()
}

/// Input and output, which may share bytes.
#[derive(Clone, Copy)]
struct Regions<'a> {
    input: &'a [Cell<i8>],
    output: &'a [Cell<i8>],
}

impl<'a> Regions<'a> {
    /// Both, and the scratch, which lies apart from them.
    fn split(arena: &'a mut [i8], op: &Conv2d) -> Option<(Self, &'a mut [i8])> {
        let (start, len) = (op.scratch as usize, Op::Conv2d(*op).scratch_len() as usize);
        let (before, rest) = arena.split_at_mut_checked(start)?;
        let (scratch, after) = rest.split_at_mut_checked(len)?;
        let (before, after) = (cells(before), cells(after));
        let find = |range: Range<usize>| match range.start.checked_sub(start + len) {
            Some(start) => after.get(start..start + range.len()),
            None => before.get(range),
        };
        Some((Self { input: find(op.input.range())?, output: find(op.output.range())? }, scratch))
    }
}

/// Where a convolution's patches come from.
struct Patches<'a> {
    op: &'a Conv2d,
    order: PatchOrder,
    regions: Regions<'a>,
}

impl<'a> Patches<'a> {
    /// Multiplies the patches of output rows `rows`, four at a time, with the output channels from `first` on; `source` gives
    /// the rows of the input under an output row.
    fn multiply<B: Block>(
        &self,
        panel: &[Cell<i8>],
        mut source: impl FnMut(usize) -> &'a [Cell<i8>],
        rows: Range<usize>,
        (weights, first): (&Weights<'_>, usize),
    ) {
        let (op, order) = (self.op, self.order);
        let (width, channels) = (usize::from(op.output.width), (op.output.channels as usize).max(1));
        let Some(slots) = B::slots(panel).get(..order.pairs() * 2 * B::SLOTS) else { return };
        let Some(output) = self.regions.output.get(rows.start * width * channels..rows.end * width * channels) else {
            return;
        };
        let mut outputs = output.chunks((channels * PIXELS).max(1));
        let mut product = || {
            let output = outputs.next().and_then(|output| output.get(first..)).unwrap_or_default();
            multiply::<B>(slots, weights, output, (channels, first));
        };
        let (step, mut pixel) = (usize::from(op.window.stride_w) * op.input.channels as usize, 0);
        let patch = self.patch();
        for y in rows {
            let source = source(y);
            for x in 0..width {
                let source = source.get(x * step..).unwrap_or_default();
                B::fill(&Patch { source, ..patch }, slots, pixel);
                pixel += 1;
                if pixel == PIXELS {
                    product();
                    pixel = 0;
                }
            }
        }
        if pixel > 0 {
            product();
        }
    }

    /// What all patches have in common.
    fn patch(&self) -> Patch<'a> {
        let window = &self.op.window;
        Patch {
            source: &[],
            order: self.order,
            row_stride: Strip::new(self.op).pitch * usize::from(window.dilation_h),
            columns: if window.dilation_w == 1 { 1 } else { usize::from(window.kernel_w) },
            column_stride: usize::from(window.dilation_w) * self.op.input.channels as usize,
        }
    }

    /// What lies under output row `y` of a convolution with a single tap.
    fn row(&self, y: usize) -> &'a [Cell<i8>] {
        let row = usize::from(self.op.input.width) * self.op.input.channels as usize;
        self.regions.input.get(y * usize::from(self.op.window.stride_h) * row..).unwrap_or_default()
    }
}

/// Multiplies a panel with the output channels from `first` on, of `channels`, and writes them for as many pixels as the
/// output has.
fn multiply<B: Block>(
    slots: &[Cell<B::Slot>],
    weights: &Weights<'_>,
    output: &[Cell<i8>],
    (channels, first): (usize, usize),
) {
    let full = output.len() + first == channels * PIXELS;
    let whole = if full { weights.len().min((channels - first) / 2) } else { 0 };
    B::multiply(slots, &weights.take(whole), output, channels);
    // What would be written beyond the output goes through a buffer.
    for pair in whole..weights.len() {
        let results = [const { Cell::new(0) }; 2 * PIXELS];
        B::multiply(slots, &weights.skip(pair).take(1), &results, 2);
        let present = (channels - first - pair * 2).min(2);
        for (pixel, results) in output.chunks(channels.max(1)).zip(results.as_chunks::<2>().0) {
            for (out, result) in pixel.iter().skip(pair * 2).zip(&results[..present]) {
                out.set(result.get());
            }
        }
    }
}

/// Writes the packed words of pairs of output channels `pairs`, as many as there is room for; `None` when they have none
/// that [`Packed`] allows.
fn recover(order: PatchOrder, winograd: &Winograd<'_>, pairs: Range<usize>, words: &mut [u8]) -> Option<()> {
    words.fill(0);
    let inputs = order.run / 3;
    for (pair, words) in pairs.zip(words.chunks_exact_mut((order.pairs() * 4).max(1))) {
        let halfwords = words.as_chunks_mut::<2>().0;
        let mut magnitude = 0_u32;
        for input in 0..inputs {
            let [first, second] = [0, 1].map(|channel| winograd.weights(pair * 2 + channel, input));
            for (row, (first, second)) in first.iter().zip(&second).enumerate() {
                for (column, (&a, &b)) in first.iter().zip(second).enumerate() {
                    let packed = i16::from(a).checked_add(i16::from(b) << 8)?;
                    *halfwords.get_mut(order.position_in(row, column * inputs + input))? = packed.to_le_bytes();
                    magnitude += u32::from(b.unsigned_abs());
                }
            }
        }
        if magnitude >= 1 << 16 {
            return None;
        }
    }
    Some(())
}
