//! Convolution with transformed weights: they are transformed back, a few output channels at a time.

use core::cell::Cell;

use super::{dot, epilogue};
use crate::bounded::{Bounded, numbered};
use crate::kernels::Shared;
use crate::kernels::rows::Rows;
use crate::kernels::views::cells;
use crate::operators::{Activation, Conv2d, Strip, Winograd};

/// Output channels whose weights are transformed back together; the scratch holds them and a strip.
const OUTPUTS: usize = 16;

/// One output row at a time, of some channels.
pub fn conv2d(op: &Conv2d, winograd: &Winograd<'_>, views: Shared<'_, 1>) {
    let Shared { inputs: [input], output, scratch, rows } = views;
    let Some((bytes, weights)) = cells(scratch).split_at_checked(Strip::new(op).len()) else { return };
    let inputs = op.input.channels as usize;
    let (run, stride) = (inputs.times(3), inputs.times(op.window.stride_w.into()));
    let channels = (op.output.channels as usize).max(1);
    let (mut strip, mut held) = (Rows::new(op, bytes, rows.start), None);
    let lines = output.chunks_exact(op.output.row_len().max(1));
    for (y, line) in rows.zip(lines) {
        let source = strip.under(input, y);
        for first in (0..channels).step_by(OUTPUTS) {
            if held.replace(first) != Some(first) {
                recover(op, winograd, first, weights);
            }
            for (x, pixel) in numbered(line.chunks_exact(channels)) {
                let start = |row: usize| row.times(Strip::new(op).pitch).plus(x.times(stride));
                let runs = [0, 1, 2].map(|row| source.get(start(row)..).unwrap_or_default());
                let outputs = pixel.iter().skip(first).take(OUTPUTS);
                let parameters = winograd.channels.skip(first).iter();
                for ((out, weights), channel) in outputs.zip(weights.chunks_exact(run.times(3).max(1))).zip(parameters)
                {
                    let sum =
                        weights.chunks_exact(run.max(1)).zip(runs).map(|(weights, values)| dot_cells(values, weights));
                    let sum = sum.fold(0, i32::wrapping_add);
                    out.set(epilogue(sum, &channel, op.output.zero_point, Activation::NONE));
                }
            }
        }
    }
}

/// The weights of the output channels from `first` on, one after the other, each in the order of a patch.
fn recover(op: &Conv2d, winograd: &Winograd<'_>, first: usize, weights: &[Cell<i8>]) {
    let inputs = (op.input.channels as usize).max(1);
    let rows = weights.chunks_exact(inputs.times(9).max(1)).take(OUTPUTS);
    for (output, row) in (first..op.output.channels as usize).zip(rows) {
        for input in 0..inputs {
            let taps = winograd.weights(output, input);
            let slots = row.iter().skip(input).step_by(inputs);
            slots.zip(taps.as_flattened()).for_each(|(slot, &tap)| slot.set(tap));
        }
    }
}

fn dot_cells(values: &[Cell<i8>], weights: &[Cell<i8>]) -> i32 {
    dot(values.iter().map(Cell::get), weights.iter().map(Cell::get))
}
