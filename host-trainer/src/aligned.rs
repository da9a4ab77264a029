//! Memory on the host at the alignment that blobs and arenas need.

use std::ops::{Deref, DerefMut};

use no_std_infer::format::ALIGN;

/// A slice that starts at a multiple of 16 bytes: a blob (`u8`) or an arena (`i8`).
#[derive(Debug)]
pub struct AlignedVec<T> {
    memory: Vec<T>,
    start: usize,
    len: usize,
}

/// A blob in memory.
pub type AlignedBytes = AlignedVec<u8>;

impl<T: Copy + Default> AlignedVec<T> {
    /// `len` zeros. `T` is one byte large.
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        const { assert!(size_of::<T>() == 1) };
        let memory = vec![T::default(); len + ALIGN - 1];
        let start = memory.as_ptr().addr().wrapping_neg() % ALIGN;
        Self { memory, start, len }
    }

    /// A copy of `content`.
    #[must_use]
    pub fn copy_of(content: &[T]) -> Self {
        let mut copy = Self::zeroed(content.len());
        copy.copy_from_slice(content);
        copy
    }
}

impl<T: Copy + Default> Clone for AlignedVec<T> {
    fn clone(&self) -> Self {
        Self::copy_of(self)
    }
}

impl<T> Deref for AlignedVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.memory[self.start..][..self.len]
    }
}

impl<T> DerefMut for AlignedVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.memory[self.start..][..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_and_clones_are_aligned() {
        for len in 0..40 {
            let content: Vec<u8> = (0..len).collect();
            let copy = AlignedBytes::copy_of(&content);
            for buffer in [&copy, &copy.clone()] {
                assert_eq!(&**buffer, content);
                assert!(buffer.as_ptr().addr().is_multiple_of(ALIGN));
            }
        }
    }
}
