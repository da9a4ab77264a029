//! Copies bytes a few words at a time, which the compiler's own `memcpy` does not.
#![allow(unsafe_code)]

use core::cell::Cell;

#[cfg(nsi_armv81m)]
crate::kernels::arch::assembly! {
    fn no_std_infer_mve_copy(target: *mut i8, source: *const i8, len: usize);
}
#[cfg(nsi_armv81m)]
use no_std_infer_mve_copy as copy_bytes;

#[cfg(all(nsi_armv7em, not(nsi_armv81m)))]
crate::kernels::arch::assembly! {
    fn no_std_infer_copy(target: *mut i8, source: *const i8, len: usize);
}
#[cfg(all(nsi_armv7em, not(nsi_armv81m)))]
use no_std_infer_copy as copy_bytes;

/// Copies as many bytes as the shorter of both has, first to last: the target may share bytes with the source where it
/// begins below it.
pub fn copy(source: &[Cell<i8>], target: &[Cell<i8>]) {
    #[cfg(nsi_armv7em)]
    // SAFETY: it reads and writes as many bytes as both slices have; words need no alignment where it is not checked.
    // It keeps the calling convention.
    unsafe {
        let len = source.len().min(target.len());
        copy_bytes(target.as_ptr().cast_mut().cast(), source.as_ptr().cast(), len);
    }
    #[cfg(not(nsi_armv7em))]
    target.iter().zip(source).for_each(|(target, source)| target.set(source.get()));
}

/// Moves the bytes from `from` on to the start.
pub fn move_down(bytes: &[Cell<i8>], from: usize) {
    #[cfg(nsi_armv7em)]
    // SAFETY: source and target are `len` bytes of the same slice; the target is not above the source, and each word or vector is
    // read before one at a higher address is written, so that overlapping does no harm: what is read in one step ends
    // where the next one's reading starts, and writing stays at or below what has been read.
    unsafe {
        let len = bytes.len().saturating_sub(from);
        let target: *mut i8 = bytes.as_ptr().cast_mut().cast();
        copy_bytes(target, target.wrapping_add(from), len);
    }
    #[cfg(not(nsi_armv7em))]
    bytes.iter().zip(bytes.get(from..).unwrap_or_default()).for_each(|(target, source)| target.set(source.get()));
}

/// The same bytes as numbers without a sign.
pub fn unsigned(bytes: &mut [i8]) -> &mut [u8] {
    // SAFETY: both types have the size and the alignment 1, and all their bytes are valid values.
    unsafe { core::slice::from_raw_parts_mut(bytes.as_mut_ptr().cast(), bytes.len()) }
}
