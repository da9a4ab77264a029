//! Largest value over height, width, channels or several of them.

use super::check::{ensure, same_quantisation, sides};
use super::record::record;
use super::{Code, Operator};
use crate::error::OpError;
use crate::format::Tensor;
use crate::kernels::{Kernels, Memory};

record! {
    /// Parameters of [`Op::ReduceMax`](super::Op::ReduceMax): each element of the output is the largest of the input's elements at
    /// its coordinates, along the sides where the output has 1 at any.
    ///
    /// So does LiteRT's `REDUCE_MAX` for int8 (reference kernel 2.3.0), which asks for the same quantisation on both sides.
    pub struct ReduceMax: [input] => output {
        /// Input.
        pub input: Tensor,
        /// Output in the input's quantisation; its height, width and channels are the input's, or 1 where the largest is taken.
        pub output: Tensor,
    }
}

impl ReduceMax {
    /// Number of elements of which each is the largest.
    #[must_use]
    pub fn count(&self) -> usize {
        self.input.len().checked_div(self.output.len()).unwrap_or(0)
    }
}

impl Operator for ReduceMax {
    type Params = Self;
}

impl Code for ReduceMax {
    type Operator = Self;

    fn check(op: &Self, _: &[u8]) -> Result<(), OpError> {
        let kept =
            sides(&op.input).into_iter().zip(sides(&op.output)).all(|(input, output)| output == input || output == 1);
        ensure(kept, OpError::Shape)?;
        ensure(same_quantisation(&op.input, &op.output), OpError::Quantisation)
    }

    #[inline(always)]
    fn run<K: Kernels>(op: &Self, memory: Memory<'_>) -> Option<()> {
        K::reduce_max(op, memory.pair(&op.input, &op.output)?);
        Some(())
    }
}
