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
    #[cfg(all(nsi_armv7em, target_abi = "eabihf"))]
    if groups > 1 && (1..=RESIDENT_PAIRS).contains(&gemm.pairs()) && patches.pairs() == gemm.pairs() {
        return convolve_together(gemm, patches, source, groups, output, channels);
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

/// Most pairs of a patch whose weights stay in registers.
#[cfg(all(nsi_armv7em, target_abi = "eabihf"))]
const RESIDENT_PAIRS: usize = 16;

/// Bytes on the stack for the panels of groups that are multiplied together: of four groups or more.
#[cfg(all(nsi_armv7em, target_abi = "eabihf"))]
const PANELS_LEN: usize = 4 * RESIDENT_PAIRS * 16;

/// Does that for as many groups together as there is room for. Everything fits, as `convolve` has checked; a patch has as many
/// pairs as the weights, at least one and at most [`RESIDENT_PAIRS`].
#[cfg(all(nsi_armv7em, target_abi = "eabihf"))]
#[inline(never)]
fn convolve_together(
    gemm: &Gemm<'_>,
    patches: &Patches,
    source: &[Cell<i8>],
    groups: usize,
    output: &[Cell<i8>],
    channels: usize,
) {
    let mut panels = [core::mem::MaybeUninit::<u32>::uninit(); PANELS_LEN / 4];
    let first: *mut i8 = panels.as_mut_ptr().cast();
    let len = gemm.pairs().times(16);
    let together = PANELS_LEN.checked_div(len).unwrap_or(0).max(1);
    let (widen, mut patch) = patches.loop_for(source.as_ptr().cast(), PIXELS, first);
    let mut product = gemm.arguments(0..channels / 2, output.as_ptr().cast_mut().cast(), channels);
    product.panel = first;
    let mut left = groups;
    while left > 0 {
        let count = left.min(together);
        patch.target = first;
        for _ in 0..count {
            // SAFETY: the patches of all groups fit, four at a time; `source` moves from group to group by whole patches, which
            // keeps it aligned where that matters. Of the panels, whose `len` bytes each are multiples of 4, `together` or fewer
            // are written.
            unsafe { widen(&patch) };
            patch.source = patch.source.wrapping_add(patches.pixel_stride.times(PIXELS));
            patch.target = patch.target.wrapping_add(len);
        }
        product.panel_end = patch.target;
        // SAFETY: besides what `arguments` says, it reads `len` bytes of each of the panels that have just been written, and writes
        // `channels` bytes for each of their pixels, one after the other, which the output holds. It keeps the calling convention.
        unsafe { super::gemm::no_std_infer_gemm_groups(&product) };
        product.output = product.output.wrapping_add(channels.times(count.times(PIXELS)));
        left = left.minus(count);
    }
}
