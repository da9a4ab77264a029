//! ReLU, ReLU6 or any other clamp, in the input's quantisation.

use super::check::{check_activation, ensure, same_quantisation, same_shape};
use super::record::record;
use super::{Activation, Code, Operator, Overlap};
use crate::error::OpError;
use crate::format::Tensor;
use crate::kernels::{Kernels, Memory};

record! {
    /// Parameters of [`Op::Clamp`](super::Op::Clamp).
    pub struct Clamp: [input] => output {
        /// Input.
        pub input: Tensor,
        /// Output of the same shape, scale and zero point.
        pub output: Tensor,
        /// The range.
        pub activation: Activation,
    }
}

impl Operator for Clamp {
    type Params = Self;

    fn overlap(op: &Self, input: &Tensor) -> Option<Overlap> {
        Overlap::element_by_element(input, &op.output)
    }
}

impl Code for Clamp {
    type Operator = Self;

    fn check(op: &Self, _: &[u8]) -> Result<(), OpError> {
        check_activation(op.activation)?;
        ensure(same_shape(&op.input, &op.output), OpError::Shape)?;
        ensure(same_quantisation(&op.input, &op.output), OpError::Quantisation)
    }

    #[inline(always)]
    fn run<K: Kernels>(op: &Self, memory: Memory<'_>) -> Option<()> {
        K::clamp(op, memory.lined_up([&op.input], &op.output)?);
        Some(())
    }
}
