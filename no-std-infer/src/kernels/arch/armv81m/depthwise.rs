//! Depthwise convolution, 3x3: 16 channels at a time go to scratch with their border, then each is multiplied.
#![allow(unsafe_code)]

use core::ops::Range;

use super::{inexact, single};
use crate::bounded::{Bounded, numbered};
use crate::fixed::clamp_i8;
use crate::format::CHANNEL_LEN;
use crate::kernels::{Apart, generic};
use crate::operators::{Activation, Blocks, Conv2d, OutputParams, Plain};

#[cfg(nsi_armv81m)]
#[repr(C)]
struct Rows {
    block: *mut i8,
    columns: usize,
    rows: [*const i8; 4],
    steps: [usize; 4],
    channels: usize,
    left: usize,
    right: usize,
    border: i32,
}

#[cfg(nsi_armv81m)]
#[repr(C)]
struct Products {
    scratch: *const i8,
    taps: *const i8,
    parameters: *const u8,
    output: *mut i8,
    channels: usize,
    pairs: usize,
    single: usize,
    column_pairs: usize,
    odd_column: usize,
    column: usize,
    block: usize,
    pixel: usize,
    row: usize,
    zero_point: i32,
    masks: [u32; 5],
    last_short: usize,
    single_short: usize,
}

#[cfg(nsi_armv81m)]
crate::kernels::arch::assembly! {
    fn no_std_infer_mve_interleave(arguments: *const Rows);
    fn no_std_infer_mve_taps(taps: *mut i8, weights: *const u8, stride: usize, channels: usize);
    fn no_std_infer_mve_depthwise_1_relu(arguments: *mut Products);
    fn no_std_infer_mve_depthwise_1_any(arguments: *mut Products);
    fn no_std_infer_mve_depthwise_2_relu(arguments: *mut Products);
    fn no_std_infer_mve_depthwise_2_any(arguments: *mut Products);
}

/// A depthwise convolution with plain weights. Other windows are left to the generic kernel.
#[inline(always)]
pub fn depthwise_conv2d(op: &Conv2d, constants: &Plain<'_>, views: Apart<'_>) {
    let Some(blocks) = Depthwise::new(op, constants, &views) else {
        return generic::depthwise_conv2d::depthwise_conv2d(op, constants, views);
    };
    let Apart { input, output, scratch, rows } = views;
    let Some((border, rest)) = scratch.split_at_mut_checked(Blocks::CHANNELS) else { return };
    let Some((taps, scratch)) = rest.split_at_mut_checked(Blocks::TAPS_LEN) else { return };
    border.fill(op.input.zero_point);
    taps.fill(0);
    blocks.run(input, output, (border, taps, scratch), rows.start);
    if op.activation != Activation::NONE {
        let (min, max) = (op.activation.min, op.activation.max);
        output.iter_mut().for_each(|out| *out = clamp_i8((*out).into(), min, max));
    }
}

/// A convolution whose constants and views have been checked.
struct Depthwise<'a> {
    op: &'a Conv2d,
    constants: Plain<'a>,
    blocks: Blocks,
    /// Output rows of the part.
    rows: usize,
    /// Output rows of a block.
    block_rows: usize,
    /// From the first to the last output channel that is computed one by one.
    single: Range<usize>,
}

/// A group of up to 16 channels.
#[derive(Clone, Copy)]
struct Group {
    first: usize,
    count: usize,
}

impl<'a> Depthwise<'a> {
    /// `None` where rows of the output have no pair of pixels or are too long for
    /// offsets of 16 bits, or something is too short or not aligned.
    fn new(op: &'a Conv2d, constants: &Plain<'a>, views: &Apart<'_>) -> Option<Self> {
        let blocks = Blocks::new(op)?;
        let (channels, row) = (op.output.channels as usize, op.output.row_len());
        let parameters = constants.channels.bytes();
        let scratch = Blocks::CHANNELS.plus(Blocks::TAPS_LEN).plus(blocks.count.times(blocks.len()));
        let enough = views.input.len() >= op.input.len()
            && views.output.len() >= row.times(views.rows.len())
            && views.scratch.len() >= scratch
            && constants.weights.len() >= channels.times(9)
            && parameters.len() >= channels.times(CHANNEL_LEN);
        let aligned = (parameters.as_ptr() as usize | views.scratch.as_ptr() as usize).is_multiple_of(4);
        let near = op.output.width > 1 && row < 1 << 14 && usize::from(op.window.pad_left) <= blocks.columns;
        let block_rows = if op.window.stride_h == 1 { 2 } else { 1 };
        let single = inexact(parameters, op.output.zero_point);
        let whole = enough && aligned && near;
        whole.then_some(Self { op, constants: *constants, blocks, rows: views.rows.len(), block_rows, single })
    }

    /// Blocks under so many rows of the output.
    fn blocks_of(&self, rows: usize) -> usize {
        rows.plus(self.block_rows.minus(1)).checked_div(self.block_rows).unwrap_or(0)
    }

    /// Makes the part's rows of the output, the first of which is row `first_row` of all. Scratch: a vector of padding, weights
    /// and blocks.
    fn run(
        &self,
        input: &[i8],
        output: &mut [i8],
        (border, taps, scratch): (&[i8], &mut [i8], &mut [i8]),
        first_row: usize,
    ) {
        let channels = self.op.output.channels as usize;
        let all = self.blocks_of(self.rows);
        for first in (0..channels).step_by(Blocks::CHANNELS) {
            let group = Group { first, count: channels.minus(first).min(Blocks::CHANNELS) };
            self.spread(group, taps);
            for start in (0..all).step_by(self.blocks.count.max(1)) {
                let count = all.minus(start).min(self.blocks.count);
                for (index, block) in numbered(scratch.chunks_exact_mut(self.blocks.len().max(1)).take(count)) {
                    let row = first_row.plus(start.plus(index).times(self.block_rows));
                    self.gather(group, input, row, border, block);
                }
                let done = start.times(self.block_rows);
                let rows = count.times(self.block_rows).min(self.rows.minus(done));
                let output = output.get_mut(done.times(self.op.output.row_len())..).unwrap_or_default();
                self.multiply(group, taps, scratch, rows, output);
            }
        }
    }

    /// Puts a group's weights in order.
    fn spread(&self, group: Group, taps: &mut [i8]) {
        let channels = self.op.output.channels as usize;
        let weights = self.constants.weights.get(group.first..).unwrap_or_default();
        let Some(taps) = taps.get_mut(Blocks::CHANNELS..) else { return };
        #[cfg(nsi_armv81m)]
        // SAFETY: it reads a weight for each of the group's channels at nine places `channels` bytes apart, which `new` has checked
        // to lie in the slice, and writes 9 bytes of 16 for each of at most 16 channels, inside `taps`. It keeps the calling
        // convention.
        unsafe {
            no_std_infer_mve_taps(taps.as_mut_ptr(), weights.as_ptr(), channels, group.count);
        }
        #[cfg(not(nsi_armv81m))]
        for (tap, weights) in weights.chunks(channels).take(9).enumerate() {
            for (channel, &weight) in weights.iter().take(group.count).enumerate() {
                taps[channel * 16 + tap % 3 * 4 + tap / 3] = weight as i8;
            }
        }
    }

    /// Copies the four input rows under output row `row` on to a block, of which rows outside the input are padding.
    fn gather(&self, group: Group, input: &[i8], row: usize, border: &[i8], block: &mut [i8]) {
        let (op, window) = (self.op, &self.op.window);
        let (line, channels) = (op.input.row_len(), op.input.channels as usize);
        let top = row.times(window.stride_h.into());
        let rows = [0, 1, 2, 3].map(|below| {
            let y = top.plus(below).checked_sub(window.pad_top.into()).filter(|&y| y < usize::from(op.input.height));
            y.map_or((border, 0), |y| (input.get(y.times(line).plus(group.first)..).unwrap_or_default(), channels))
        });
        let left = usize::from(window.pad_left);
        let columns = usize::from(op.input.width).min(self.blocks.columns.minus(left));
        let right = self.blocks.columns.minus(left).minus(columns);
        #[cfg(nsi_armv81m)]
        // SAFETY: of each row it reads the group's channels of `columns` pixels, inside the input, as `new` has checked of its
        // length, or again and again those of the border, which is a vector. It writes `left + columns + right` columns, as many as
        // a block has. It keeps the calling convention.
        unsafe {
            no_std_infer_mve_interleave(&Rows {
                block: block.as_mut_ptr(),
                columns,
                rows: rows.map(|(row, _)| row.as_ptr()),
                steps: rows.map(|(_, step)| step),
                channels: group.count,
                left,
                right,
                border: op.input.zero_point.into(),
            });
        }
        #[cfg(not(nsi_armv81m))]
        {
            debug_assert!(left + columns + right == self.blocks.columns);
            block.fill(op.input.zero_point);
            for (x, column) in block.chunks_exact_mut(Blocks::COLUMN).skip(left).take(columns).enumerate() {
                for (channel, word) in column.as_chunks_mut::<4>().0.iter_mut().take(group.count).enumerate() {
                    *word = rows.map(|(row, step)| row[x * step + channel]);
                }
            }
        }
    }

    /// Makes `rows` rows of a group's channels, the first of which `output` begins with, from blocks.
    fn multiply(&self, group: Group, taps: &[i8], scratch: &[i8], rows: usize, output: &mut [i8]) {
        let op = self.op;
        let Some(output) = output.get_mut(group.first..) else { return };
        let Some(taps) = taps.get(Blocks::CHANNELS..) else { return };
        let channels = self.constants.channels.skip(group.first);
        #[cfg(nsi_armv81m)]
        // SAFETY: it reads windows of whole columns: those under the outputs, and one of two or four columns ahead, for which
        // blocks have room; of taps the bytes of the group's channels and up to 5 before, where there are zeros; and 12 bytes of
        // parameters a channel. Words are aligned, as `new` has checked. It writes one byte for each of the group's channels in
        // each pixel of `rows` rows, which the output holds: of the last pairs only what the masks name. A row has a pair of
        // pixels, as `new` has checked, since the loop over pairs runs at least once. It keeps the calling convention.
        unsafe {
            let (stride, width) = (op.window.stride_w, usize::from(op.output.width));
            let count = self.blocks_of(rows);
            let short = stride == 1 && !rows.is_multiple_of(2);
            let single = count % 2;
            let function = match (stride, op.output.zero_point) {
                (1, i8::MIN) => no_std_infer_mve_depthwise_1_relu,
                (1, _) => no_std_infer_mve_depthwise_1_any,
                (_, i8::MIN) => no_std_infer_mve_depthwise_2_relu,
                _ => no_std_infer_mve_depthwise_2_any,
            };
            let single_odd = if short || stride == 2 { 0x000F } else { 0x00FF };
            function(&mut Products {
                scratch: scratch.as_ptr(),
                taps: taps.as_ptr(),
                parameters: channels.bytes().as_ptr(),
                output: output.as_mut_ptr(),
                channels: group.count,
                pairs: count / 2,
                single,
                column_pairs: width / 2,
                odd_column: width % 2,
                column: Blocks::COLUMN,
                block: self.blocks.len(),
                pixel: op.output.channels as usize,
                row: op.output.row_len(),
                zero_point: op.output.zero_point.into(),
                masks: [0x00FF, 0x0F0F, single_odd, 0x3F3F, 0x003F],
                last_short: usize::from(short && single == 0),
                single_short: usize::from(short && single == 1),
            });
        }
        #[cfg(not(nsi_armv81m))]
        for (channel, parameters) in channels.iter().take(group.count).enumerate() {
            let (mantissa, shift) = (parameters.multiplier.mantissa, -i32::from(parameters.multiplier.shift));
            self.each(channel, (taps, scratch), rows, output, |sum| {
                super::insn::requantise(parameters.bias.wrapping_add(sum), mantissa, shift, op.output.zero_point)
            });
        }
        let last = self.single.end.min(group.first.plus(group.count));
        for channel in self.single.start.max(group.first)..last {
            let parameters = single(self.constants.channels, channel, op.output.zero_point);
            let Some(parameters) = parameters else { continue };
            self.each(channel.minus(group.first), (taps, scratch), rows, output, |sum| {
                let scaled = parameters.scale(sum.wrapping_add(parameters.bias));
                clamp_i8(scaled.saturating_add(op.output.zero_point.into()), i8::MIN, i8::MAX)
            });
        }
    }

    /// Makes `rows` rows of one of a group's channels from blocks, of which `result` says what a sum of products becomes.
    fn each(
        &self,
        channel: usize,
        (taps, scratch): (&[i8], &[i8]),
        rows: usize,
        output: &mut [i8],
        result: impl Fn(i32) -> i8,
    ) {
        let (op, stride) = (self.op, usize::from(self.op.window.stride_w));
        let (row_len, pixel) = (op.output.row_len(), op.output.channels as usize);
        let taps = taps.get(channel.times(16)..).unwrap_or_default();
        for (y, row) in numbered(output.chunks_mut(row_len.max(1)).take(rows)) {
            let block = (y / self.block_rows.max(1)).times(self.blocks.len()).plus(channel.times(4));
            let block = scratch.get(block.plus(y % self.block_rows.max(1))..).unwrap_or_default();
            for (x, out) in numbered(row.iter_mut().skip(channel).step_by(pixel.max(1))) {
                let window = block.get(x.times(stride).times(Blocks::COLUMN)..).unwrap_or_default();
                let columns = window.chunks(Blocks::COLUMN).zip(taps.chunks_exact(4)).take(3);
                let products = columns.flat_map(|(column, taps)| column.iter().zip(taps).take(3));
                let products = products.map(|(&value, &tap)| i32::from(tap) * i32::from(value));
                *out = result(products.fold(0, |sum: i32, product| sum.plus(product)));
            }
        }
    }
}
