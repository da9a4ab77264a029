//! Aligned memory: the arena and embedded blobs.

use core::ops::{Deref, DerefMut};

/// Memory for activations and scratch, 16-byte aligned; `N` from [`arena_len`](crate::format::arena_len).
#[repr(C, align(16))]
pub struct Arena<const N: usize>([i8; N]);

impl<const N: usize> Arena<N> {
    /// An arena of zeros.
    #[must_use]
    pub const fn new() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> Default for Arena<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Deref for Arena<N> {
    type Target = [i8];

    fn deref(&self) -> &[i8] {
        &self.0
    }
}

impl<const N: usize> DerefMut for Arena<N> {
    fn deref_mut(&mut self) -> &mut [i8] {
        &mut self.0
    }
}

/// Puts its content at a multiple of 16 bytes.
#[repr(C, align(16))]
pub struct Aligned<T: ?Sized>(pub T);

/// Embeds a blob in the program, 16-byte aligned, as a `&'static [u8]` that is usable in constants.
///
/// ```ignore
/// static MODEL: &[u8] = no_std_infer::include_model!("faces.blob");
/// static ARENA: Arena<{ no_std_infer::format::arena_len(MODEL) }> = Arena::new();
/// ```
#[macro_export]
macro_rules! include_model {
    ($path:expr) => {{
        const MODEL: &$crate::Aligned<[u8]> = &$crate::Aligned(*::core::include_bytes!($path));
        &MODEL.0
    }};
}
