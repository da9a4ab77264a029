//! Convolution: patches of four output pixels are put into a panel, which is multiplied with pairs of output channels.

use core::cell::Cell;
use core::ops::Range;

use super::requantise::finish;
use super::{Block, PIXELS};
use crate::format::{Conv2d, Op};
use crate::kernels::copy::unsigned;
use crate::kernels::rows::Rows;
use crate::ops::{Channels, Packed, PackedParams, PatchOrder, Strip, Winograd, panel_len};

/// Output rows `rows` of a convolution with packed weights; all of them where the output lies in place of the input.
pub fn packed<B: Block>(arena: &mut [i8], op: &Conv2d, packed: &Packed<'_>, rows: Range<usize>) {
    let arena = Cell::from_mut(arena).as_slice_of_cells();
    let scratch = op.scratch as usize..op.scratch as usize + Op::Conv2d(*op).scratch_len() as usize;
    let [input, output, scratch] =
        [op.input.range(), op.output.range(), scratch].map(|range| arena.get(range).unwrap_or_default());
    let Some((panel, strip)) = scratch.split_at_checked(panel_len(op)) else { return };
    let patches = Patches { op, order: packed.order, input, strip };
    patches.multiply::<B>(panel, output, rows, &Pairs { words: packed.words, channels: packed.channels, first: 0 });
}

/// Output rows `rows` of a convolution with transformed weights. They are transformed back, as many output channels at a
/// time as there is scratch for.
pub fn winograd<B: Block>(arena: &mut [i8], op: &Conv2d, winograd: &Winograd<'_>, rows: Range<usize>) {
    let scratch = op.scratch as usize..op.scratch as usize + Op::Conv2d(*op).scratch_len() as usize;
    let order = PatchOrder::conv2d(op);
    let pairs = op.output.channels as usize / 2;
    let mut first = 0;
    while first < pairs {
        let Ok([input, output, scratch]) =
            arena.get_disjoint_mut([op.input.range(), op.output.range(), scratch.clone()])
        else {
            return;
        };
        let Some((panel, rest)) = scratch.split_at_mut_checked(panel_len(op)) else { return };
        let Some((strip, words)) = rest.split_at_mut_checked(Strip::new(op).len()) else { return };
        let words = recover(order, winograd, first..pairs, words);
        let count = words.len() / (order.pairs() * 4).max(1);
        if count == 0 {
            return;
        }
        let [input, output, panel, strip] =
            [input, output, panel, strip].map(|bytes| Cell::from_mut(bytes).as_slice_of_cells());
        let patches = Patches { op, order, input, strip };
        let channels = winograd.channels.skip(first * 2);
        patches.multiply::<B>(panel, output, rows.clone(), &Pairs { words, channels, first: first * 2 });
        first += count;
    }
}

/// Pairs of output channels, from channel `first` on.
struct Pairs<'a> {
    words: &'a [u8],
    channels: Channels<'a, PackedParams>,
    first: usize,
}

impl Pairs<'_> {
    /// Multiplies a panel and writes the results of as many pixels as the output has.
    fn multiply<B: Block>(&self, order: PatchOrder, slots: &[Cell<B::Slot>], output: &[Cell<i8>], op: &Conv2d) {
        let outputs = op.output.channels as usize;
        let mut channels = self.channels.iter();
        let rows = self.words.chunks_exact((order.pairs() * 4).max(1));
        for (words, first) in rows.zip((self.first..outputs).step_by(2)) {
            for (sums, channel) in B::sums(slots, words).iter().zip(first..outputs) {
                let Some(parameters) = channels.next() else { return };
                let pixels = output.get(channel..).unwrap_or_default().iter().step_by(outputs.max(1));
                for (out, &sum) in pixels.zip(sums) {
                    out.set(finish(sum, &parameters));
                }
            }
        }
    }
}

/// Where a convolution's patches come from.
struct Patches<'a> {
    op: &'a Conv2d,
    order: PatchOrder,
    input: &'a [Cell<i8>],
    /// Scratch for the rows of the input with their padding.
    strip: &'a [Cell<i8>],
}

impl<'a> Patches<'a> {
    /// Multiplies the patches of output rows `rows`, four at a time.
    fn multiply<B: Block>(
        &self,
        panel: &[Cell<i8>],
        output: &[Cell<i8>],
        rows: Range<usize>,
        pairs: &Pairs<'_>,
    ) {
        let (op, order) = (self.op, self.order);
        let (width, channels) = (usize::from(op.output.width), (op.output.channels as usize).max(1));
        let Some(slots) = B::slots(panel).get(..order.pairs() * 2 * B::SLOTS) else { return };
        let output = output.get(rows.start * width * channels..rows.end * width * channels).unwrap_or_default();
        let mut outputs = output.chunks(channels * PIXELS);
        let mut strip = Rows::new(op, self.strip);
        let mut pixel = 0;
        for y in rows {
            let source = if op.window.taps() > 1 { strip.under(self.input, y) } else { self.row(y) };
            for x in 0..width {
                self.fill::<B>(source, x, slots, pixel);
                pixel += 1;
                if pixel == PIXELS {
                    pairs.multiply::<B>(order, slots, outputs.next().unwrap_or_default(), op);
                    pixel = 0;
                }
            }
        }
        if pixel > 0 {
            pairs.multiply::<B>(order, slots, outputs.next().unwrap_or_default(), op);
        }
    }

    /// What lies under output row `y` of a convolution with a single tap.
    fn row(&self, y: usize) -> &'a [Cell<i8>] {
        let row = usize::from(self.op.input.width) * self.op.input.channels as usize;
        self.input.get(y * usize::from(self.op.window.stride_h) * row..).unwrap_or_default()
    }

    /// Puts the patch of output column `x` into the panel as that of pixel `pixel`.
    fn fill<B: Block>(&self, source: &[Cell<i8>], x: usize, slots: &[Cell<B::Slot>], pixel: usize) {
        let (window, channels, order) = (&self.op.window, self.op.input.channels as usize, self.order);
        let slot = pixel * B::SLOTS / PIXELS;
        let Some((quads, left_over)) = slots.split_at_checked(order.runs * order.quads() * 4 * B::SLOTS) else { return };
        let (Some(quads), Some(left_over)) = (quads.get(slot..), left_over.get(slot.min(left_over.len())..)) else { return };
        let mut quads = quads.chunks(4 * B::SLOTS);
        let mut left_over = left_over.iter().step_by(B::SLOTS);
        let source = source.get(x * usize::from(window.stride_w) * channels..).unwrap_or_default();
        let columns = if window.dilation_w == 1 { 1 } else { usize::from(window.kernel_w) };
        let pitch = Strip::new(self.op).pitch * usize::from(window.dilation_h);
        for row in 0..usize::from(window.kernel_h) {
            for column in 0..columns {
                let start = row * pitch + column * usize::from(window.dilation_w) * channels;
                let run = source.get(start..).and_then(|rest| rest.get(..order.run)).unwrap_or_default();
                let (groups, rest) = run.as_chunks::<4>();
                for ([e0, e1, e2, e3], slots) in groups.iter().zip(&mut quads) {
                    let Some(slots) = slots.get(..=3 * B::SLOTS) else { return };
                    B::put(&slots[0], pixel, e0.get());
                    B::put(&slots[B::SLOTS], pixel, e2.get());
                    B::put(&slots[2 * B::SLOTS], pixel, e1.get());
                    B::put(&slots[3 * B::SLOTS], pixel, e3.get());
                }
                for (element, slot) in rest.iter().zip(&mut left_over) {
                    B::put(slot, pixel, element.get());
                }
            }
        }
    }
}

/// Writes the packed words of pairs of output channels `pairs`, as many as there is room for, and gives them.
fn recover<'w>(order: PatchOrder, winograd: &Winograd<'_>, pairs: Range<usize>, room: &'w mut [i8]) -> &'w [u8] {
    let room = unsigned(room);
    let row = (order.pairs() * 4).max(1);
    let count = (room.len() / row).min(pairs.len());
    let words = room.get_mut(..count * row).unwrap_or_default();
    words.fill(0);
    let inputs = (order.run / 3).max(1);
    for (pair, words) in pairs.zip(words.chunks_exact_mut(row)) {
        let halfwords = words.as_chunks_mut::<2>().0;
        for input in 0..inputs {
            let weights = [0, 1].map(|channel| winograd.weights(pair * 2 + channel, input));
            for (index, (&a, &b)) in weights[0].as_flattened().iter().zip(weights[1].as_flattened()).enumerate() {
                if let Some(halfword) = halfwords.get_mut(order.position_in(index / 3, index % 3 * inputs + input)) {
                    *halfword = (i16::from(a).wrapping_add(i16::from(b) << 8)).to_le_bytes();
                }
            }
        }
    }
    words
}
