//! A layer's record together with its constants in flash.

use core::marker::PhantomData;

use crate::fixed::{DoubleMultiplier, Multiplier};
use crate::format::{CHANNEL_LEN, Conv2d, Dense, Weights};

/// What turns one output channel's sum of products into an int8 value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelParams {
    /// Bias with the input's zero point folded in.
    pub bias: i32,
    /// Input scale · weight scale / output scale.
    pub multiplier: Multiplier,
}

impl ChannelParams {
    /// Writes one entry.
    #[must_use]
    pub fn to_bytes(self) -> [u8; CHANNEL_LEN] {
        let mut bytes = [0; CHANNEL_LEN];
        let fields = [self.bias, self.multiplier.mantissa, i32::from(self.multiplier.shift)];
        for (slot, field) in bytes.chunks_exact_mut(4).zip(fields) {
            slot.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }
}

impl OutputParams for ChannelParams {
    #[inline]
    fn from_bytes(bytes: &[u8; CHANNEL_LEN]) -> Self {
        let [b0, b1, b2, b3, m0, m1, m2, m3, s0, s1, s2, s3] = *bytes;
        Self {
            bias: i32::from_le_bytes([b0, b1, b2, b3]),
            multiplier: Multiplier {
                mantissa: i32::from_le_bytes([m0, m1, m2, m3]),
                shift: i32::from_le_bytes([s0, s1, s2, s3]).clamp(-128, 127) as i8,
            },
        }
    }

    #[inline]
    fn bias(&self) -> i32 {
        self.bias
    }

    #[inline]
    fn scale(&self, sum: i32) -> i32 {
        self.multiplier.apply(sum)
    }

    fn is_valid(&self) -> bool {
        self.multiplier.is_valid()
    }
}

/// What turns one output's sum of products into an int8 value, in a dense layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DenseParams {
    /// Bias with the input's zero point folded in.
    pub bias: i32,
    /// Input scale · weight scale / output scale.
    pub multiplier: DoubleMultiplier,
}

impl DenseParams {
    /// Writes one entry.
    #[must_use]
    pub fn to_bytes(self) -> [u8; CHANNEL_LEN] {
        let mut bytes = [0; CHANNEL_LEN];
        let fields = self.bias.to_le_bytes().into_iter().chain(self.multiplier.bits.to_le_bytes());
        bytes.iter_mut().zip(fields).for_each(|(slot, byte)| *slot = byte);
        bytes
    }
}

impl OutputParams for DenseParams {
    fn from_bytes(bytes: &[u8; CHANNEL_LEN]) -> Self {
        let [b0, b1, b2, b3, bits @ ..] = *bytes;
        Self {
            bias: i32::from_le_bytes([b0, b1, b2, b3]),
            multiplier: DoubleMultiplier { bits: u64::from_le_bytes(bits) },
        }
    }

    fn bias(&self) -> i32 {
        self.bias
    }

    fn scale(&self, sum: i32) -> i32 {
        self.multiplier.apply(sum)
    }

    fn is_valid(&self) -> bool {
        self.multiplier.is_valid()
    }
}

/// Parameters of one output channel.
pub trait OutputParams {
    /// Reads one entry; see [`format`](crate::format) for its layout.
    fn from_bytes(bytes: &[u8; CHANNEL_LEN]) -> Self;
    /// What is added to the sum of products.
    fn bias(&self) -> i32;
    /// The sum in steps of the output.
    fn scale(&self, sum: i32) -> i32;
    /// True when [`scale`](Self::scale) is defined.
    fn is_valid(&self) -> bool;
}

/// The parameters of a layer's output channels, in order.
#[derive(Clone, Copy, Debug)]
pub struct Channels<'a, P = ChannelParams>(&'a [u8], PhantomData<P>);

impl<'a, P: OutputParams> Channels<'a, P> {
    /// One item an output channel.
    #[inline]
    pub fn iter(self) -> impl Iterator<Item = P> + 'a
    where
        P: 'a,
    {
        let (entries, _) = self.0.as_chunks::<CHANNEL_LEN>();
        entries.iter().map(P::from_bytes)
    }

    /// The channels from `first` on.
    #[must_use]
    #[inline]
    pub fn skip(self, first: usize) -> Self {
        Self(self.0.get(first.saturating_mul(CHANNEL_LEN)..).unwrap_or(&[]), PhantomData)
    }
}

fn constants<P>(section: &[u8], weights: Weights, len: usize, channels: usize) -> Option<(&[u8], Channels<'_, P>)> {
    let start = weights.weights as usize;
    let values = section.get(start..start.checked_add(len)?)?;
    let start = weights.channels as usize;
    let params = section.get(start..start.checked_add(channels.checked_mul(CHANNEL_LEN)?)?)?;
    Some((values, Channels(params, PhantomData)))
}

/// A convolution or depthwise convolution with its constants.
#[derive(Clone, Copy, Debug)]
pub struct ConvLayer<'a> {
    /// Geometry and quantisation.
    pub op: &'a Conv2d,
    /// Weights as two's complement bytes; OHWI, or HWC when depthwise.
    pub weights: &'a [u8],
    /// One entry an output channel.
    pub channels: Channels<'a>,
}

impl<'a> ConvLayer<'a> {
    /// Finds a convolution's constants in the weights section; `None` when they lie outside.
    #[must_use]
    pub fn conv2d(op: &'a Conv2d, section: &'a [u8]) -> Option<Self> {
        let per_output = op.window.taps().checked_mul(op.input.channels as usize)?;
        Self::with_len(op, section, per_output.checked_mul(op.output.channels as usize)?)
    }

    /// Finds a depthwise convolution's constants in the weights section; `None` when they lie outside.
    #[must_use]
    pub fn depthwise(op: &'a Conv2d, section: &'a [u8]) -> Option<Self> {
        Self::with_len(op, section, op.window.taps().checked_mul(op.output.channels as usize)?)
    }

    fn with_len(op: &'a Conv2d, section: &'a [u8], len: usize) -> Option<Self> {
        let (weights, channels) = constants(section, op.weights, len, op.output.channels as usize)?;
        Some(Self { op, weights, channels })
    }
}

/// A fully connected layer with its constants.
#[derive(Clone, Copy, Debug)]
pub struct DenseLayer<'a> {
    /// Geometry and quantisation.
    pub op: &'a Dense,
    /// Weights as two's complement bytes, `[out][in]`.
    pub weights: &'a [u8],
    /// One entry an output.
    pub channels: Channels<'a, DenseParams>,
}

impl<'a> DenseLayer<'a> {
    /// Finds the constants in the weights section; `None` when they lie outside.
    #[must_use]
    pub fn new(op: &'a Dense, section: &'a [u8]) -> Option<Self> {
        let outputs = op.output.channels as usize;
        let (weights, channels) = constants(section, op.weights, op.inputs().checked_mul(outputs)?, outputs)?;
        Some(Self { op, weights, channels })
    }
}
