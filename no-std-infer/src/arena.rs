//! Aligned memory: the arena and embedded blobs.

use core::fmt;
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

impl<const N: usize> fmt::Debug for Arena<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena").field("len", &N).finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<const N: usize> defmt::Format for Arena<N> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Arena {{ len: {} }}", N);
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
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C, align(16))]
pub struct Aligned<T: ?Sized>(pub T);

/// Embeds a blob in the program, 16-byte aligned, as a `&'static [u8]` that is usable in constants.
///
/// The path counts from the file that says this, as that of `include_bytes!`.
///
/// ```
/// use no_std_infer::{Arena, format::arena_len, include_model};
/// use static_cell::ConstStaticCell;
///
/// const MODEL: &[u8] = include_model!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/tiny.blob"));
/// static ARENA: ConstStaticCell<Arena<{ arena_len(MODEL) }>> = ConstStaticCell::new(Arena::new());
///
/// let arena = ARENA.take(); // once; there is no `unsafe` in it
/// assert_eq!(arena.len(), arena_len(MODEL));
/// ```
#[macro_export]
macro_rules! include_model {
    ($path:expr) => {{
        const MODEL: &$crate::Aligned<[u8]> = &$crate::Aligned(*::core::include_bytes!($path));
        &MODEL.0
    }};
}
