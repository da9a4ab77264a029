//! From bytes to the panel that the matrix product reads: for each pair of a patch the pairs of four pixels, widened.
#![allow(unsafe_code)]

use core::cell::Cell;

use crate::bounded::Bounded;

#[cfg(nsi_armv7em)]
crate::kernels::arch::assembly! {
    fn no_std_infer_widen(arguments: *const Arguments);
    fn no_std_infer_widen_rgb(arguments: *const Arguments);
    fn no_std_infer_widen_3x1(arguments: *const Arguments);
    fn no_std_infer_widen_four(arguments: *const Arguments);
}

#[cfg(nsi_armv7em)]
#[repr(C)]
pub(super) struct Arguments {
    pub(super) source: *const i8,
    pub(super) target: *mut i8,
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
        self.quads.times(4).plus(self.left_over)
    }

    /// Pairs that each patch becomes.
    pub(super) fn pairs(&self) -> usize {
        self.runs.times(self.quads).times(2).plus(self.runs.times(self.left_over).div_ceil(2))
    }

    /// True when there is something to widen, source and panel are long enough for `pixels` patches, and the panel's
    /// address is a multiple of 4.
    pub(super) fn fit(&self, source: &[Cell<i8>], pixels: usize, panel: &[Cell<i8>]) -> bool {
        let pairs = self.pairs();
        if pixels == 0 || pairs == 0 {
            return false;
        }
        let last = self.runs.minus(1).times(self.run_stride).plus(pixels.minus(1).times(self.pixel_stride));
        let span = last.plus(self.run());
        let aligned = (panel.as_ptr() as usize).is_multiple_of(4);
        aligned && source.len() >= span && panel.len() >= pairs.minus(1).times(16).plus(pixels.min(4) * 4)
    }

    /// The fastest loop for `pixels` of these patches, and its arguments.
    ///
    /// All loops keep the calling convention. They read, pixel by pixel and run by run, nothing outside the patches, and
    /// write words, and halfwords of what is left over, in the pairs of their pixels: the last one ends where
    /// [`fit`](Self::fit) checks the panel's length, when there are at most four pixels. Loads need no alignment, or have
    /// it; stores have it when the panel is aligned.
    #[cfg(nsi_armv7em)]
    pub(super) fn loop_for(&self, source: *const i8, pixels: usize, target: *mut i8) -> (Loop, Arguments) {
        let &Patches { quads, left_over, runs, run_stride, pixel_stride } = self;
        let aligned = (source as usize | run_stride | pixel_stride).is_multiple_of(4);
        // A kernel three columns wide that moves by one column of whole words.
        let shared = pixels == 4 && aligned && pixel_stride > 0 && self.run() == pixel_stride.times(3);
        let function = match (runs, quads, left_over) {
            (3, 2, 1) => no_std_infer_widen_rgb,
            _ if shared => no_std_infer_widen_3x1,
            (1, 1.., 0) if pixels == 4 && aligned => no_std_infer_widen_four,
            _ => no_std_infer_widen,
        };
        (function, Arguments { source, target, quads, runs, run_stride, pixels, pixel_stride, left_over })
    }
}

#[cfg(nsi_armv7em)]
pub(super) type Loop = unsafe extern "C" fn(*const Arguments);

/// Widens the patches of `pixels` neighbours, 1 to 4, to the pairs of [`PatchOrder`](crate::operators::PatchOrder). The pairs of
/// a patch lie 16 bytes apart from the panel's first byte on, those of the next patch 4 bytes further. Does nothing when
/// source or panel is too short, or the panel's address is no multiple of 4.
pub fn widen(source: &[Cell<i8>], patches: &Patches, pixels: usize, panel: &[Cell<i8>]) {
    if pixels > 4 || !patches.fit(source, pixels, panel) {
        return;
    }
    #[cfg(nsi_armv7em)]
    // SAFETY: the patches fit, and there are at most four.
    unsafe {
        let (function, arguments) = patches.loop_for(source.as_ptr().cast(), pixels, panel.as_ptr().cast_mut().cast());
        function(&arguments);
    }
    #[cfg(not(nsi_armv7em))]
    model(source, patches, pixels, panel);
}

#[cfg(not(nsi_armv7em))]
fn model(source: &[Cell<i8>], patches: &Patches, pixels: usize, panel: &[Cell<i8>]) {
    use super::insn::{sxtb16, sxtb16_ror8};

    let write = |at: usize, bytes: &[u8]| panel[at..].iter().zip(bytes).for_each(|(cell, &byte)| cell.set(byte as i8));
    for pixel in 0..pixels {
        let mut next = pixel * 4;
        let mut left_over = next + patches.runs * patches.quads * 32;
        for run in 0..patches.runs {
            let start = pixel * patches.pixel_stride + run * patches.run_stride;
            let (groups, rest) = source[start..][..patches.run()].as_chunks::<4>();
            for group in groups {
                let word = u32::from_le_bytes(group.each_ref().map(|byte| byte.get() as u8));
                for pair in [sxtb16(word), sxtb16_ror8(word)] {
                    write(next, &pair.to_le_bytes());
                    next += 16;
                }
            }
            for value in rest {
                write(left_over, &i16::from(value.get()).to_le_bytes());
                left_over += if left_over.is_multiple_of(4) { 2 } else { 14 };
            }
        }
    }
}
