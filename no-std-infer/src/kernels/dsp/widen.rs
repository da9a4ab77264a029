//! From bytes to the panel that the matrix product reads: for each pair of a patch the pairs of four pixels, widened.
#![allow(unsafe_code)]

#[cfg(dsp)]
core::arch::global_asm!(include_str!("widen.s"), options(raw));

#[cfg(dsp)]
unsafe extern "C" {
    fn no_std_infer_widen(arguments: *const Arguments);
    fn no_std_infer_widen_rgb(arguments: *const Arguments);
    fn no_std_infer_widen_3x1(arguments: *const Arguments);
}

#[cfg(dsp)]
#[repr(C)]
struct Arguments {
    source: *const i8,
    target: *mut i8,
    quads: usize,
    runs: usize,
    run_stride: usize,
    pixels: usize,
    pixel_stride: usize,
    left_over: usize,
}

/// The patches of neighbouring pixels: each consists of runs of bytes.
#[derive(Clone, Copy, Debug)]
pub struct Patches {
    /// Groups of four bytes in each run.
    pub quads: usize,
    /// Bytes of each run beyond its groups, 0 to 3.
    pub left_over: usize,
    /// How many runs a patch has.
    pub runs: usize,
    /// Bytes from the start of a run to the start of the next.
    pub run_stride: usize,
    /// Bytes from the start of a patch to the start of the next.
    pub pixel_stride: usize,
}

impl Patches {
    /// Bytes of a run.
    fn run(&self) -> usize {
        self.quads * 4 + self.left_over
    }

    /// Pairs that each patch becomes.
    fn pairs(&self) -> usize {
        self.runs * self.quads * 2 + (self.runs * self.left_over).div_ceil(2)
    }

    /// True when the patches are those of a kernel three columns wide that moves by one column of whole words.
    #[cfg(dsp)]
    fn share_columns(&self, source: *const i8) -> bool {
        let aligned = (source as usize | self.run_stride | self.pixel_stride).is_multiple_of(4);
        aligned && self.pixel_stride > 0 && self.run() == self.pixel_stride * 3
    }
}

/// Widens the patches of `pixels` neighbours, 1 to 4, to the pairs of [`PatchOrder`](crate::ops::PatchOrder). The pairs of
/// a patch lie 16 bytes apart from the panel's first byte on, those of the next patch 4 bytes further. Does nothing when
/// source or panel is too short, or the panel's address is no multiple of 4.
pub fn widen(source: &[i8], patches: &Patches, pixels: usize, panel: &mut [i8]) {
    let pairs = patches.pairs();
    if !(1..=4).contains(&pixels) || pairs == 0 {
        return;
    }
    let aligned = (panel.as_ptr() as usize).is_multiple_of(4);
    let span = (patches.runs - 1) * patches.run_stride + (pixels - 1) * patches.pixel_stride + patches.run();
    if source.len() < span || panel.len() < pairs * 16 - 16 + pixels * 4 || !aligned {
        return;
    }
    #[cfg(dsp)]
    // SAFETY: all three read, pixel by pixel and run by run, no byte beyond `span`, and write words, and halfwords of what
    // is left over, in the pairs of their pixels: the last one ends where the panel's length was checked. Loads need no
    // alignment, or have it; stores have it. They keep the calling convention.
    unsafe {
        let &Patches { quads, left_over, runs, run_stride, pixel_stride } = patches;
        let (source, target) = (source.as_ptr(), panel.as_mut_ptr());
        let arguments = Arguments { source, target, quads, runs, run_stride, pixels, pixel_stride, left_over };
        if (runs, quads, left_over) == (3, 2, 1) {
            no_std_infer_widen_rgb(&arguments);
        } else if pixels == 4 && patches.share_columns(source) {
            no_std_infer_widen_3x1(&arguments);
        } else {
            no_std_infer_widen(&arguments);
        }
    }
    #[cfg(not(dsp))]
    model(source, patches, pixels, panel);
}

#[cfg(not(dsp))]
fn model(source: &[i8], patches: &Patches, pixels: usize, panel: &mut [i8]) {
    use super::insn::{sxtb16, sxtb16_ror8};

    for pixel in 0..pixels {
        let mut next = pixel * 4;
        let mut left_over = next + patches.runs * patches.quads * 32;
        for run in 0..patches.runs {
            let start = pixel * patches.pixel_stride + run * patches.run_stride;
            let (groups, rest) = source[start..][..patches.run()].as_chunks::<4>();
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
