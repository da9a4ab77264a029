//! Convolves groups of four neighbouring pixels: what `widen` and `Gemm::multiply` do, checked once for all groups.
#![allow(unsafe_code)]

use core::cell::Cell;

use super::gemm::Gemm;
use super::widen::Patches;
#[cfg(not(nsi_armv7em))]
use super::widen::widen;
use crate::bounded::Bounded;

/// Output pixels of a group.
pub const PIXELS: usize = 4;

/// Convolves `groups` times four pixels whose patches start at the beginning of `source`, and writes their `channels`
/// output channels, an even number, one pixel after the other. A group is read before it is written, so that the output may
/// overwrite the patches of groups before. Does nothing when a slice is too short.
pub fn convolve(
    gemm: &Gemm<'_>,
    patches: &Patches,
    source: &[Cell<i8>],
    groups: usize,
    output: &[Cell<i8>],
    channels: usize,
) {
    let (pixels, rows) = (groups.times(PIXELS), channels / 2);
    let fits = patches.fit(source, pixels, gemm.panel()) && output.len() >= pixels.times(channels);
    if !fits || rows == 0 || rows > gemm.rows() {
        return;
    }
    #[cfg(nsi_armv7em)]
    {
        let panel = gemm.panel().as_ptr().cast_mut().cast();
        let (widen, mut patch) = patches.loop_for(source.as_ptr().cast(), PIXELS, panel);
        let mut product = gemm.arguments(0..rows, output.as_ptr().cast_mut().cast(), channels);
        for _ in 0..groups {
            // SAFETY: the patches of all groups fit, four at a time; `source` moves from group to group by whole patches,
            // which keeps it aligned where that matters. The output holds `channels` bytes for each of the pixels.
            unsafe {
                widen(&patch);
                super::gemm::no_std_infer_gemm(&product);
            }
            patch.source = patch.source.wrapping_add(patches.pixel_stride.times(PIXELS));
            product.output = product.output.wrapping_add(channels.times(PIXELS));
        }
    }
    #[cfg(not(nsi_armv7em))]
    for (group, output) in output.chunks_exact(PIXELS * channels).take(groups).enumerate() {
        widen(&source[group * PIXELS * patches.pixel_stride..], patches, PIXELS, gemm.panel());
        gemm.multiply(0..rows, output, channels);
    }
}
