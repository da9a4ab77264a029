//! Convolves groups of four neighbouring pixels: what `widen` and `Gemm::multiply` do, checked once for all groups.
#![allow(unsafe_code)]

use super::gemm::Gemm;
use super::widen::Patches;
#[cfg(not(dsp))]
use super::widen::widen;

/// Output pixels of a group.
pub const PIXELS: usize = 4;

/// Convolves `groups` times four pixels whose patches start at the beginning of `source`, and writes their
/// `channels` output channels, an even number, one pixel after the other. Does nothing when a slice is too short.
pub fn convolve(
    gemm: &mut Gemm<'_>,
    patches: &Patches,
    source: &[i8],
    groups: usize,
    output: &mut [i8],
    channels: usize,
) {
    let (pixels, rows) = (groups * PIXELS, channels / 2);
    let fits = patches.fit(source, pixels, gemm.panel_mut()) && output.len() >= pixels * channels;
    if !fits || rows == 0 || rows > gemm.rows() {
        return;
    }
    #[cfg(dsp)]
    {
        let panel = gemm.panel_mut().as_mut_ptr();
        let (widen, mut patch) = patches.loop_for(source.as_ptr(), PIXELS, panel);
        let mut product = gemm.arguments(0..rows, output.as_mut_ptr(), channels);
        for _ in 0..groups {
            // SAFETY: the patches of all groups fit, four at a time; `source` moves from group to group by whole patches,
            // which keeps it aligned where that matters. The output holds `channels` bytes for each of the pixels.
            unsafe {
                widen(&patch);
                super::gemm::no_std_infer_gemm(&product);
            }
            patch.source = patch.source.wrapping_add(PIXELS * patches.pixel_stride);
            product.output = product.output.wrapping_add(PIXELS * channels);
        }
    }
    #[cfg(not(dsp))]
    for (group, output) in output.chunks_exact_mut(PIXELS * channels).take(groups).enumerate() {
        widen(&source[group * PIXELS * patches.pixel_stride..], patches, PIXELS, gemm.panel_mut());
        gemm.multiply(0..rows, output, channels);
    }
}
