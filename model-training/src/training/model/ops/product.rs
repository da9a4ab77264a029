//! Products of matrices whose rows are runs of values that may overlap.

use macerator::{Scalar, Simd, WithSimd};

use super::lanes::{dispatch, load, store};

/// Row `o` of `outputs` becomes the sum over `k` of `weights[k][o] · inputs[shifts[k]..]`. Rows are a multiple of
/// [`SLACK`](super::spread::SLACK) long.
pub(super) fn multiply<const ROWS: usize>(
    inputs: &[f32],
    shifts: &[usize],
    weights: &[[f32; ROWS]],
    outputs: &mut [f32],
) {
    dispatch(Multiply { inputs, shifts, weights, outputs });
}

struct Multiply<'a, const ROWS: usize> {
    inputs: &'a [f32],
    shifts: &'a [usize],
    weights: &'a [[f32; ROWS]],
    outputs: &'a mut [f32],
}

impl<const ROWS: usize> WithSimd for Multiply<'_, ROWS> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        // AVX-512 has registers for twice as many sums as AVX2.
        if f32::lanes::<S>() >= 16 { self.run::<S, 2>() } else { self.run::<S, 1>() }
    }
}

impl<const ROWS: usize> Multiply<'_, ROWS> {
    #[inline(always)]
    fn run<S: Simd, const VECTORS: usize>(self) {
        let (lanes, positions) = (f32::lanes::<S>(), self.outputs.len() / ROWS);
        for position in (0..positions).step_by(VECTORS * lanes) {
            let mut sums = [[0.0f32.splat::<S>(); VECTORS]; ROWS];
            for (&shift, weights) in self.shifts.iter().zip(self.weights) {
                let mut inputs = [0.0f32.splat::<S>(); VECTORS];
                for (vector, input) in inputs.iter_mut().enumerate() {
                    *input = load(self.inputs, shift + position + vector * lanes);
                }
                for (sums, weight) in sums.iter_mut().zip(weights) {
                    let weight = weight.splat::<S>();
                    for (sum, input) in sums.iter_mut().zip(inputs) {
                        *sum = input.mul_add(weight, *sum);
                    }
                }
            }
            for (row, sums) in sums.into_iter().enumerate() {
                for (vector, sum) in sums.into_iter().enumerate() {
                    store(self.outputs, row * positions + position + vector * lanes, sum);
                }
            }
        }
    }
}

/// Shifts whose products are summed side by side.
const SHIFTS: usize = 12;

/// Adds to `sums[k][o]` the sum over positions `p` of `inputs[shifts[k] + p] · grads[p][o]`, where the number of `outputs`
/// is a multiple of 16.
pub(super) fn multiply_transposed(inputs: &[f32], shifts: &[usize], grads: &[f32], outputs: usize, sums: &mut [f32]) {
    dispatch(Transposed { inputs, shifts, grads, outputs, sums });
}

struct Transposed<'a> {
    inputs: &'a [f32],
    shifts: &'a [usize],
    grads: &'a [f32],
    outputs: usize,
    sums: &'a mut [f32],
}

impl WithSimd for Transposed<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let lanes = f32::lanes::<S>();
        if lanes >= 16 && self.outputs.is_multiple_of(2 * lanes) { self.run::<S, 2>() } else { self.run::<S, 1>() }
    }
}

impl Transposed<'_> {
    #[inline(always)]
    fn run<S: Simd, const VECTORS: usize>(self) {
        let Self { inputs, shifts, grads, outputs, sums } = self;
        let (lanes, positions) = (f32::lanes::<S>(), grads.len() / outputs);
        for (shifts, sums) in shifts.chunks(SHIFTS).zip(sums.chunks_mut(SHIFTS * outputs)) {
            let mut runs: [&[f32]; SHIFTS] = [&inputs[shifts[0]..][..positions]; SHIFTS];
            for (run, &shift) in runs.iter_mut().zip(shifts) {
                *run = &inputs[shift..][..positions];
            }
            for output in (0..outputs).step_by(VECTORS * lanes) {
                let mut products = [[0.0f32.splat::<S>(); VECTORS]; SHIFTS];
                for position in 0..positions {
                    let mut grad = [0.0f32.splat::<S>(); VECTORS];
                    for (vector, grad) in grad.iter_mut().enumerate() {
                        *grad = load(grads, position * outputs + output + vector * lanes);
                    }
                    for (products, run) in products.iter_mut().zip(runs) {
                        let input = run[position].splat::<S>();
                        for (product, grad) in products.iter_mut().zip(grad) {
                            *product = grad.mul_add(input, *product);
                        }
                    }
                }
                for (products, sums) in products.iter().zip(sums.chunks_exact_mut(outputs)) {
                    for (vector, &product) in products.iter().enumerate() {
                        let at = output + vector * lanes;
                        store(sums, at, product + load(sums, at));
                    }
                }
            }
        }
    }
}

/// Taps of a depthwise convolution whose products are summed side by side.
const TAPS: usize = 9;

/// `sums[k]` becomes the sum over images and positions `p` of `inputs[image][shifts[k] + p] · grads[image][p]`, where
/// `sides` are the lengths of an image in `inputs` and in `grads`, the second a multiple of [`SLACK`](super::spread::SLACK).
pub(super) fn correlate(inputs: &[f32], shifts: &[usize], grads: &[f32], sides: [usize; 2], sums: &mut [f32]) {
    dispatch(Correlate { inputs, shifts, grads, sides, sums });
}

struct Correlate<'a> {
    inputs: &'a [f32],
    shifts: &'a [usize],
    grads: &'a [f32],
    sides: [usize; 2],
    sums: &'a mut [f32],
}

impl WithSimd for Correlate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let Self { inputs, shifts, grads, sides: [len, positions], sums } = self;
        let (lanes, images) = (f32::lanes::<S>(), grads.len() / positions);
        for (shifts, sums) in shifts.chunks(TAPS).zip(sums.chunks_mut(TAPS)) {
            let mut taps = [shifts[0]; TAPS];
            taps[..shifts.len()].copy_from_slice(shifts);
            let mut products = [0.0f32.splat::<S>(); TAPS];
            for image in 0..images {
                for position in (0..positions).step_by(lanes) {
                    let grad = load::<S>(grads, image * positions + position);
                    for (product, tap) in products.iter_mut().zip(taps) {
                        *product = load::<S>(inputs, image * len + tap + position).mul_add(grad, *product);
                    }
                }
            }
            for (sum, product) in sums.iter_mut().zip(products) {
                *sum = product.reduce_add();
            }
        }
    }
}
