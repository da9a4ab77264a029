//! A layer's record together with its constants in flash.

use core::marker::PhantomData;

use super::params::{ChannelParams, OutputParams, PackedParams};
use super::{Form, PatchOrder, Winograd};
use crate::format::{Conv2d, DEPTHWISE_LEN, Layout, Weights};

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

/// Weights and parameters in one of the layouts.
#[derive(Clone, Copy, Debug)]
pub enum Constants<'a> {
    /// [`Layout::Plain`].
    Plain {
        /// Weights as two's complement bytes.
        weights: &'a [u8],
        /// One entry an output channel.
        channels: Channels<'a>,
    },
    /// [`Layout::Packed`].
    Packed(Packed<'a>),
    /// [`Layout::Packed`] of a depthwise convolution.
    Depthwise(PackedDepthwise<'a>),
    /// [`Layout::Winograd2x2`], [`Layout::Winograd4x4`], [`Layout::WinogradStride2`].
    Winograd(Winograd<'a>),
}

/// Plain weights and their parameters; `None` when they lie outside the weights section.
fn find_plain(section: &[u8], weights: Weights, inputs: usize, outputs: usize) -> Option<(&[u8], Channels<'_>)> {
    let start = weights.weights as usize;
    let bytes = section.get(start..start.checked_add(inputs.checked_mul(outputs)?)?)?;
    Some((bytes, Channels::find(section, weights.channels, outputs)?))
}

/// The constants of a packed layer.
#[derive(Clone, Copy, Debug)]
pub struct Packed<'a> {
    /// The order of the weights.
    pub order: PatchOrder,
    /// For each pair of output channels, 4 bytes for each pair of elements.
    pub words: &'a [u8],
    /// One entry an output channel; an even number.
    pub channels: Channels<'a, PackedParams>,
}

impl<'a> Packed<'a> {
    pub(super) fn find(section: &'a [u8], op: &Conv2d) -> Option<Self> {
        let (order, outputs) = (PatchOrder::conv2d(op), op.output.channels as usize);
        let start = op.weights.weights as usize;
        let len = outputs.div_ceil(2).checked_mul(order.pairs())?.checked_mul(4)?;
        let channels = Channels::find(section, op.weights.channels, outputs.next_multiple_of(2))?;
        Some(Self { order, words: section.get(start..start.checked_add(len)?)?, channels })
    }

    /// The words of each pair of output channels.
    pub fn rows(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.words.chunks_exact(self.order.pairs().saturating_mul(4).max(1))
    }

    /// The weight of output channel `output` for element `index` of the patch.
    #[must_use]
    pub fn weight(&self, output: usize, index: usize) -> i8 {
        let at = (output / 2 * self.order.pairs() * 2 + self.order.position(index)) * 2;
        let (a, b) = unpack(self.words.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default());
        if output.is_multiple_of(2) { a } else { b as i8 }
    }
}

/// The constants of a packed depthwise convolution.
#[derive(Clone, Copy, Debug)]
pub struct PackedDepthwise<'a> {
    /// [`DEPTHWISE_LEN`] bytes an output channel.
    pub weights: &'a [u8],
    /// One entry an output channel.
    pub channels: Channels<'a, PackedParams>,
}

impl<'a> PackedDepthwise<'a> {
    /// Which tap each byte of a channel belongs to; the others are 0.
    pub const TAPS: [usize; 9] = [0, 3, 2, 5, 6, 1, 8, 4, 7];

    pub(super) fn find(section: &'a [u8], weights: Weights, outputs: usize) -> Option<Self> {
        let start = weights.weights as usize;
        let end = start.checked_add(outputs.checked_mul(DEPTHWISE_LEN)?)?;
        let channels = Channels::find(section, weights.channels, outputs)?;
        Some(Self { weights: section.get(start..end)?, channels })
    }

    /// The weights of output channel `output` in the order of the taps.
    #[must_use]
    pub fn taps(&self, output: usize) -> [i8; 9] {
        let mut taps = [0; 9];
        let bytes = self.weights.get(output.saturating_mul(DEPTHWISE_LEN)..).unwrap_or_default();
        for (&byte, tap) in bytes.iter().zip(Self::TAPS) {
            if let Some(slot) = taps.get_mut(tap) {
                *slot = byte as i8;
            }
        }
        taps
    }
}

/// The two weights in a halfword `a + 256 · b`; the second is 128 where no int8 weights give it.
#[inline]
#[must_use]
pub const fn unpack(halfword: [u8; 2]) -> (i8, i16) {
    let a = halfword[0] as i8;
    (a, ((i16::from_le_bytes(halfword) as i32 - a as i32) >> 8) as i16)
}

/// A convolution or depthwise convolution with its constants.
#[derive(Clone, Copy, Debug)]
pub struct ConvLayer<'a> {
    /// Geometry and quantisation.
    pub op: &'a Conv2d,
    /// Plain weights are OHWI, or HWC when depthwise.
    pub constants: Constants<'a>,
}

impl<'a> ConvLayer<'a> {
    /// Finds a convolution's constants in the weights section; `None` when they lie outside.
    #[must_use]
    pub fn conv2d(op: &'a Conv2d, section: &'a [u8]) -> Option<Self> {
        match (op.weights.layout, Form::of(op.weights.layout)) {
            (_, Some(form)) => Self::winograd(op, section, form),
            (Layout::Packed, _) => Self::packed(op, section),
            _ => Self::plain(op, section),
        }
    }

    /// Finds a depthwise convolution's constants in the weights section; `None` when they lie outside.
    #[must_use]
    pub fn depthwise(op: &'a Conv2d, section: &'a [u8]) -> Option<Self> {
        match op.weights.layout {
            Layout::Plain => Self::plain_depthwise(op, section),
            Layout::Packed => Self::packed_depthwise(op, section),
            _ => None,
        }
    }

    /// Finds plain weights.
    #[inline(always)]
    pub(crate) fn plain(op: &'a Conv2d, section: &'a [u8]) -> Option<Self> {
        let (inputs, outputs) = (PatchOrder::conv2d(op).len(), op.output.channels as usize);
        let (weights, channels) = find_plain(section, op.weights, inputs, outputs)?;
        Some(Self { op, constants: Constants::Plain { weights, channels } })
    }

    /// Finds packed weights.
    #[inline(always)]
    pub(crate) fn packed(op: &'a Conv2d, section: &'a [u8]) -> Option<Self> {
        Some(Self { op, constants: Constants::Packed(Packed::find(section, op)?) })
    }

    /// Finds transformed weights.
    #[inline(always)]
    pub(crate) fn winograd(op: &'a Conv2d, section: &'a [u8], form: Form) -> Option<Self> {
        let winograd = Winograd { form, ..Winograd::find(section, op, form)? };
        Some(Self { op, constants: Constants::Winograd(winograd) })
    }

    /// Finds a depthwise convolution's plain weights.
    #[inline(always)]
    pub(crate) fn plain_depthwise(op: &'a Conv2d, section: &'a [u8]) -> Option<Self> {
        let (weights, channels) = find_plain(section, op.weights, op.window.taps(), op.output.channels as usize)?;
        Some(Self { op, constants: Constants::Plain { weights, channels } })
    }

    /// Finds a depthwise convolution's packed weights.
    #[inline(always)]
    pub(crate) fn packed_depthwise(op: &'a Conv2d, section: &'a [u8]) -> Option<Self> {
        let packed = PackedDepthwise::find(section, op.weights, op.output.channels as usize)?;
        Some(Self { op, constants: Constants::Depthwise(packed) })
    }

    /// The weight of output channel `output` for element `index` of the patch in plain order; a depthwise convolution's
    /// elements are its taps.
    #[must_use]
    pub fn weight(&self, output: usize, index: usize, depthwise: bool) -> i8 {
        match &self.constants {
            Constants::Plain { weights, .. } => {
                let outputs = self.op.output.channels as usize;
                let len = PatchOrder::conv2d(self.op).len();
                let at = if depthwise { index * outputs + output } else { output * len + index };
                weights.get(at).map_or(0, |&weight| weight as i8)
            }
            Constants::Packed(packed) => packed.weight(output, index),
            Constants::Depthwise(packed) => packed.taps(output).get(index).copied().unwrap_or(0),
            Constants::Winograd(winograd) => {
                let inputs = (self.op.input.channels as usize).max(1);
                let weights = winograd.weights(output, index % inputs);
                weights.as_flattened().get(index / inputs).copied().unwrap_or(0)
            }
        }
    }

    /// The parameters of output channel `output`.
    #[must_use]
    pub fn channel(&self, output: usize) -> Option<ChannelParams> {
        match &self.constants {
            Constants::Plain { channels, .. } => channels.skip(output).iter().next(),
            Constants::Packed(Packed { channels, .. })
            | Constants::Depthwise(PackedDepthwise { channels, .. })
            | Constants::Winograd(Winograd { channels, .. }) => {
                channels.skip(output).iter().next().map(PackedParams::plain)
            }
        }
    }
}
