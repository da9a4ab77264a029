//! Heap memory at a multiple of 16 bytes, for blobs and arenas on the host.

use std::ops::{Deref, DerefMut};

use no_std_infer::format::ALIGN;

/// A fixed-length buffer whose first element lies at a multiple of [`ALIGN`] bytes.
#[derive(Debug)]
pub struct Aligned<T> {
    memory: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Copy + Default> Aligned<T> {
    /// A buffer of default values.
    #[must_use]
    pub fn new(len: usize) -> Self {
        let memory = vec![T::default(); len + ALIGN];
        let start = memory.as_ptr().align_offset(ALIGN);
        Self { memory, start, len }
    }

    /// A copy of `values`.
    #[must_use]
    pub fn copy_of(values: &[T]) -> Self {
        let mut buffer = Self::new(values.len());
        buffer.copy_from_slice(values);
        buffer
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.memory[self.start..self.start + self.len]
    }
}

impl<T> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.memory[self.start..self.start + self.len]
    }
}

impl<T: Copy + Default> Clone for Aligned<T> {
    fn clone(&self) -> Self {
        Self::copy_of(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_aligned() {
        for len in 0..70 {
            let buffer = Aligned::copy_of(&vec![7_u8; len]);
            assert_eq!(buffer.as_ptr() as usize % ALIGN, 0);
            assert_eq!(&*buffer, vec![7_u8; len].as_slice());
            assert_eq!(&*buffer.clone(), &*buffer);
        }
    }
}
