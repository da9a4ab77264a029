//! A tensor from the weights section.

use super::check::ensure;
use super::record::record;
use super::{Code, Operator};
use crate::error::OpError;
use crate::format::Tensor;
use crate::kernels::{Kernels, Memory};

record! {
    /// Parameters of [`Op::Constant`](super::Op::Constant).
    pub struct Constant: [] => output {
        /// Output.
        pub output: Tensor,
        /// Its first byte, counted from the start of the weights section.
        pub values: u32,
    }
}

impl Operator for Constant {
    type Params = Self;

    fn parts(_: &Self) -> u16 {
        1
    }
}

impl Code for Constant {
    type Operator = Self;

    fn check(op: &Self, section: &[u8]) -> Result<(), OpError> {
        let start = op.values as usize;
        let values = start.checked_add(op.output.len()).and_then(|end| section.get(start..end));
        ensure(values.is_some(), OpError::Constants)
    }

    #[inline(always)]
    fn run<K: Kernels>(op: &Self, memory: Memory<'_>) -> Option<()> {
        let values = memory.section.get(op.values as usize..)?.get(..op.output.len())?;
        K::constant(values, memory.output(&op.output)?);
        Some(())
    }
}
