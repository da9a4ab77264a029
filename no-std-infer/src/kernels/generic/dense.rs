//! Fully connected layers.

use super::{dot_bytes, epilogue};
use crate::format::DENSE_BLOCK_LEN;
use crate::kernels::Apart;
use crate::operators::{Activation, Channels, DENSE_BLOCK, Dense, DensePacked, DenseParams, DensePlain, unpack};

/// The weights of four outputs for four inputs.
pub type Block = [u8; DENSE_BLOCK_LEN];

/// A layer with plain weights.
#[inline(always)]
pub fn plain(op: &Dense, constants: &DensePlain<'_>, views: Apart<'_>) {
    multiply(op, constants, views, dot_bytes);
}

/// The same, given how a vector is multiplied with the weights of an output.
#[inline(always)]
pub fn multiply(op: &Dense, constants: &DensePlain<'_>, views: Apart<'_>, dot: impl Fn(&[i8], &[u8]) -> i32) {
    let rows = constants.weights.chunks_exact(op.inputs().max(1));
    for_each_vector(op, views, |input, output| {
        for ((out, weights), channel) in output.iter_mut().zip(rows.clone()).zip(constants.channels.iter()) {
            *out = epilogue(dot(input, weights), &channel, op.output.zero_point, op.activation);
        }
    });
}

/// A layer with packed weights.
pub fn packed(op: &Dense, constants: &DensePacked<'_>, views: Apart<'_>) {
    let channels = constants.channels();
    let rows = constants.blocks.chunks_exact((op.inputs() / DENSE_BLOCK).max(1));
    for_each_vector(op, views, |input, output| {
        let mut channels = channels;
        for (output, blocks) in output.chunks_mut(DENSE_BLOCK).zip(rows.clone()) {
            finish(channels, op.output.zero_point, op.activation, output, products(input, blocks));
            channels = channels.skip(DENSE_BLOCK);
        }
    });
}

/// Calls `multiply(vector, its outputs)` for each vector.
#[inline(always)]
fn for_each_vector(op: &Dense, views: Apart<'_>, mut multiply: impl FnMut(&[i8], &mut [i8])) {
    let mut rest = views.input;
    for output in views.output.chunks_exact_mut((op.output.channels as usize).max(1)) {
        let Some((input, after)) = rest.split_at_checked(op.inputs()) else { return };
        rest = after;
        multiply(input, output);
    }
}

/// Scales the sums of up to four outputs, whose parameters come first in `channels`.
#[inline(never)]
pub fn finish(
    channels: Channels<'_, DenseParams>,
    zero_point: i8,
    activation: Activation,
    output: &mut [i8],
    sums: [i32; DENSE_BLOCK],
) {
    for ((out, sum), channel) in output.iter_mut().zip(sums).zip(channels.iter()) {
        *out = epilogue(sum, &channel, zero_point, activation);
    }
}

/// The products of a vector with the weights of four outputs.
pub fn products(input: &[i8], blocks: &[Block]) -> [i32; DENSE_BLOCK] {
    let mut sums = [0_i32; DENSE_BLOCK];
    for (&[e0, e1, e2, e3], block) in input.as_chunks::<DENSE_BLOCK>().0.iter().zip(blocks) {
        for (sums, half) in sums.as_chunks_mut::<2>().0.iter_mut().zip(block.as_chunks::<8>().0) {
            for (value, &halfword) in [e0, e2, e1, e3].into_iter().zip(half.as_chunks::<2>().0) {
                let (even, odd) = unpack(halfword);
                sums[0] = sums[0].wrapping_add(i32::from(value) * i32::from(even));
                sums[1] = sums[1].wrapping_add(i32::from(value) * i32::from(odd));
            }
        }
    }
    sums
}
