//! The input with a border of one value.

use super::check::{ensure, same_quantisation, sides};
use super::record::record;
use super::{Code, Operator};
use crate::error::OpError;
use crate::format::Tensor;
use crate::kernels::{Kernels, Memory};

record! {
    /// Parameters of [`Op::Pad`](super::Op::Pad). Rows below, columns to the right and channels after the input follow from
    /// the sizes.
    pub struct Pad: [input] => output {
        /// Input.
        pub input: Tensor,
        /// Output of the same scale and zero point.
        pub output: Tensor,
        /// Rows above the input.
        pub top: u16,
        /// Columns left of the input.
        pub left: u16,
        /// Channels before the input's.
        pub front: u32,
        /// What the border is filled with: the zero point, where a real 0 is meant.
        pub value: i8,
    }
}

impl Operator for Pad {
    type Params = Self;
}

impl Code for Pad {
    type Operator = Self;

    fn check(op: &Self, _: &[u8]) -> Result<(), OpError> {
        let before = [op.top.into(), op.left.into(), op.front];
        let mut axes = sides(&op.input).into_iter().zip(before).zip(sides(&op.output));
        let fits =
            |((input, before), output): ((u32, u32), u32)| input.checked_add(before).is_some_and(|end| end <= output);
        ensure(axes.all(fits), OpError::Shape)?;
        ensure(same_quantisation(&op.input, &op.output), OpError::Quantisation)
    }

    #[inline(always)]
    fn run<K: Kernels>(op: &Self, memory: Memory<'_>) -> Option<()> {
        K::pad(op, memory.shared([&op.input], &op.output)?);
        Some(())
    }
}
