//! From bytes to the panel that the matrix product reads: for each pair of a patch the pairs of four pixels, widened.
#![allow(unsafe_code)]

#[cfg(dsp)]
core::arch::global_asm!(include_str!("widen.s"), options(raw));

#[cfg(dsp)]
unsafe extern "C" {
    fn no_std_infer_widen(arguments: *const Arguments);
}

#[cfg(dsp)]
#[repr(C)]
struct Arguments {
    source: *const i8,
    target: *mut i8,
    shape: Patches,
}

/// The patches of neighbouring pixels: each consists of runs of bytes.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Patches {
    /// Groups of four bytes in each run.
    pub quads: usize,
    /// How many runs a patch has.
    pub runs: usize,
    /// Bytes from the start of a run to the start of the next.
    pub run_stride: usize,
    /// How many patches.
    pub pixels: usize,
    /// Bytes from the start of a patch to the start of the next.
    pub pixel_stride: usize,
    /// Bytes of each run beyond its groups, 0 to 3.
    pub left_over: usize,
}

impl Patches {
    /// Bytes from the first to the last, both included; at least one run and one pixel.
    fn span(self) -> usize {
        (self.runs - 1) * self.run_stride + (self.pixels - 1) * self.pixel_stride + self.quads * 4 + self.left_over
    }

    /// Pairs that each patch becomes.
    fn pairs(self) -> usize {
        self.runs * self.quads * 2 + (self.runs * self.left_over).div_ceil(2)
    }
}

/// Widens patches to the pairs of [`PatchOrder`](crate::ops::PatchOrder). Those of a patch lie 16 bytes apart from the
/// panel's first byte on, those of the next patch 4 bytes further. Does nothing when source or panel is too short, a
/// number is 0, or the panel's address is no multiple of 4.
pub fn widen(source: &[i8], patches: Patches, panel: &mut [i8]) {
    let (pixels, pairs) = (patches.pixels, patches.pairs());
    if patches.runs == 0 || !(1..=4).contains(&pixels) || pairs == 0 {
        return;
    }
    let aligned = (panel.as_ptr() as usize).is_multiple_of(4);
    if source.len() < patches.span() || panel.len() < pairs * 16 - 16 + pixels * 4 || !aligned {
        return;
    }
    #[cfg(dsp)]
    // SAFETY: it reads, pixel by pixel and run by run, no byte beyond `span`, and writes words, and halfwords of what is
    // left over, in the pairs of its pixels: the last one ends where the panel's length was checked. Loads need no
    // alignment, or have it; stores have it. It keeps the calling convention.
    unsafe {
        no_std_infer_widen(&Arguments { source: source.as_ptr(), target: panel.as_mut_ptr(), shape: patches });
    }
    #[cfg(not(dsp))]
    model(source, patches, panel);
}

#[cfg(not(dsp))]
fn model(source: &[i8], patches: Patches, panel: &mut [i8]) {
    use super::insn::{sxtb16, sxtb16_ror8};

    for pixel in 0..patches.pixels {
        let mut next = pixel * 4;
        let mut left_over = next + patches.runs * patches.quads * 32;
        for run in 0..patches.runs {
            let start = pixel * patches.pixel_stride + run * patches.run_stride;
            let (groups, rest) = source[start..][..patches.quads * 4 + patches.left_over].as_chunks::<4>();
            for group in groups {
                let word = u32::from_le_bytes(group.map(|byte| byte as u8));
                for pair in [sxtb16(word), sxtb16_ror8(word)] {
                    panel[next..next + 4].copy_from_slice(&pair.to_le_bytes().map(|byte| byte as i8));
                    next += 16;
                }
            }
            for &value in rest {
                panel[left_over..left_over + 2].copy_from_slice(&i16::from(value).to_le_bytes().map(|byte| byte as i8));
                left_over += if left_over % 4 == 0 { 2 } else { 14 };
            }
        }
    }
}
