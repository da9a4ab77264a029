//! The narrow waist: one trait that every kernel set implements.
//!
//! A kernel gets the whole arena, the layer and a range of output rows. It may read the layer's inputs, write those rows
//! of its output and use its scratch, at the planned offsets and nowhere else. [`Model::parse`](crate::Model::parse) has
//! proved that offsets and constants are in range, and that no sum overflows.
//!
//! Where the output shares bytes with an input, the rows are all of them, and a kernel reads each byte before it overwrites
//! it: it reads and writes in the order that [`Overlap`](crate::ops::Overlap) asks for. Where they lie apart, every set gives
//! the same bytes as [`Reference`](crate::reference::Reference), row range by row range.

mod arch;
mod copy;
mod generic;
mod linked;
mod rows;
mod scalar;
mod set;
mod window;

use core::ops::Range;

pub use arch::{Armv6m, Armv7em, Armv7m, Native};
pub use generic::Generic;
pub use linked::Linked;
pub use set::{Kernel, KernelSet};

use crate::format::{Clamp, Concat, Constant, Lookup, Mean, Mul, Pad, Pool2d, Reshape, Softmax};
use crate::ops::{AddLayer, ConvLayer, DenseLayer};

/// The methods of [`Kernels`] for which no set has kernels of its own: they run the generic ones.
macro_rules! generic_kernels {
    () => {
        fn clamp(arena: &mut [i8], op: &Clamp, rows: Range<usize>) {
            Generic::clamp(arena, op, rows);
        }

        fn lookup(arena: &mut [i8], op: &Lookup, table: &[u8; 256], rows: Range<usize>) {
            Generic::lookup(arena, op, table, rows);
        }

        fn reshape(arena: &mut [i8], op: &Reshape) {
            Generic::reshape(arena, op);
        }

        fn mul(arena: &mut [i8], op: &Mul, rows: Range<usize>) {
            Generic::mul(arena, op, rows);
        }

        fn pad(arena: &mut [i8], op: &Pad, rows: Range<usize>) {
            Generic::pad(arena, op, rows);
        }

        fn concat(arena: &mut [i8], op: &Concat, rows: Range<usize>) {
            Generic::concat(arena, op, rows);
        }

        fn constant(arena: &mut [i8], op: &Constant, values: &[u8]) {
            Generic::constant(arena, op, values);
        }
    };
}
use generic_kernels;

/// A set of kernels. The methods correspond to the variants of [`Op`](crate::format::Op), where the semantics stand.
pub trait Kernels {
    /// Output rows `rows` of a convolution.
    fn conv2d(arena: &mut [i8], layer: &ConvLayer<'_>, rows: Range<usize>);
    /// Output rows `rows` of a depthwise convolution.
    fn depthwise_conv2d(arena: &mut [i8], layer: &ConvLayer<'_>, rows: Range<usize>);
    /// A fully connected layer.
    fn dense(arena: &mut [i8], layer: &DenseLayer<'_>);
    /// Output rows `rows` of a max pooling.
    fn max_pool2d(arena: &mut [i8], op: &Pool2d, rows: Range<usize>);
    /// Output rows `rows` of an average pooling.
    fn average_pool2d(arena: &mut [i8], op: &Pool2d, rows: Range<usize>);
    /// Output rows `rows` of a sum.
    fn add(arena: &mut [i8], layer: &AddLayer<'_>, rows: Range<usize>);
    /// Output rows `rows` of a clamp.
    fn clamp(arena: &mut [i8], op: &Clamp, rows: Range<usize>);
    /// Output rows `rows` of a table look-up; entry `x + 128` of `table` is the value for `x`.
    fn lookup(arena: &mut [i8], op: &Lookup, table: &[u8; 256], rows: Range<usize>);
    /// Output rows `rows` of a softmax.
    fn softmax(arena: &mut [i8], op: &Softmax, rows: Range<usize>);
    /// A reshape.
    fn reshape(arena: &mut [i8], op: &Reshape);
    /// Output rows `rows` of a product.
    fn mul(arena: &mut [i8], op: &Mul, rows: Range<usize>);
    /// Output rows `rows` of a mean.
    fn mean(arena: &mut [i8], op: &Mean, rows: Range<usize>);
    /// Output rows `rows` of a padded tensor.
    fn pad(arena: &mut [i8], op: &Pad, rows: Range<usize>);
    /// Output rows `rows` of two tensors side by side.
    fn concat(arena: &mut [i8], op: &Concat, rows: Range<usize>);
    /// A constant; `values` holds as many bytes as the output.
    fn constant(arena: &mut [i8], op: &Constant, values: &[u8]);
}
