//! Product of two tensors.

use super::check::{check_activation, check_broadcast, ensure};
use super::record::record;
use super::{Activation, Code, Operator, Overlap};
use crate::error::OpError;
use crate::fixed::Multiplier;
use crate::format::Tensor;
use crate::kernels::{Kernels, Memory};

record! {
    /// Parameters of [`Op::Mul`](super::Op::Mul), as TFLite's: the product of both factors less their zero points is scaled
    /// by `multiplier`.
    ///
    /// Each of a factor's sides is the product's or 1, as in [`Add`](super::Add). Where a product shifted left by the
    /// multiplier leaves 32 bits it saturates (LiteRT's wraps), which takes a shift of 16 or more.
    pub struct Mul: [a, b] => output {
        /// First factor.
        pub a: Tensor,
        /// Second factor.
        pub b: Tensor,
        /// Product.
        pub output: Tensor,
        /// `a scale · b scale / output scale`.
        pub multiplier: Multiplier,
        /// Fused clamp.
        pub activation: Activation,
    }
}

impl Operator for Mul {
    type Params = Self;
    const READ_BY_CALL: bool = true;

    fn overlap(op: &Self, input: &Tensor) -> Option<Overlap> {
        Overlap::element_by_element(input, &op.output)
    }
}

impl Code for Mul {
    type Operator = Self;

    fn check(op: &Self, _: &[u8]) -> Result<(), OpError> {
        check_broadcast(&op.a, &op.b, &op.output)?;
        check_activation(op.activation)?;
        ensure(op.multiplier.is_valid(), OpError::Multiplier)
    }

    #[inline(always)]
    fn run<K: Kernels>(op: &Self, memory: Memory<'_>) -> Option<()> {
        K::mul(op, memory.shared([&op.a, &op.b], &op.output)?);
        Some(())
    }
}
