//! Convolution: patches of four output pixels are put into a panel, which is multiplied with pairs of output channels.

use core::cell::Cell;
use core::ops::Range;

use super::{Block, PIXELS, Patch, Weights};
use crate::bounded::{Bounded, numbered};
use crate::kernels::Shared;
use crate::kernels::copy::unsigned;
use crate::kernels::rows::Rows;
use crate::kernels::views::cells;
use crate::operators::{Conv2d, Packed, PatchOrder, Strip, Winograd, panel_len};

/// A convolution with packed weights.
pub fn packed<B: Block>(op: &Conv2d, packed: &Packed<'_>, views: Shared<'_, 1>) {
    let Shared { inputs: [input], output, scratch, rows } = views;
    let Some((panel, strip)) = cells(scratch).split_at_checked(panel_len(op)) else { return };
    let mut strip = Rows::new(op, strip, rows.start);
    let weights = Weights { pairs: packed.order.pairs(), words: packed.words, channels: packed.channels };
    let patches = Patches { op, order: packed.order, input };
    let source = |y| if op.window.taps() > 1 { strip.under(input, y) } else { patches.row(y) };
    patches.multiply::<B>(panel, source, (output, rows), (&weights, 0));
}

/// A convolution with transformed weights. They are transformed back, as many output channels at a time as there is scratch
/// for. Where these are not all and the output overwrites the input, that is done for each band of rows, under which the input
/// is copied first. `None` when they cannot be packed: then the input is as it was.
pub fn winograd<B: Block>(op: &Conv2d, winograd: &Winograd<'_>, views: &mut Shared<'_, 1>) -> Option<()> {
    let Shared { inputs: [input], output, rows, .. } = views;
    let (panel, rest) = views.scratch.split_at_mut_checked(panel_len(op))?;
    let (order, pairs) = (PatchOrder::conv2d(op), op.output.channels as usize / 2);
    let (row, apart) = (order.pairs().times(4).max(1), !op.input.overlaps(&op.output));
    let (lines, mut strip) = (usize::from(op.window.stride_h), Strip::new(op));
    let mut together = rows.len().max(1);
    let in_bands = !apart && strip.len().plus(pairs.times(row)) > rest.len();
    if in_bands {
        // The copy takes up to half of the scratch.
        let more = (rest.len() / 2 / strip.pitch.max(1)).saturating_sub(strip.rows) / lines.max(1);
        together = more.plus(1);
        strip.rows = strip.rows.plus(more.times(lines));
    }
    let (bytes, words) = rest.split_at_mut_checked(strip.len())?;
    let (panel, words, pitch) = (cells(panel), unsigned(words), strip.pitch);
    let mut strip = Rows::with_strip(op, strip, cells(bytes));
    let patches = Patches { op, order, input };
    let room = (words.len() / row).min(pairs).max(1);
    let firsts = || (0..pairs).step_by(room);
    if !apart {
        firsts().try_for_each(|first| recover(order, winograd, first..pairs, words))?;
    }
    let mut held = None;
    for (start, output) in rows.clone().step_by(together).zip(output.chunks(together.times(op.output.row_len()).max(1)))
    {
        let rows = start..rows.end.min(start.plus(together));
        for first in firsts() {
            if held.replace(first) != Some(first) {
                recover(order, winograd, first..pairs, words)?;
            }
            let channels = winograd.channels.skip(first.times(2));
            let weights = Weights { pairs: order.pairs(), words, channels }.take(room.min(pairs.minus(first)));
            let source = |y| {
                let top = if in_bands { start } else { y };
                strip.under(input, top).get(y.minus(top).times(lines).times(pitch)..).unwrap_or_default()
            };
            patches.multiply::<B>(panel, source, (output, rows.clone()), (&weights, first.times(2)));
        }
    }
    Some(())
}

/// Where a convolution's patches come from.
struct Patches<'a> {
    op: &'a Conv2d,
    order: PatchOrder,
    /// The input tensor.
    input: &'a [Cell<i8>],
}

impl<'a> Patches<'a> {
    /// Multiplies the patches of output rows `rows`, whose bytes are `output`, four at a time, with the output channels from
    /// `first` on; `source` gives the rows of the input under an output row.
    fn multiply<B: Block>(
        &self,
        panel: &[Cell<i8>],
        mut source: impl FnMut(usize) -> &'a [Cell<i8>],
        (output, rows): (&[Cell<i8>], Range<usize>),
        (weights, first): (&Weights<'_>, usize),
    ) {
        let (op, order) = (self.op, self.order);
        let (width, channels) = (usize::from(op.output.width), (op.output.channels as usize).max(1));
        let Some(slots) = B::slots(panel).get(..order.pairs().times(2 * B::SLOTS)) else { return };
        let mut outputs = output.chunks(channels.times(PIXELS).max(1));
        let mut product = || {
            let output = outputs.next().and_then(|output| output.get(first..)).unwrap_or_default();
            multiply::<B>(slots, weights, output, (channels, first));
        };
        let (step, mut pixel) = (usize::from(op.window.stride_w).times(op.input.channels as usize), 0);
        let patch = self.patch();
        for y in rows {
            let source = source(y);
            for x in 0..width {
                let source = source.get(x.times(step)..).unwrap_or_default();
                B::fill(&Patch { source, ..patch }, slots, pixel);
                pixel = pixel.plus(1);
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
            row_stride: Strip::new(self.op).pitch.times(window.dilation_h.into()),
            columns: if window.dilation_w == 1 { 1 } else { usize::from(window.kernel_w) },
            column_stride: usize::from(window.dilation_w).times(self.op.input.channels as usize),
        }
    }

    /// What lies under output row `y` of a convolution with a single tap.
    fn row(&self, y: usize) -> &'a [Cell<i8>] {
        let first = y.times(self.op.window.stride_h.into()).times(self.op.input.row_len());
        self.input.get(first..).unwrap_or_default()
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
    let full = output.len().plus(first) == channels.times(PIXELS);
    let whole = if full { weights.len().min(channels.minus(first) / 2) } else { 0 };
    B::multiply(slots, &weights.take(whole), output, channels);
    // What would be written beyond the output goes through a buffer.
    for pair in whole..weights.len() {
        let results = [const { Cell::new(0) }; 2 * PIXELS];
        B::multiply(slots, &weights.skip(pair).take(1), &results, 2);
        let present = channels.minus(first).minus(pair.times(2)).min(2);
        for (pixel, results) in output.chunks(channels.max(1)).zip(results.as_chunks::<2>().0) {
            for (out, result) in pixel.iter().skip(pair.times(2)).zip(&results[..present]) {
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
    for (pair, words) in pairs.zip(words.chunks_exact_mut(order.pairs().times(4).max(1))) {
        let halfwords = words.as_chunks_mut::<2>().0;
        let mut magnitude = 0_u32;
        for input in 0..inputs {
            let [first, second] = [0, 1].map(|channel| winograd.weights(pair.times(2).plus(channel), input));
            for (row, (first, second)) in numbered(first.iter().zip(&second)) {
                for (column, (&a, &b)) in numbered(first.iter().zip(second)) {
                    let packed = i16::from(a).checked_add(i16::from(b) << 8)?;
                    *halfwords.get_mut(order.position_in(row, column.times(inputs).plus(input)))? =
                        packed.to_le_bytes();
                    magnitude = magnitude.plus(b.unsigned_abs().into());
                }
            }
        }
        if magnitude >= 1 << 16 {
            return None;
        }
    }
    Some(())
}
