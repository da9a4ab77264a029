//! The poolings: largest value and mean of a window.

use super::check::{MEAN_MAX, check_activation, check_window, ensure, same_quantisation};
use super::record::record;
use super::{Activation, Code, Operator, Window};
use crate::error::OpError;
use crate::format::Tensor;
use crate::kernels::{Kernels, Memory};

record! {
    /// Parameters of the poolings. Input and output share scale and zero point.
    pub struct Pool2d: [input] => output {
        /// Input, HWC.
        pub input: Tensor,
        /// Output, HWC.
        pub output: Tensor,
        /// Kernel, stride and padding; dilation is 1.
        pub window: Window,
        /// Fused clamp.
        pub activation: Activation,
    }
}

impl Pool2d {
    /// The values under a window, and places in the padding.
    fn values(&self) -> u64 {
        u64::from(self.output.channels) * u64::from(self.window.area())
    }
}

/// The operator that takes the largest value.
pub(super) struct MaxPool2d;

impl Operator for MaxPool2d {
    type Params = Pool2d;

    fn others(op: &Pool2d) -> u64 {
        op.values()
    }
}

impl Code for MaxPool2d {
    type Operator = Self;

    fn check(op: &Pool2d, _: &[u8]) -> Result<(), OpError> {
        check(op)
    }

    #[inline(always)]
    fn run<K: Kernels>(op: &Pool2d, memory: Memory<'_>) -> Option<()> {
        K::max_pool2d(op, memory.pair(&op.input, &op.output)?);
        Some(())
    }
}

/// The operator that takes the mean value.
pub(super) struct AveragePool2d;

impl Operator for AveragePool2d {
    type Params = Pool2d;

    fn others(op: &Pool2d) -> u64 {
        op.values()
    }
}

impl Code for AveragePool2d {
    type Operator = Self;

    fn check(op: &Pool2d, _: &[u8]) -> Result<(), OpError> {
        check(op)
    }

    #[inline(always)]
    fn run<K: Kernels>(op: &Pool2d, memory: Memory<'_>) -> Option<()> {
        K::average_pool2d(op, memory.pair(&op.input, &op.output)?);
        Some(())
    }
}

fn check(op: &Pool2d) -> Result<(), OpError> {
    check_window(&op.window, &op.input, &op.output)?;
    check_activation(op.activation)?;
    ensure(op.window.dilation_h == 1 && op.window.dilation_w == 1, OpError::Window)?;
    ensure(op.input.channels == op.output.channels, OpError::Shape)?;
    let under = |kernel: u16, side: u16| u64::from(kernel.min(side));
    let largest = under(op.window.kernel_h, op.input.height) * under(op.window.kernel_w, op.input.width);
    ensure(largest <= u64::from(MEAN_MAX), OpError::Overflow)?;
    ensure(same_quantisation(&op.input, &op.output), OpError::Quantisation)
}
