//! How weights and parameters of output channels lie in the weights section.

use core::marker::PhantomData;

use super::params::{ChannelParams, OutputParams};
use super::record::{Field, Reader, Writer, record};

/// How the weights of a layer lie in the weights section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Layout {
    /// int8 in the order given in the [format's documentation](crate::format); channel parameters of
    /// [`CHANNEL_LEN`](crate::format::CHANNEL_LEN) bytes.
    Plain,
    /// Two output channels in one halfword, or a depthwise convolution's channels one after the other; and, but for dense
    /// layers, parameters for the fast requantisation. See the [format's documentation](crate::format). Only of layers without a
    /// narrower clamp than −128..=127; of depthwise convolutions with as many input channels as output channels and a
    /// [window](super::Window::is_packable_depthwise) of 3x3; and of dense layers whose vectors' length is a multiple of 4.
    Packed,
    /// Weights transformed for Winograd's F(2x2, 3x3), see [`Winograd`](super::Winograd), and parameters for the
    /// fast requantisation. Only of a Conv2d with a kernel of 3x3, stride and dilation 1, no narrower clamp than
    /// −128..=127, 3 input channels or a multiple of 4 up to [64](super::Form::channels_max), and an even
    /// number of output channels.
    Winograd2x2,
    /// The same for F(4x4, 3x3).
    Winograd4x4,
    /// The same for stride 2, with up to 32 input channels.
    WinogradStride2,
}

impl Field for Layout {
    const LEN: usize = 1;

    #[inline(always)]
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(match u8::read(reader)? {
            0 => Self::Plain,
            1 => Self::Packed,
            2 => Self::Winograd2x2,
            3 => Self::Winograd4x4,
            4 => Self::WinogradStride2,
            _ => return None,
        })
    }

    fn write(&self, writer: &mut Writer) {
        (*self as u8).write(writer);
    }
}

record! {
    /// Constants of a layer with weights.
    pub struct Weights {
        /// How they lie in flash.
        pub layout: Layout,
        /// First weight, counted from the start of the weights section.
        pub weights: u32,
        /// First channel parameter, counted from the start of the weights section; a multiple of 4.
        pub channels: u32,
    }
}

/// Plain weights and their parameters.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Plain<'a> {
    /// Weights as two's complement bytes.
    pub weights: &'a [u8],
    /// One entry an output channel.
    pub channels: Channels<'a>,
}

impl<'a> Plain<'a> {
    /// Finds `inputs` weights and an entry for each of the outputs in the weights section; `None` when they lie outside.
    #[inline(always)]
    pub(crate) fn find(section: &'a [u8], weights: Weights, inputs: usize, outputs: usize) -> Option<Self> {
        let start = weights.weights as usize;
        let bytes = section.get(start..start.checked_add(inputs.checked_mul(outputs)?)?)?;
        Some(Self { weights: bytes, channels: Channels::find(section, weights.channels, outputs)? })
    }
}

/// The parameters of a layer's output channels, in order.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Channels<'a, P = ChannelParams>(&'a [u8], PhantomData<P>);

impl<'a, P: OutputParams> Channels<'a, P> {
    /// One item an output channel.
    #[inline]
    pub fn iter(self) -> impl Iterator<Item = P> + 'a
    where
        P: 'a,
    {
        self.0.chunks_exact(P::LEN).map(P::from_bytes)
    }

    /// The channels from `first` on.
    #[must_use]
    #[inline]
    pub fn skip(self, first: usize) -> Self {
        Self(self.0.get(first.saturating_mul(P::LEN)..).unwrap_or(&[]), PhantomData)
    }

    /// The entries' bytes.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// Entries as bytes.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes, PhantomData)
    }

    /// `count` entries in the weights section from `start` on; `None` when they lie outside.
    pub(crate) fn find(section: &'a [u8], start: u32, count: usize) -> Option<Self> {
        let bytes = section.get(start as usize..)?.get(..count.checked_mul(P::LEN)?)?;
        Some(Self::new(bytes))
    }
}

/// The two weights in a halfword `a + 256 · b`; the second is 128 where no int8 weights give it.
#[inline]
#[must_use]
pub const fn unpack(halfword: [u8; 2]) -> (i8, i16) {
    let a = halfword[0] as i8;
    (a, ((i16::from_le_bytes(halfword) as i32 - a as i32) >> 8) as i16)
}
