//! The narrow waist: one trait that every kernel set implements.
//!
//! A kernel gets its operator's parameters, its constants, and the bytes of its tensors. It reads the inputs, writes the output
//! and uses the scratch, and nothing else. [`Model::parse`](crate::Model::parse) has proved that these lie in the arena and that
//! no sum overflows; what it has proved is not checked again, but where `unsafe` code relies on it.
//!
//! Where the output shares bytes with an input, a kernel reads each byte before it overwrites it: it reads and writes in the
//! order that [`Overlap`](crate::operators::Overlap) asks for. Every set gives the same bytes, in however many parts.

mod arch;
mod copy;
mod generic;
mod linked;
mod rows;
mod scalar;
mod set;
mod views;
mod window;

pub use arch::NATIVE_NAME;
pub(crate) use arch::armv81m::image as vectors;
#[doc(hidden)]
pub use arch::{Armv6m, Armv7em, Armv7m, Armv81m, Native};
#[doc(hidden)]
pub use generic::Generic;
pub(crate) use linked::Entry;
pub use linked::Linked;
pub use set::KernelSet;
#[doc(hidden)]
pub use views::{Apart, Part, Shared};
pub(crate) use views::{Memory, Run};

use core::ops::Range;

pub use crate::operators::Kernel;
use crate::operators::{
    Add, Clamp, Concat, Conv2d, Dense, DensePacked, DensePlain, Lookup, Mean, Mul, Packed, PackedDepthwise, Pad, Plain,
    Pool2d, ReduceMax, Reshape, Softmax, Tables, Winograd,
};

/// A set of kernels, one for each [`Kernel`]. What a set has no kernel of its own for runs the generic one.
#[doc(hidden)]
pub trait Kernels {
    /// True where a convolution with transformed weights can be divided.
    const DIVIDES_TRANSFORMED: bool = true;

    /// A convolution.
    #[inline(always)]
    fn conv2d(op: &Conv2d, constants: &Plain<'_>, views: Shared<'_, 1>) {
        generic::conv2d::conv2d(op, constants, views);
    }

    /// A convolution with packed weights.
    #[inline(always)]
    fn conv2d_packed(op: &Conv2d, constants: &Packed<'_>, views: Shared<'_, 1>) {
        generic::packed::conv2d(op, constants, views);
    }

    /// A convolution with transformed weights.
    #[inline(always)]
    fn conv2d_winograd(op: &Conv2d, constants: &Winograd<'_>, views: Shared<'_, 1>) {
        generic::winograd::conv2d(op, constants, views);
    }

    /// A depthwise convolution.
    #[inline(always)]
    fn depthwise_conv2d(op: &Conv2d, constants: &Plain<'_>, views: Apart<'_>) {
        generic::depthwise_conv2d::depthwise_conv2d(op, constants, views);
    }

    /// Some channels of a depthwise convolution with packed weights.
    #[inline(always)]
    fn depthwise_conv2d_packed(
        op: &Conv2d,
        constants: &PackedDepthwise<'_>,
        views: Shared<'_, 1>,
        channels: Range<usize>,
    ) {
        generic::depthwise_conv2d::packed(op, constants, views, channels);
    }

    /// A fully connected layer.
    #[inline(always)]
    fn dense(op: &Dense, constants: &DensePlain<'_>, views: Apart<'_>) {
        generic::dense::plain(op, constants, views);
    }

    /// A fully connected layer with packed weights.
    #[inline(always)]
    fn dense_packed(op: &Dense, constants: &DensePacked<'_>, views: Apart<'_>) {
        generic::dense::packed(op, constants, views);
    }

    /// A max pooling.
    #[inline(always)]
    fn max_pool2d(op: &Pool2d, views: Apart<'_>) {
        generic::pool2d::max_pool2d(op, views);
    }

    /// An average pooling.
    #[inline(always)]
    fn average_pool2d(op: &Pool2d, views: Apart<'_>) {
        generic::pool2d::average_pool2d(op, views);
    }

    /// A sum.
    #[inline(always)]
    fn add(op: &Add, views: Shared<'_, 2>) {
        generic::elementwise::add(op, views);
    }

    /// A sum with a table for one summand or both, which have the sum's shape. The tables hold what the multipliers give.
    #[inline(always)]
    fn add_tables(op: &Add, _tables: Tables<'_>, views: Shared<'_, 2>) {
        generic::elementwise::add_even(op, views);
    }

    /// A clamp.
    #[inline(always)]
    fn clamp(op: &Clamp, views: Shared<'_, 1>) {
        generic::elementwise::clamp(op, views);
    }

    /// A table look-up; entry `x + 128` of `table` is the value for `x`.
    #[inline(always)]
    fn lookup(_: &Lookup, table: &[u8; 256], views: Shared<'_, 1>) {
        generic::elementwise::lookup(table, views);
    }

    /// A softmax.
    #[inline(always)]
    fn softmax(op: &Softmax, views: Apart<'_>) {
        generic::softmax::softmax(op, views);
    }

    /// A reshape.
    #[inline(always)]
    fn reshape(_: &Reshape, views: Shared<'_, 1>) {
        let [input] = views.inputs;
        if input.as_ptr() != views.output.as_ptr() {
            copy::copy(input, views.output);
        }
    }

    /// A product.
    #[inline(always)]
    fn mul(op: &Mul, views: Shared<'_, 2>) {
        generic::elementwise::mul(op, views);
    }

    /// A mean.
    #[inline(always)]
    fn mean(op: &Mean, views: Apart<'_>) {
        generic::pool2d::mean(op, views);
    }

    /// A padded tensor.
    #[inline(always)]
    fn pad(op: &Pad, views: Shared<'_, 1>) {
        generic::place::pad(op, views);
    }

    /// Two tensors side by side.
    #[inline(always)]
    fn concat(op: &Concat, views: Shared<'_, 2>) {
        generic::place::concat(op, views);
    }

    /// The largest along sides of a tensor.
    #[inline(always)]
    fn reduce_max(op: &ReduceMax, views: Apart<'_>) {
        generic::reduce_max::reduce_max(op, views);
    }

    /// A constant; `values` holds as many bytes as the output.
    #[inline(always)]
    fn constant(values: &[u8], output: &mut [i8]) {
        for (out, &value) in output.iter_mut().zip(values) {
            *out = value as i8;
        }
    }
}
