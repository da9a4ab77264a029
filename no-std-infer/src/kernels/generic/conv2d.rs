//! Convolution with plain weights.

use super::{dot_bytes, epilogue};
use crate::kernels::Shared;
use crate::kernels::window::{gather, horizontal_taps, vertical_taps};
use crate::operators::{Conv2d, PatchOrder, Plain};

/// Gathers the patch of one output pixel at a time, and multiplies it with all output channels.
#[inline(always)]
pub fn conv2d(op: &Conv2d, constants: &Plain<'_>, views: Shared<'_, 1>) {
    let Shared { inputs: [input], output, scratch, rows } = views;
    let patch_len = PatchOrder::conv2d(op).len().max(1);
    let mut pixels = output.chunks_exact((op.output.channels as usize).max(1));
    for y in rows {
        let vertical = vertical_taps(&op.window, y, &op.input);
        for (x, pixel) in (0..usize::from(op.output.width)).zip(&mut pixels) {
            gather(op, input, scratch, vertical, horizontal_taps(&op.window, x, &op.input));
            let weights = constants.weights.chunks_exact(patch_len);
            for ((out, weights), channel) in pixel.iter().zip(weights).zip(constants.channels.iter()) {
                out.set(epilogue(dot_bytes(scratch, weights), &channel, op.output.zero_point, op.activation));
            }
        }
    }
}
