//! The same bytes under another shape.

use super::check::{ensure, same_quantisation};
use super::record::record;
use super::{Code, Operator, Overlap};
use crate::error::OpError;
use crate::format::Tensor;
use crate::kernels::{Kernels, Memory};

record! {
    /// Parameters of [`Op::Reshape`](super::Op::Reshape).
    pub struct Reshape: [input] => output {
        /// Input.
        pub input: Tensor,
        /// Output with as many elements, the same scale and zero point.
        pub output: Tensor,
    }
}

impl Operator for Reshape {
    type Params = Self;

    fn overlap(op: &Self, input: &Tensor) -> Option<Overlap> {
        Overlap::element_by_element(input, &op.output)
    }

    fn parts(_: &Self) -> u16 {
        1
    }
}

impl Code for Reshape {
    type Operator = Self;

    fn check(op: &Self, _: &[u8]) -> Result<(), OpError> {
        ensure(op.input.len() == op.output.len(), OpError::Shape)?;
        ensure(same_quantisation(&op.input, &op.output), OpError::Quantisation)
    }

    #[inline(always)]
    fn run<K: Kernels>(op: &Self, memory: Memory<'_>) -> Option<()> {
        K::reshape(op, memory.shared([&op.input], &op.output)?);
        Some(())
    }
}
