//! Mean over height, width or both, in another quantisation.

use super::check::{MEAN_MAX, ensure};
use super::record::record;
use super::{Code, Operator};
use crate::error::OpError;
use crate::fixed::Multiplier;
use crate::format::Tensor;
use crate::kernels::{Kernels, Memory};

record! {
    /// Parameters of [`Op::Mean`](super::Op::Mean): the sum of `count` elements less their zero points is scaled by
    /// `multiplier`, which holds the division, so that there is one rounding for it and the requantisation.
    ///
    /// LiteRT's reference kernel (2.3.0) does this for int8 whether or not the scales are equal and dimensions are kept.
    /// Its multiplier is that of `input scale / output scale`, mantissa `m` and shift `e`, divided without rounding:
    /// mantissa `⌊m · 2^s / count⌋` and shift `e − s` with `s = min(⌊log2 count⌋, 31 + e)`.
    /// The mantissa may thus be smaller than 2^30, and must not be normalised: that would change the rounding.
    pub struct Mean: [input] => output {
        /// Input.
        pub input: Tensor,
        /// Output with the input's channels; its height and its width are the input's, or 1 where the mean is taken.
        pub output: Tensor,
        /// `input scale / output scale / count`.
        pub multiplier: Multiplier,
    }
}

impl Mean {
    /// Number of elements that each mean is taken over.
    #[must_use]
    pub fn count(&self) -> u32 {
        // Two sides of 16 bits: their product fits 32.
        let side = |input: u16, output: u16| if input == output { 1 } else { u32::from(input) };
        side(self.input.height, self.output.height) * side(self.input.width, self.output.width)
    }
}

impl Operator for Mean {
    type Params = Self;
}

impl Code for Mean {
    type Operator = Self;

    fn check(op: &Self, _: &[u8]) -> Result<(), OpError> {
        let (input, output) = (&op.input, &op.output);
        let sides = [(input.height, output.height), (input.width, output.width)];
        let kept = sides.iter().all(|(input, output)| output == input || *output == 1);
        ensure(kept && input.channels == output.channels, OpError::Shape)?;
        ensure(op.count() <= MEAN_MAX, OpError::Overflow)?;
        ensure(op.multiplier.mantissa >= 0 && (-31..=30).contains(&op.multiplier.shift), OpError::Multiplier)
    }

    #[inline(always)]
    fn run<K: Kernels>(op: &Self, memory: Memory<'_>) -> Option<()> {
        K::mean(op, memory.pair(&op.input, &op.output)?);
        Some(())
    }
}
