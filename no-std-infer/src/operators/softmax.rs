//! Softmax over the channels of every pixel.

use super::check::{ensure, same_shape};
use super::record::record;
use super::{Code, Operator};
use crate::cost::SOFTMAX_PRODUCTS;
use crate::error::OpError;
use crate::fixed::Multiplier;
use crate::format::Tensor;
use crate::kernels::{Kernels, Memory};

record! {
    /// Parameters of [`Op::Softmax`](super::Op::Softmax), as TFLite's.
    pub struct Softmax: [input] => output {
        /// Logits: one vector of channels a pixel.
        pub input: Tensor,
        /// Probabilities of the same shape.
        pub output: Tensor,
        /// `input scale · 2^26 / temperature` as a multiplier of 1 or more.
        pub multiplier: Multiplier,
        /// Differences to the largest logit below this one count as probability 0.
        pub diff_min: i32,
    }
}

/// Most classes that the fixed-point sum can hold.
const CLASSES_MAX: u32 = 4095;

impl Operator for Softmax {
    type Params = Self;

    fn others(op: &Self) -> u64 {
        u64::from(op.output.channels) * SOFTMAX_PRODUCTS
    }
}

impl Code for Softmax {
    type Operator = Self;

    fn check(op: &Self, _: &[u8]) -> Result<(), OpError> {
        ensure(op.input.channels <= CLASSES_MAX && same_shape(&op.input, &op.output), OpError::Shape)?;
        ensure(op.output.scale == 1.0 / 256.0 && op.output.zero_point == -128, OpError::Quantisation)?;
        let positive = op.multiplier.is_valid() && op.multiplier.mantissa > 0 && op.multiplier.shift >= 0;
        ensure(positive && op.diff_min <= 0, OpError::Multiplier)
    }

    #[inline(always)]
    fn run<K: Kernels>(op: &Self, memory: Memory<'_>) -> Option<()> {
        K::softmax(op, memory.pair(&op.input, &op.output)?);
        Some(())
    }
}
