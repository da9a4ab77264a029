//! Fully connected layers, four outputs at a time.
#![allow(unsafe_code)]

use crate::kernels::portable::{dot, epilogue};
use crate::ops::DenseLayer;

#[cfg(dsp)]
core::arch::global_asm!(include_str!("dense.s"), options(raw));

#[cfg(dsp)]
unsafe extern "C" {
    fn no_std_infer_dense(vector: *const i8, rows: *const u8, stride: usize, quads: usize, sums: *mut [i32; 4]);
}

/// Outputs that are computed together, and the fewest that this kernel takes.
pub const OUTPUTS: usize = 4;

/// A fully connected layer with [`OUTPUTS`] outputs or more; of outputs that are no multiple some are computed twice.
pub fn dense(arena: &mut [i8], layer: &DenseLayer<'_>) {
    let op = layer.op;
    let Ok([mut rest, output]) = arena.get_disjoint_mut([op.input.range(), op.output.range()]) else { return };
    let (inputs, outputs) = (op.inputs(), op.output.channels as usize);
    let Some(last) = outputs.checked_sub(OUTPUTS) else { return };
    for output in output.chunks_mut(outputs.max(1)) {
        let Some((input, after)) = rest.split_at_mut_checked(inputs) else { return };
        rest = after;
        for first in (0..outputs).step_by(OUTPUTS) {
            let first = first.min(last);
            let weights = layer.weights.get(first * inputs..).unwrap_or_default();
            let sums = products(input, weights);
            let outs = output.get_mut(first..).unwrap_or_default();
            for ((out, sum), channel) in outs.iter_mut().zip(sums).zip(layer.channels.skip(first).iter()) {
                *out = epilogue(sum, &channel, op.output.zero_point, op.activation);
            }
        }
    }
}

/// The products of a vector with the first four rows of weights; zeros when there are fewer.
fn products(input: &[i8], weights: &[u8]) -> [i32; OUTPUTS] {
    let mut sums = [0; OUTPUTS];
    let (len, quads) = (input.len(), input.len() / 4);
    if weights.len() / OUTPUTS < len {
        return sums;
    }
    if quads > 0 {
        #[cfg(dsp)]
        // SAFETY: it reads `4 · quads` bytes of the vector, and of four rows of weights that start `len` bytes apart, all
        // inside the slices, as checked, without alignment; it writes four words. It keeps the calling convention.
        unsafe {
            no_std_infer_dense(input.as_ptr(), weights.as_ptr(), len, quads, &mut sums);
        }
        #[cfg(not(dsp))]
        for (sum, row) in sums.iter_mut().zip(weights.chunks(len)) {
            *sum = dot(&input[..quads * 4], row);
        }
    }
    let rest = input.get(quads * 4..).unwrap_or_default();
    if !rest.is_empty() {
        for (row, sum) in sums.iter_mut().enumerate() {
            let weights = weights.get(row * len + quads * 4..).unwrap_or_default();
            *sum = sum.wrapping_add(dot(rest, weights));
        }
    }
    sums
}
