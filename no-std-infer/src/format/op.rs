//! The operators' records.

use serde::{Deserialize, Serialize};

use super::Tensor;
use crate::fixed::Multiplier;

/// The window of a convolution or pooling. The output's size is the output tensor's;
/// rows and columns outside the input are padding, so bottom and right padding follow from the sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Kernel height, 1 or more.
    pub kernel_h: u16,
    /// Kernel width, 1 or more.
    pub kernel_w: u16,
    /// Vertical stride, 1 or more.
    pub stride_h: u16,
    /// Horizontal stride, 1 or more.
    pub stride_w: u16,
    /// Vertical distance of taps, 1 or more.
    pub dilation_h: u16,
    /// Horizontal distance of taps, 1 or more.
    pub dilation_w: u16,
    /// Rows of padding above the input.
    pub pad_top: u16,
    /// Columns of padding left of the input.
    pub pad_left: u16,
}

impl Window {
    /// A square kernel without padding or dilation.
    #[must_use]
    pub const fn square(kernel: u16, stride: u16) -> Self {
        Self {
            kernel_h: kernel,
            kernel_w: kernel,
            stride_h: stride,
            stride_w: stride,
            dilation_h: 1,
            dilation_w: 1,
            pad_top: 0,
            pad_left: 0,
        }
    }

    /// True when a depthwise convolution with this window may be [packed](Layout::Packed): 3x3, without dilation, with
    /// stride 1 or 2 in both directions.
    #[must_use]
    pub const fn is_packable_depthwise(&self) -> bool {
        let small = self.kernel_h == 3 && self.kernel_w == 3 && self.pad_top <= 2 && self.pad_left <= 2;
        let dense = self.dilation_h == 1 && self.dilation_w == 1;
        small && dense && self.stride_h == self.stride_w && (self.stride_h == 1 || self.stride_h == 2)
    }

    /// Number of taps.
    #[must_use]
    pub const fn taps(&self) -> usize {
        self.kernel_h as usize * self.kernel_w as usize
    }
}

/// Range to which an output is clamped: a fused ReLU or ReLU6, or −128..=127 for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activation {
    /// Smallest output.
    pub min: i8,
    /// Largest output; not below `min`.
    pub max: i8,
}

impl Activation {
    /// No activation function.
    pub const NONE: Self = Self { min: i8::MIN, max: i8::MAX };
}

/// How the weights of a layer lie in the weights section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// int8 in the order given in the [module's documentation](super); channel parameters of [`CHANNEL_LEN`](super::CHANNEL_LEN) bytes.
    Plain,
    /// Two output channels in one halfword, or a depthwise convolution's channels one after the other; and, but for dense
    /// layers, parameters for the fast requantisation. See the [module's documentation](super). Only of layers without a
    /// narrower clamp than −128..=127; of depthwise convolutions with as many input channels as output channels and a
    /// [window](Window::is_packable_depthwise) of 3x3; and of dense layers whose vectors' length is a multiple of 4.
    Packed,
    /// Weights transformed for Winograd's F(2x2, 3x3), see [`ops::winograd`](crate::ops::winograd), and parameters for the
    /// fast requantisation. Only of a Conv2d with a kernel of 3x3, stride and dilation 1, no narrower clamp than
    /// −128..=127, 3 input channels or a multiple of 4 up to [64](crate::ops::winograd::Form::channels_max), and an even
    /// number of output channels.
    Winograd2x2,
    /// The same for F(4x4, 3x3).
    Winograd4x4,
    /// The same for stride 2, with up to 32 input channels.
    WinogradStride2,
}

/// Constants of a layer with weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    /// How they lie in flash.
    pub layout: Layout,
    /// First weight, counted from the start of the weights section.
    pub weights: u32,
    /// First channel parameter, counted from the start of the weights section; a multiple of 4.
    pub channels: u32,
}

/// One operator. Tensors are named by value: two operators share one when all its fields are equal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    /// Convolution over all input channels.
    Conv2d(Conv2d),
    /// Convolution of each channel by itself; output channels are a multiple of the input's.
    DepthwiseConv2d(Conv2d),
    /// Every input element times a weight for every output.
    Dense(Dense),
    /// Largest value in a window; padding never wins.
    MaxPool2d(Pool2d),
    /// Mean of the values in a window that lie in the input, rounded half away from zero.
    AveragePool2d(Pool2d),
    /// Sum of two tensors.
    Add(Add),
    /// ReLU, ReLU6 or any other clamp, in the input's quantisation.
    Clamp(Clamp),
    /// A function of one element by a table of 256 entries: sigmoid and others.
    Lookup(Lookup),
    /// Softmax over the channels of every pixel; the output's scale is 1/256 and its zero point −128.
    Softmax(Softmax),
    /// The same bytes under another shape.
    Reshape(Reshape),
    /// Product of two tensors.
    Mul(Mul),
    /// Mean over height, width or both, in another quantisation.
    Mean(Mean),
    /// The input with a border of one value.
    Pad(Pad),
    /// Two tensors side by side.
    Concat(Concat),
    /// A tensor from the weights section.
    Constant(Constant),
}

/// Parameters of [`Op::Conv2d`] and [`Op::DepthwiseConv2d`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conv2d {
    /// Input, HWC.
    pub input: Tensor,
    /// Output, HWC.
    pub output: Tensor,
    /// Kernel, stride, dilation and padding.
    pub window: Window,
    /// Constants.
    pub weights: Weights,
    /// Fused clamp.
    pub activation: Activation,
    /// First byte of the scratch in the arena; its length is [`Op::scratch_len`].
    pub scratch: u32,
}

/// Parameters of [`Op::Dense`].
///
/// The input is taken as as many vectors as the output has pixels, each multiplied with the same weights; for an output
/// of 1 x 1 the whole input is one vector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dense {
    /// Input, taken as vectors in HWC order.
    pub input: Tensor,
    /// Output.
    pub output: Tensor,
    /// Constants.
    pub weights: Weights,
    /// Fused clamp.
    pub activation: Activation,
}

impl Dense {
    /// Length of each vector that is multiplied; 0 when there is none.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.vector_len().unwrap_or(0)
    }

    /// Length of each vector that is multiplied; `None` when there is none.
    #[inline(always)]
    pub(crate) fn vector_len(&self) -> Option<usize> {
        let vectors = usize::from(self.output.height) * usize::from(self.output.width);
        self.input.len().checked_div(vectors)
    }
}

/// Parameters of the poolings. Input and output share scale and zero point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pool2d {
    /// Input, HWC.
    pub input: Tensor,
    /// Output, HWC.
    pub output: Tensor,
    /// Kernel, stride and padding; dilation is 1.
    pub window: Window,
    /// Fused clamp.
    pub activation: Activation,
}

/// Parameters of [`Op::Add`], as TFLite's: each input, less its zero point and shifted left by [`ADD_SHIFT`], is
/// scaled by its multiplier; the sum is scaled by `output_multiplier`.
///
/// Each of a summand's sides is the sum's or 1; where it is 1, its elements count for every row, column or channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Add {
    /// First summand.
    pub a: Tensor,
    /// Second summand.
    pub b: Tensor,
    /// Sum.
    pub output: Tensor,
    /// Multiplier of `a`, at most 1.
    pub a_multiplier: Multiplier,
    /// Multiplier of `b`, at most 1.
    pub b_multiplier: Multiplier,
    /// Multiplier of the sum, below 1.
    pub output_multiplier: Multiplier,
    /// Fused clamp.
    pub activation: Activation,
    /// First entries of the tables of `a` and `b`, counted from the start of the weights section, multiples of 4: none, or
    /// those that [`Add::needs_tables`] asks for. They hold what the multipliers give, so that a kernel may use either.
    pub tables: [Option<u32>; 2],
}

/// Left shift of both summands in [`Op::Add`] (TFLite's value for int8).
pub const ADD_SHIFT: u32 = 20;

/// Parameters of [`Op::Clamp`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clamp {
    /// Input.
    pub input: Tensor,
    /// Output of the same shape, scale and zero point.
    pub output: Tensor,
    /// The range.
    pub activation: Activation,
}

/// Parameters of [`Op::Lookup`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lookup {
    /// Input.
    pub input: Tensor,
    /// Output of the same shape.
    pub output: Tensor,
    /// First entry of the table, counted from the start of the weights section.
    pub table: u32,
}

/// Parameters of [`Op::Softmax`], as TFLite's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Softmax {
    /// Logits: one vector of channels a pixel.
    pub input: Tensor,
    /// Probabilities of the same shape.
    pub output: Tensor,
    /// `input scale · 2^26 / temperature` as a multiplier of 1 or more.
    pub multiplier: Multiplier,
    /// Differences to the largest logit below this one count as probability 0.
    pub diff_min: i32,
}

/// Parameters of [`Op::Reshape`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reshape {
    /// Input.
    pub input: Tensor,
    /// Output with as many elements, the same scale and zero point.
    pub output: Tensor,
}

/// Parameters of [`Op::Mul`], as TFLite's: the product of both factors less their zero points is scaled by `multiplier`.
///
/// Each of a factor's sides is the product's or 1, as in [`Add`]. Where a product shifted left by the multiplier leaves 32
/// bits it saturates (LiteRT's wraps), which takes a shift of 16 or more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mul {
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

/// Parameters of [`Op::Mean`]: the sum of `count` elements less their zero points is scaled by `multiplier`, which
/// holds the division, so that there is one rounding for it and the requantisation.
///
/// LiteRT's reference kernel (2.3.0) does this for int8 whether or not the scales are equal and dimensions are kept.
/// Its multiplier is that of `input scale / output scale`, mantissa `m` and shift `e`, divided without rounding:
/// mantissa `⌊m · 2^s / count⌋` and shift `e − s` with `s = min(⌊log2 count⌋, 31 + e)`.
/// The mantissa may thus be smaller than 2^30, and must not be normalised: that would change the rounding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    /// Input.
    pub input: Tensor,
    /// Output with the input's channels; its height and its width are the input's, or 1 where the mean is taken.
    pub output: Tensor,
    /// `input scale / output scale / count`.
    pub multiplier: Multiplier,
}

impl Mean {
    /// Number of elements that each mean is taken over.
    #[must_use]
    pub fn count(&self) -> u32 {
        let side = |input: u16, output: u16| if input == output { 1 } else { u32::from(input) };
        side(self.input.height, self.output.height) * side(self.input.width, self.output.width)
    }
}

/// Parameters of [`Op::Pad`]. Rows below, columns to the right and channels after the input follow from the sizes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pad {
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

/// Parameters of [`Op::Concat`]. All three tensors have the same scale and zero point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Concat {
    /// What comes first.
    pub a: Tensor,
    /// What comes after it.
    pub b: Tensor,
    /// Both: one side is the sum of the inputs', the other two are the inputs'.
    pub output: Tensor,
}

/// Parameters of [`Op::Constant`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Constant {
    /// Output.
    pub output: Tensor,
    /// Its first byte, counted from the start of the weights section.
    pub values: u32,
}
