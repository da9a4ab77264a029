//! Vectors of the processor's width, read from and written to slices.
#![expect(unsafe_code, reason = "macerator loads and stores by pointer")]

use macerator::{AutoArch, Scalar, Simd, Vector, WithSimd, vload_unaligned, vstore_unaligned};

/// Runs a kernel with the widest vectors that this processor has.
pub(super) fn dispatch<K: WithSimd>(kernel: K) -> K::Output {
    AutoArch::new().dispatch(kernel)
}

/// The vector of `values` from `at` on.
#[inline(always)]
pub(super) fn load<S: Simd>(values: &[f32], at: usize) -> Vector<S, f32> {
    let values = &values[at..][..f32::lanes::<S>()];
    // SAFETY: `values` is as long as a vector, and a load that needs no alignment reads no more.
    unsafe { vload_unaligned(values.as_ptr()) }
}

/// Writes a vector to `values` from `at` on.
#[inline(always)]
pub(super) fn store<S: Simd>(values: &mut [f32], at: usize, vector: Vector<S, f32>) {
    let values = &mut values[at..][..f32::lanes::<S>()];
    // SAFETY: `values` is as long as a vector, and a store that needs no alignment writes no more.
    unsafe { vstore_unaligned(values.as_mut_ptr(), vector) }
}
