//! Ways through tensors, pixel by pixel.

use core::ops::Range;

use crate::bounded::{Bounded, numbered};
use crate::format::Tensor;

/// Channels that are accumulated side by side.
pub const BLOCK: usize = 16;

/// Where in a tensor the channels of one pixel lie.
pub fn pixel(tensor: &Tensor, y: usize, x: usize) -> Range<usize> {
    let channels = tensor.channels as usize;
    let start = y.times(tensor.width.into()).plus(x).times(channels);
    start..start.plus(channels)
}

/// The channels of some pixels, given by row and column, of `tensor`, whose bytes `values` are.
pub fn pixel_values<'t>(
    values: &'t [i8],
    tensor: &Tensor,
    pixels: impl Iterator<Item = (usize, usize)>,
) -> impl Iterator<Item = &'t [i8]> {
    pixels.filter_map(move |(y, x)| values.get(pixel(tensor, y, x)))
}

/// Sums each channel over some pixels, given by row and column, of `tensor`, whose bytes `values` are, and writes
/// `finish(sum)`.
pub fn sum_channels(
    values: &[i8],
    tensor: &Tensor,
    pixels: impl Iterator<Item = (usize, usize)> + Clone,
    output: &mut [i8],
    finish: impl Fn(i32) -> i8,
) {
    for (block, outputs) in numbered(output.chunks_mut(BLOCK)) {
        let mut sums = [0_i32; BLOCK];
        for channels in pixel_values(values, tensor, pixels.clone()) {
            let channels = channels.get(block.times(BLOCK)..).unwrap_or_default();
            for (sum, &value) in sums.iter_mut().zip(channels) {
                *sum = sum.wrapping_add(i32::from(value));
            }
        }
        for (out, &sum) in outputs.iter_mut().zip(&sums) {
            *out = finish(sum);
        }
    }
}
