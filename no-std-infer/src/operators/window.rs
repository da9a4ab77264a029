//! The window of a convolution or pooling, and the clamp after it.

use serde::{Deserialize, Serialize};

use super::record::fields;

/// The window of a convolution or pooling. The output's size is the output tensor's;
/// rows and columns outside the input are padding, so bottom and right padding follow from the sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
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

    /// True when a depthwise convolution with this window may be [packed](super::Layout::Packed): 3x3, without dilation, with
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

    /// The same in 32 bits, which the product of two sides of 16 bits fits.
    pub(crate) const fn area(&self) -> u32 {
        self.kernel_h as u32 * self.kernel_w as u32
    }
}

/// Range to which an output is clamped: a fused ReLU or ReLU6, or −128..=127 for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
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

fields!(Window {
    kernel_h: u16,
    kernel_w: u16,
    stride_h: u16,
    stride_w: u16,
    dilation_h: u16,
    dilation_w: u16,
    pad_top: u16,
    pad_left: u16
});
fields!(Activation { min: i8, max: i8 });
