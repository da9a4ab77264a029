//! Two tensors side by side.

use super::check::{ensure, same_quantisation, sides};
use super::record::record;
use super::{Code, Operator};
use crate::bounded::Bounded;
use crate::error::OpError;
use crate::format::Tensor;
use crate::kernels::{Kernels, Memory};

record! {
    /// Parameters of [`Op::Concat`](super::Op::Concat). All three tensors have the same scale and zero point.
    pub struct Concat: [a, b] => output {
        /// What comes first.
        pub a: Tensor,
        /// What comes after it.
        pub b: Tensor,
        /// Both: one side is the sum of the inputs', the other two are the inputs'.
        pub output: Tensor,
    }
}

impl Operator for Concat {
    type Params = Self;
    const READ_BY_CALL: bool = true;
}

impl Code for Concat {
    type Operator = Self;

    fn check(op: &Self, _: &[u8]) -> Result<(), OpError> {
        let axes = sides(&op.a).into_iter().zip(sides(&op.b)).zip(sides(&op.output));
        let joined = |&((a, b), output): &((u32, u32), u32)| a.checked_add(b) == Some(output);
        let kept = |&((a, b), output): &((u32, u32), u32)| a == b && a == output;
        let count = |[some, others]: [u32; 2], axis| [some.plus(joined(&axis).into()), others.plus(kept(&axis).into())];
        ensure(axes.fold([0; 2], count) == [1, 2], OpError::Shape)?;
        let alike = same_quantisation(&op.a, &op.output) && same_quantisation(&op.b, &op.output);
        ensure(alike, OpError::Quantisation)
    }

    #[inline(always)]
    fn run<K: Kernels>(op: &Self, memory: Memory<'_>) -> Option<()> {
        K::concat(op, memory.shared([&op.a, &op.b], &op.output)?);
        Some(())
    }
}
