//! Fully connected layers.
#![allow(unsafe_code)]

use crate::kernels::Apart;
use crate::kernels::generic::dense::multiply;
use crate::operators::{Dense, DensePlain};

#[cfg(nsi_armv81m)]
crate::kernels::arch::assembly! {
    fn no_std_infer_mve_dot(first: *const i8, second: *const u8, len: usize) -> i32;
}

/// A layer with plain weights.
#[inline(always)]
pub fn plain(op: &Dense, constants: &DensePlain<'_>, views: Apart<'_>) {
    multiply(op, constants, views, dot);
}

/// The sum of products of values and as many weights.
fn dot(values: &[i8], weights: &[u8]) -> i32 {
    let len = values.len().min(weights.len());
    if len == 0 {
        return 0;
    }
    #[cfg(nsi_armv81m)]
    // SAFETY: it reads `len` bytes of both, of which they have as many; the last ones predicated. It keeps the calling
    // convention.
    unsafe {
        no_std_infer_mve_dot(values.as_ptr(), weights.as_ptr(), len)
    }
    #[cfg(not(nsi_armv81m))]
    values.iter().zip(weights).take(len).map(|(&x, &w)| i32::from(x) * i32::from(w as i8)).sum()
}
