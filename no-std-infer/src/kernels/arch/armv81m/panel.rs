//! Patches of output pixels, side by side in vectors of 16 bytes.
#![allow(unsafe_code)]

use core::cell::Cell;

use super::gemm::PIXELS;
use crate::bounded::Bounded;
use crate::operators::Patches;

/// What the loops that put patches into a panel are told.
#[cfg(nsi_armv81m)]
#[repr(C)]
pub struct Arguments {
    panel: *mut i8,
    runs: usize,
    run: usize,
    run_stride: usize,
    source: *const i8,
    pixel_stride: usize,
    pixels: usize,
    line: *mut i8,
    vectors: usize,
}

#[cfg(nsi_armv81m)]
crate::kernels::arch::assembly! {
    fn no_std_infer_mve_four_patches(arguments: *const Arguments);
    fn no_std_infer_mve_vectors(arguments: *const Arguments);
    fn no_std_infer_mve_three_runs(arguments: *const Arguments);
    fn no_std_infer_mve_patches(arguments: *const Arguments);
}

/// Where the patches of neighbouring output pixels lie.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// What a patch consists of.
    pub patches: Patches,
    /// Bytes from the start of a run to the start of the next.
    pub run_stride: usize,
    /// Bytes from pixel to pixel.
    pub pixel_stride: usize,
    /// A patch is put together here.
    pub line: &'a [Cell<i8>],
}

impl Source<'_> {
    /// Whether the patches of so many neighbours lie in a source of this length, and those of four in the panel.
    pub fn fits(&self, source: usize, pixels: usize, panel: &[Cell<i8>]) -> bool {
        let (runs, run) = (self.patches.order.runs, self.patches.order.run);
        let (Some(runs_before), Some(pixels_before)) = (runs.checked_sub(1), pixels.checked_sub(1)) else {
            return false;
        };
        let reach = self.run_stride.times(runs_before).plus(self.pixel_stride.times(pixels_before)).plus(run);
        let room = panel.len() >= self.patches.panel_len() && self.line.len() >= self.patches.line_len();
        run > 0 && room && reach <= source
    }

    /// Whether a patch consists of three runs of three vectors, and a pixel is one: a convolution of 3x3 over 16 channels.
    #[cfg(nsi_armv81m)]
    pub fn is_3x3_of_vectors(&self) -> bool {
        let order = self.patches.order;
        order.runs == 3 && order.run == 3 * Patches::VECTOR && self.pixel_stride == Patches::VECTOR
    }

    /// Puts the patches of `pixels` neighbours, whose first begins at the start of `source`, into a panel as those of pixel
    /// `slot` and the next ones; there are four at most. Does nothing when source or panel is too short.
    pub fn put(&self, source: &[Cell<i8>], slot: usize, pixels: usize, panel: &[Cell<i8>]) {
        if slot.plus(pixels) > PIXELS || !self.fits(source.len(), pixels, panel) {
            return debug_assert!(pixels == 0, "the patches of {pixels} pixels lie in the source");
        }
        #[cfg(nsi_armv81m)]
        // SAFETY: the patches lie in the source, and the panel holds those of four pixels.
        unsafe {
            let panel: *mut i8 = panel.as_ptr().cast_mut().cast();
            let fill = self.fill(source.as_ptr().cast(), panel.wrapping_add(slot.times(Patches::VECTOR)), pixels);
            fill.run();
        }
        #[cfg(not(nsi_armv81m))]
        self.model(source, slot, pixels, panel);
    }

    /// How the patches of `pixels` neighbours go into the panel, from the first of their slots on.
    #[cfg(nsi_armv81m)]
    pub fn fill(&self, source: *const i8, panel: *mut i8, pixels: usize) -> Fill {
        let &Self { patches, run_stride, pixel_stride, line } = self;
        let (runs, run, vectors) = (patches.order.runs, patches.order.run, patches.vectors);
        let line = line.as_ptr().cast_mut().cast();
        let whole = run.is_multiple_of(Patches::VECTOR);
        let function = match (runs, vectors) {
            _ if whole && pixels == PIXELS => no_std_infer_mve_four_patches,
            _ if whole => no_std_infer_mve_vectors,
            (3, 2) if run >= Patches::VECTOR / 2 => no_std_infer_mve_three_runs,
            _ => no_std_infer_mve_patches,
        };
        Fill {
            function,
            step: pixel_stride.times(pixels),
            arguments: Arguments { panel, runs, run, run_stride, source, pixel_stride, pixels, line, vectors },
        }
    }

    #[cfg(not(nsi_armv81m))]
    fn model(&self, source: &[Cell<i8>], slot: usize, pixels: usize, panel: &[Cell<i8>]) {
        let (order, vector) = (self.patches.order, Patches::VECTOR);
        for pixel in 0..pixels {
            let target = |at: usize| &panel[at / vector * vector * PIXELS + (slot + pixel) * vector + at % vector];
            for at in 0..self.patches.vectors * vector {
                let value =
                    || source[pixel * self.pixel_stride + at / order.run * self.run_stride + at % order.run].get();
                target(at).set(if at < order.len() { value() } else { 0 });
            }
        }
    }
}

/// A loop that puts patches into a panel, and its arguments.
#[cfg(nsi_armv81m)]
#[repr(C)]
pub struct Fill {
    function: unsafe extern "C" fn(*const Arguments),
    /// Bytes to the patches after those.
    step: usize,
    arguments: Arguments,
}

#[cfg(nsi_armv81m)]
impl Fill {
    /// Runs it.
    ///
    /// # Safety
    /// The patches lie in the source, and the panel has room for those of four pixels from its start on: the loops load no byte
    /// beyond a run. They write the vectors of their pixels, and of the line what a patch takes and a vector more; runs of whole
    /// vectors need no line, nor does a single run of at most a vector. They keep the calling convention.
    pub unsafe fn run(&self) {
        // SAFETY: as the caller promises.
        unsafe { (self.function)(&self.arguments) }
    }
}
