//! Vectors of x86-64.
//!
//! The intrinsics are `unsafe` where the compiler does not know that the processor has them. Each type here can only be made by
//! its `detect`, which asks the processor, so that a value of it proves it.
#![allow(unsafe_code)]

mod eight;
mod sixteen;

use core::arch::x86_64::{__m128i, _mm_loadu_si128};

pub(crate) use eight::{Avx2, AvxVnni, Vnni256};
pub(crate) use sixteen::Vnni512;

/// Intrinsics within a method of a type that proves that the processor has them.
macro_rules! proved {
    ($($body:tt)*) => {{
        // SAFETY: `self` is there, and is only made where the processor has the instructions of its type. None of the
        // intrinsics takes a pointer.
        #[allow(unused_unsafe)]
        unsafe {
            $($body)*
        }
    }};
}
use proved;

/// Sixteen bytes: a byte for each lane, or two.
#[inline(always)]
fn sixteen_bytes(bytes: &[u8]) -> __m128i {
    let bytes: &[u8; 16] = bytes.first_chunk().expect("bytes for each lane");
    // SAFETY: sixteen bytes are read from a reference to as many; every x86-64 has SSE2.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}
