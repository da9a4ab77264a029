//! Places in an image that are read side by side: lengths are compared once for all of them.
#![allow(unsafe_code)]

use core::marker::PhantomData;

/// `P` patches of an image, all of one length.
pub(crate) struct Patches<'a, const P: usize> {
    /// Each is followed by `len` bytes of the image.
    first: [*const u8; P],
    len: usize,
    image: PhantomData<&'a [u8]>,
}

impl<'a, const P: usize> Patches<'a, P> {
    /// Those that begin at these bytes.
    ///
    /// # Panics
    /// When one does not lie in the image.
    #[inline(always)]
    pub fn new(image: &'a [u8], starts: &[u32; P], len: usize) -> Self {
        let last = starts.iter().fold(0, |last, &start| last.max(start)) as usize;
        assert!(last <= image.len() && len <= image.len() - last, "every patch lies in the image");
        let mut first = [image.as_ptr(); P];
        for (first, &start) in first.iter_mut().zip(starts) {
            *first = first.wrapping_add(start as usize);
        }
        Self { first, len, image: PhantomData }
    }

    /// Four bytes of each, from byte `at` on.
    ///
    /// # Panics
    /// When a patch has no such bytes.
    #[inline(always)]
    pub fn groups(&self, at: usize) -> [&'a [u8; 4]; P] {
        let mut groups = [&[0; 4]; P];
        for (group, bytes) in groups.iter_mut().zip(self.bytes(at, 4)) {
            *group = bytes.first_chunk().unwrap_or(group);
        }
        groups
    }

    /// So many bytes of each, from byte `at` on.
    ///
    /// # Panics
    /// When a patch has no such bytes.
    #[inline(always)]
    pub fn bytes(&self, at: usize, count: usize) -> [&'a [u8]; P] {
        assert!(at < self.len && count <= self.len - at, "bytes lie in their patch");
        let mut all: [&[u8]; P] = [&[]; P];
        for (bytes, first) in all.iter_mut().zip(self.first) {
            // SAFETY: `first` is followed by `len` bytes of the image, of which `count` from `at` on were found to be there;
            // the image is borrowed as long as the slice, and bytes need no alignment.
            *bytes = unsafe { core::slice::from_raw_parts(first.add(at), count) };
        }
        all
    }
}
