//! From bytes to the panel that the matrix product reads: for each pair of a patch the pairs of four pixels, widened.
#![allow(unsafe_code)]

#[cfg(dsp)]
core::arch::global_asm!(include_str!("widen.s"));

#[cfg(dsp)]
unsafe extern "C" {
    fn no_std_infer_widen(source: *const i8, target: *mut i8, quads: usize, runs: usize, stride: usize);
}

/// Runs of bytes in memory.
#[derive(Clone, Copy, Debug)]
pub struct Runs {
    /// How many.
    pub runs: usize,
    /// Groups of four bytes in each.
    pub quads: usize,
    /// Bytes from the start of one to the start of the next.
    pub stride: usize,
}

impl Runs {
    /// Bytes from the first to the last, both included.
    fn span(self) -> usize {
        (self.runs - 1) * self.stride + self.quads * 4
    }
}

/// Widens the runs' groups of four to two pairs each, and writes the pairs 16 bytes apart from the panel's first byte on.
/// Does nothing when source or panel is too short, or the panel's address is no multiple of 4.
pub fn widen(source: &[i8], runs: Runs, panel: &mut [i8]) {
    if runs.runs == 0 || runs.quads == 0 {
        return;
    }
    let last = runs.runs * runs.quads * 32 - 16;
    let aligned = (panel.as_ptr() as usize).is_multiple_of(4);
    if source.len() < runs.span() || panel.len() < last + 4 || !aligned {
        return;
    }
    #[cfg(dsp)]
    // SAFETY: it reads, run by run, no byte beyond `span`, and writes words at multiples of 16 up to `last`; there is at
    // least one run and one group; loads need no alignment, or have it; stores have it. It keeps the calling convention.
    unsafe {
        no_std_infer_widen(source.as_ptr(), panel.as_mut_ptr(), runs.quads, runs.runs, runs.stride);
    }
    #[cfg(not(dsp))]
    model(source, runs, panel);
}

#[cfg(not(dsp))]
fn model(source: &[i8], runs: Runs, panel: &mut [i8]) {
    use super::insn::{sxtb16, sxtb16_ror8};

    let mut slots = panel.chunks_mut(16).filter_map(|slot| slot.first_chunk_mut::<4>());
    for run in source.chunks(runs.stride.max(1)).take(runs.runs) {
        for &group in run.as_chunks::<4>().0.iter().take(runs.quads) {
            let word = u32::from_le_bytes(group.map(|byte| byte as u8));
            for pair in [sxtb16(word), sxtb16_ror8(word)] {
                if let Some(slot) = slots.next() {
                    *slot = pair.to_le_bytes().map(|byte| byte as i8);
                }
            }
        }
    }
}
