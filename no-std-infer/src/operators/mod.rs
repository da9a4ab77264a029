//! The operators: one file says all about each, and one table names them.
//!
//! An operator's file holds its parameters and what it computes from them, in prose; what
//! [`Model::parse`](crate::Model::parse) proves about them; where its output may lie over an input; and which kernel runs with
//! which constants.

mod add;
pub(crate) mod check;
mod clamp;
mod concat;
mod constant;
mod conv2d;
mod dense;
mod depthwise_conv2d;
mod lookup;
mod mean;
mod mul;
mod overlap;
mod pad;
mod params;
mod pool2d;
mod record;
mod reduce_max;
mod reshape;
mod softmax;
mod table;
mod weights;
mod window;

use serde::{Deserialize, Serialize};

pub use self::add::{ADD_SHIFT, Add, Table, Tables};
pub(crate) use self::add::{Summands, entry as table_entry};
pub use self::clamp::Clamp;
pub use self::concat::Concat;
pub use self::constant::Constant;
pub use self::conv2d::order::PatchOrder;
pub(crate) use self::conv2d::packed::panel_len;
pub use self::conv2d::packed::{Packed, Strip};
pub(crate) use self::conv2d::patches::Patches;
pub use self::conv2d::winograd::{self, Form, Winograd};
pub use self::conv2d::{Conv2d, plain_weights};
pub use self::dense::{DENSE_BLOCK, Dense, DensePacked, DensePlain, dense_position};
#[cfg(nsi_armv7em)]
pub(crate) use self::dense::{ENTRIES_IN_BLOCKS, groups};
pub(crate) use self::depthwise_conv2d::blocks::Blocks;
pub(crate) use self::depthwise_conv2d::plane::Plane;
pub use self::depthwise_conv2d::plane::rows_together;
pub use self::depthwise_conv2d::{PackedDepthwise, plain_depthwise_weights};
pub use self::lookup::Lookup;
pub use self::mean::Mean;
pub use self::mul::Mul;
pub use self::overlap::Overlap;
pub use self::pad::Pad;
pub use self::params::{ChannelParams, DenseParams, OutputParams, PackedParams};
pub use self::pool2d::Pool2d;
pub use self::record::RECORD_LEN;
use self::record::{Field, Reader, Writer};
pub(crate) use self::record::{Record, read};
pub use self::reduce_max::ReduceMax;
pub use self::reshape::Reshape;
pub use self::softmax::Softmax;
use self::table::operators;
pub use self::weights::{Channels, Layout, Plain, Weights, unpack};
pub use self::window::{Activation, Window};
use crate::bounded::Bounded;
use crate::cost::Cost;
use crate::error::OpError;
use crate::format::Tensor;
use crate::kernels::{Entry, Kernels, Memory};

operators! {
    /// Convolution over all input channels.
    0 Conv2d(Conv2d) "conv2d" = Conv2d, by conv2d::layout {
        0 => Conv2d "conv2d": conv2d::Direct,
        1 => Conv2dPacked "conv2d, packed": conv2d::packed::Direct,
        2 => Conv2dWinograd2x2 "conv2d, F(2x2)": winograd::Transformed<winograd::F2x2, 4>,
        3 => Conv2dWinograd4x4 "conv2d, F(4x4)": winograd::Transformed<winograd::F4x4, 6>,
        4 => Conv2dWinogradStride2 "conv2d, polyphase": winograd::Transformed<winograd::Stride2, 5>,
    }
    /// Convolution of each channel by itself; output channels are a multiple of the input's.
    1 DepthwiseConv2d(Conv2d) "depthwise_conv2d" = depthwise_conv2d::DepthwiseConv2d, by conv2d::layout {
        0 => DepthwiseConv2d "depthwise_conv2d": depthwise_conv2d::Direct,
        1 => DepthwiseConv2dPacked "depthwise_conv2d, packed": depthwise_conv2d::DirectPacked,
    }
    /// Every input element times a weight for every output.
    2 Dense(Dense) "dense" = Dense, by dense::layout {
        0 => Dense "dense": dense::Product,
        1 => DensePacked "dense, packed": dense::PackedProduct,
    }
    /// Largest value in a window; padding never wins.
    3 MaxPool2d(Pool2d) "max_pool2d" = pool2d::MaxPool2d, by only {
        0 => MaxPool2d "max_pool2d": pool2d::MaxPool2d,
    }
    /// Mean of the values in a window that lie in the input, rounded half away from zero.
    4 AveragePool2d(Pool2d) "average_pool2d" = pool2d::AveragePool2d, by only {
        0 => AveragePool2d "average_pool2d": pool2d::AveragePool2d,
    }
    /// Sum of two tensors.
    5 Add(Add) "add" = Add, by add::tables {
        0 => Add "add": add::Sum,
        1 => AddTables "add, tables": add::TableSum,
    }
    /// ReLU, ReLU6 or any other clamp, in the input's quantisation.
    6 Clamp(Clamp) "clamp" = Clamp, by only {
        0 => Clamp "clamp": Clamp,
    }
    /// A function of one element by a table of 256 entries: sigmoid and others.
    7 Lookup(Lookup) "lookup" = Lookup, by only {
        0 => Lookup "lookup": Lookup,
    }
    /// Softmax over the channels of every pixel; the output's scale is 1/256 and its zero point −128.
    8 Softmax(Softmax) "softmax" = Softmax, by only {
        0 => Softmax "softmax": Softmax,
    }
    /// The same bytes under another shape.
    9 Reshape(Reshape) "reshape" = Reshape, by only {
        0 => Reshape "reshape": Reshape,
    }
    /// Product of two tensors.
    10 Mul(Mul) "mul" = Mul, by only {
        0 => Mul "mul": Mul,
    }
    /// Mean over height, width or both, in another quantisation.
    11 Mean(Mean) "mean" = Mean, by only {
        0 => Mean "mean": Mean,
    }
    /// The input with a border of one value.
    12 Pad(Pad) "pad" = Pad, by only {
        0 => Pad "pad": Pad,
    }
    /// Two tensors side by side.
    13 Concat(Concat) "concat" = Concat, by only {
        0 => Concat "concat": Concat,
    }
    /// A tensor from the weights section.
    14 Constant(Constant) "constant" = Constant, by only {
        0 => Constant "constant": Constant,
    }
    /// Largest value over height, width, channels or several of them.
    15 ReduceMax(ReduceMax) "reduce_max" = ReduceMax, by only {
        0 => ReduceMax "reduce_max": ReduceMax,
    }
}

impl Op {
    /// Pixels of the output.
    fn pixels(&self) -> u64 {
        u64::from(self.output().height) * u64::from(self.output().width)
    }

    /// Multiply-accumulates of one inference, taps in the padding included.
    #[must_use]
    pub fn macs(&self) -> u64 {
        u64::from(self.weights()) * self.pixels()
    }

    /// What one run of it takes at most; `None` when the products leave 64 bits.
    #[must_use]
    pub fn cost(&self) -> Option<Cost> {
        let mut cost = Cost::default();
        self.account(&mut cost, &mut 0).then_some(cost)
    }

    /// Adds what one run of it takes, and raises `end` to where its output or its scratch ends in the arena; false when the
    /// products leave 64 bits.
    // Apart from where operators are checked: its stack is not in use then.
    #[inline(never)]
    pub(crate) fn account(&self, cost: &mut Cost, end: &mut u32) -> bool {
        let (weights, pixels) = (self.weights(), self.pixels());
        let each = u64::from(weights) + self.others();
        // In halves, each of which is below 2^32 as the pixels are.
        let (low, high) = ((each & u64::from(u32::MAX)) * pixels, (each >> 32) * pixels);
        let high = high + (low >> 32);
        let products = cost.products.checked_add(high << 32 | low & u64::from(u32::MAX));
        let tensors = self.inputs().chain([self.output()]).map(|tensor| tensor.len() as u64);
        let (output, scratch) = (self.output(), self.scratch_len());
        // In range: see the field.
        cost.bytes = tensors.fold(cost.bytes, u64::plus).plus(scratch.into()).plus(weights.into());
        *end = output.offset.saturating_add(output.len() as u32).max(*end);
        *end = self.scratch_offset().saturating_add(scratch).max(*end);
        cost.products = products.unwrap_or(u64::MAX);
        products.is_some() && high <= u64::from(u32::MAX)
    }
}

/// What tells the kernel of an operator that has a single one.
const fn only(_: &Record) -> u8 {
    0
}

/// True when these are 0, 1 and so on.
const fn count(numbers: &[u8]) -> bool {
    let mut index = 0;
    while index < numbers.len() && numbers[index] as usize == index {
        index += 1;
    }
    index == numbers.len()
}

impl Kernel {
    /// The kernel for an operator's record; `None` where there is no such operator, or none with such a layout.
    #[must_use]
    #[inline(never)]
    pub const fn of(record: &Record) -> Option<Self> {
        match Self::number_of(record) {
            Some(number) => Self::numbered(number),
            None => None,
        }
    }
}

/// The tensors among an operator's parameters.
pub(crate) trait Tensors {
    /// Those that it reads.
    fn inputs(&self) -> [Option<&Tensor>; 2];

    /// The one that it makes.
    fn output(&self) -> &Tensor;

    /// Calls `change` for each of them.
    fn change(&mut self, change: &mut dyn FnMut(&mut Tensor));
}

/// What an operator says about itself, given its parameters.
pub(crate) trait Operator: Sized {
    /// Its parameters, as a record holds them.
    type Params: Field + Tensors;

    /// Whether parsing and kernels share one function that reads the parameters: less code for a call more at each run.
    const READ_BY_CALL: bool = false;

    /// Where its scratch starts in the arena, and how many bytes it takes with any kernel set.
    fn scratch(_: &Self::Params) -> (u32, usize) {
        (0, 0)
    }

    /// Where the output may lie over `input`; `None` when they must lie apart.
    fn overlap(_op: &Self::Params, _input: &Tensor) -> Option<Overlap> {
        None
    }

    /// Weights, each of which is multiplied once for each pixel of the output; `u32::MAX` where there are more. An operator that
    /// has been checked has no more than the weights section has bytes, whose length is 32 bits wide.
    fn weights(_: &Self::Params) -> u32 {
        0
    }

    /// What each pixel of the output takes besides, counted as products: see [`Cost`]. 64 bits: at most 2^32 channels times 2^32
    /// taps.
    fn others(_: &Self::Params) -> u64 {
        0
    }

    /// How many parts of equal size it can be computed in.
    fn parts(op: &Self::Params) -> u16 {
        op.output().height
    }
}

/// An operator's variant of [`Op`].
pub(crate) trait Variant: Operator {
    /// The operator with these parameters.
    fn wrap(params: Self::Params) -> Op;

    /// The parameters of an operator of this variant.
    fn unwrap(op: &Op) -> Option<&Self::Params>;
}

/// An operator with one layout of its constants: what is to be proved, and the kernel.
pub(crate) trait Code {
    /// The operator.
    type Operator: Variant;

    /// Checks all about it that does not depend on other operators, given the weights section.
    fn check(op: &Params<Self>, section: &[u8]) -> Result<(), OpError>;

    /// Runs a part of it. `None` where [`check`](Self::check) or [`Model::parse`](crate::Model::parse) would have failed.
    fn run<K: Kernels>(op: &Params<Self>, memory: Memory<'_>) -> Option<()>;
}

/// The parameters of a code's operator.
pub(crate) type Params<C> = <<C as Code>::Operator as Operator>::Params;

/// Scratch of so many bytes, rounded up to a multiple of 16.
fn rounded(len: usize) -> usize {
    len.checked_next_multiple_of(16).unwrap_or(usize::MAX)
}
