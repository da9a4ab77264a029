//! A layer's record together with its constants in flash.

use crate::fixed::Multiplier;
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
    /// Reads one entry; see [`format`](crate::format) for its layout.
    #[must_use]
    #[inline]
    pub fn from_bytes(bytes: &[u8; CHANNEL_LEN]) -> Self {
        let [b0, b1, b2, b3, m0, m1, m2, m3, s0, s1, s2, s3] = *bytes;
        Self {
            bias: i32::from_le_bytes([b0, b1, b2, b3]),
            multiplier: Multiplier {
                mantissa: i32::from_le_bytes([m0, m1, m2, m3]),
                shift: i32::from_le_bytes([s0, s1, s2, s3]).clamp(-128, 127) as i8,
            },
        }
    }

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

/// The parameters of a layer's output channels, in order.
#[derive(Clone, Copy, Debug)]
pub struct Channels<'a>(&'a [u8]);

impl<'a> Channels<'a> {
    /// One item an output channel.
    #[inline]
    pub fn iter(self) -> impl Iterator<Item = ChannelParams> + 'a {
        let (entries, _) = self.0.as_chunks::<CHANNEL_LEN>();
        entries.iter().map(ChannelParams::from_bytes)
    }

    /// The channels from `first` on.
    #[must_use]
    #[inline]
    pub fn skip(self, first: usize) -> Self {
        Self(self.0.get(first.saturating_mul(CHANNEL_LEN)..).unwrap_or(&[]))
    }
}

fn constants(section: &[u8], weights: Weights, len: usize, channels: usize) -> Option<(&[u8], Channels<'_>)> {
    let start = weights.weights as usize;
    let values = section.get(start..start.checked_add(len)?)?;
    let start = weights.channels as usize;
    let params = section.get(start..start.checked_add(channels.checked_mul(CHANNEL_LEN)?)?)?;
    Some((values, Channels(params)))
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
    pub channels: Channels<'a>,
}

impl<'a> DenseLayer<'a> {
    /// Finds the constants in the weights section; `None` when they lie outside.
    #[must_use]
    pub fn new(op: &'a Dense, section: &'a [u8]) -> Option<Self> {
        let outputs = op.output.channels as usize;
        let (weights, channels) = constants(section, op.weights, op.input.len().checked_mul(outputs)?, outputs)?;
        Some(Self { op, weights, channels })
    }
}
