//! A function of one element by a table of 256 entries.

use super::check::{ensure, same_shape};
use super::record::record;
use super::{Code, Operator, Overlap};
use crate::error::OpError;
use crate::format::Tensor;
use crate::kernels::{Kernels, Memory};

record! {
    /// Parameters of [`Op::Lookup`](super::Op::Lookup).
    pub struct Lookup: [input] => output {
        /// Input.
        pub input: Tensor,
        /// Output of the same shape.
        pub output: Tensor,
        /// First entry of the table, counted from the start of the weights section.
        pub table: u32,
    }
}

impl Operator for Lookup {
    type Params = Self;

    fn overlap(op: &Self, input: &Tensor) -> Option<Overlap> {
        Overlap::element_by_element(input, &op.output)
    }
}

impl Code for Lookup {
    type Operator = Self;

    fn check(op: &Self, section: &[u8]) -> Result<(), OpError> {
        ensure(same_shape(&op.input, &op.output), OpError::Shape)?;
        let start = op.table as usize;
        let table = start.checked_add(256).and_then(|end| section.get(start..end));
        ensure(table.is_some(), OpError::Constants)
    }

    #[inline(always)]
    fn run<K: Kernels>(op: &Self, memory: Memory<'_>) -> Option<()> {
        let table = memory.section.get(op.table as usize..)?.first_chunk()?;
        K::lookup(op, table, memory.lined_up([&op.input], &op.output)?);
        Some(())
    }
}
