//! Convolution with transformed weights: they are transformed back, a few output channels at a time.

use core::ops::Range;

use super::super::window::{gather, horizontal_taps, vertical_taps};
use super::epilogue;
use super::walk::pixel;
use crate::format::{Activation, Conv2d, Op};
use crate::ops::{PatchOrder, Winograd};

/// Output channels whose weights are transformed back together; with them the scratch holds a patch.
const OUTPUTS: usize = 16;

/// Output rows `rows`.
pub fn conv2d(arena: &mut [i8], op: &Conv2d, winograd: &Winograd<'_>, rows: Range<usize>) {
    let scratch = op.scratch as usize..op.scratch as usize + Op::Conv2d(*op).scratch_len() as usize;
    let len = PatchOrder::conv2d(op).len().max(1);
    for first in (0..op.output.channels as usize).step_by(OUTPUTS) {
        let regions = arena.get_mut(scratch.clone()).and_then(|scratch| scratch.split_at_mut_checked(len));
        let Some((_, weights)) = regions else { return };
        recover(op, winograd, first, weights);
        for y in rows.clone() {
            let vertical = vertical_taps(&op.window, y, &op.input);
            for x in 0..usize::from(op.output.width) {
                let horizontal = horizontal_taps(&op.window, x, &op.input);
                let regions = arena.get_disjoint_mut([op.input.range(), scratch.clone(), pixel(&op.output, y, x)]);
                let Ok([input, scratch, output]) = regions else { return };
                let Some((patch, weights)) = scratch.split_at_mut_checked(len) else { return };
                gather(op, input, patch, vertical, horizontal);
                let output = output.iter_mut().skip(first).take(OUTPUTS);
                let channels = winograd.channels.skip(first).iter();
                for ((out, weights), channel) in output.zip(weights.chunks_exact(len)).zip(channels) {
                    *out = epilogue(dot(patch, weights), &channel, op.output.zero_point, Activation::NONE);
                }
            }
        }
    }
}

/// The weights of the output channels from `first` on, one after the other, each in the order of a patch.
fn recover(op: &Conv2d, winograd: &Winograd<'_>, first: usize, weights: &mut [i8]) {
    let inputs = (op.input.channels as usize).max(1);
    let rows = weights.chunks_exact_mut((inputs * op.window.taps()).max(1)).take(OUTPUTS);
    for (output, row) in (first..op.output.channels as usize).zip(rows) {
        for input in 0..inputs {
            let taps = winograd.weights(output, input);
            let slots = row.iter_mut().skip(input).step_by(inputs);
            slots.zip(taps.as_flattened()).for_each(|(slot, &tap)| *slot = tap);
        }
    }
}

fn dot(values: &[i8], weights: &[i8]) -> i32 {
    let products = values.iter().zip(weights).map(|(&x, &w)| i32::from(x) * i32::from(w));
    products.fold(0, i32::wrapping_add)
}
