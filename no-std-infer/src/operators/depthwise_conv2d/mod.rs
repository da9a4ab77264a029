//! Convolution of each channel by itself, with the parameters of [`Conv2d`].

pub(crate) mod blocks;
pub(crate) mod plane;

use self::blocks::Blocks;
use self::plane::Plane;
use super::check::{check_packed_channel, check_packed_layer, check_sum, check_weights, ensure};
use super::conv2d::check_convolution;
use super::params::PackedParams;
use super::{Channels, Code, Conv2d, Layout, Operator, Overlap, Plain, Weights, rounded};
use crate::bounded::{Bounded, numbered};
use crate::error::OpError;
use crate::format::{DEPTHWISE_LEN, Tensor};
use crate::kernels::{Kernels, Memory};

/// The operator.
pub(super) struct DepthwiseConv2d;

impl Operator for DepthwiseConv2d {
    type Params = Conv2d;
    const READ_BY_CALL: bool = true;

    /// [`Blocks`] of rows; a packed one copies one channel with its border.
    fn scratch(op: &Conv2d) -> (u32, usize) {
        let len = match op.weights.layout {
            Layout::Packed => plane_len(op),
            _ => Blocks::scratch_len(op),
        };
        (op.scratch, len)
    }

    fn overlap(op: &Conv2d, _: &Tensor) -> Option<Overlap> {
        (op.weights.layout == Layout::Packed).then_some(Overlap { most: i64::MAX, step: op.input.channels })
    }

    fn weights(op: &Conv2d) -> u32 {
        op.output.channels.saturating_mul(op.window.area())
    }
}

/// With plain weights, 1HWC.
pub(super) struct Direct;

impl Code for Direct {
    type Operator = DepthwiseConv2d;

    fn check(op: &Conv2d, section: &[u8]) -> Result<(), OpError> {
        check_depthwise(op)?;
        let Plain { weights, channels } = plain_depthwise_weights(op, section).ok_or(OpError::Constants)?;
        check_weights(op.weights, channels)?;
        let outputs = op.output.channels as usize;
        let column = |c: usize| (0..op.window.taps()).filter_map(move |tap| weights.get(tap.times(outputs).plus(c)));
        let mut channels = numbered(channels.iter());
        channels.try_for_each(|(c, channel)| check_sum(channel.bias, column(c)))
    }

    #[inline(always)]
    fn run<K: Kernels>(op: &Conv2d, memory: Memory<'_>) -> Option<()> {
        let constants = plain_depthwise_weights(op, memory.section)?;
        let scratch = (op.scratch, Blocks::scratch_len(op));
        K::depthwise_conv2d(op, &constants, memory.apart(&op.input, &op.output, scratch)?);
        Some(())
    }
}

/// Finds a depthwise convolution's plain weights, 1HWC; `None` when they lie outside the weights section.
#[inline(always)]
#[must_use]
pub fn plain_depthwise_weights<'a>(op: &Conv2d, section: &'a [u8]) -> Option<Plain<'a>> {
    Plain::find(section, op.weights, op.window.taps(), op.output.channels as usize)
}

/// Bytes of a channel with its border, rounded up to a multiple of 16.
fn plane_len(op: &Conv2d) -> usize {
    rounded(Plane::new(op, &(0..usize::from(op.output.height))).len())
}

/// What must hold of any depthwise convolution.
fn check_depthwise(op: &Conv2d) -> Result<(), OpError> {
    check_convolution(op)?;
    ensure(op.output.channels.is_multiple_of(op.input.channels), OpError::Shape)
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

    /// Finds the constants in the weights section; `None` when they lie outside.
    #[must_use]
    pub fn find(section: &'a [u8], weights: Weights, outputs: usize) -> Option<Self> {
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

/// With packed weights.
pub(super) struct DirectPacked;

impl Code for DirectPacked {
    type Operator = DepthwiseConv2d;

    /// Proves what the kernel relies on.
    fn check(op: &Conv2d, section: &[u8]) -> Result<(), OpError> {
        check_depthwise(op)?;
        let packed =
            PackedDepthwise::find(section, op.weights, op.output.channels as usize).ok_or(OpError::Constants)?;
        check_packed_layer(op)?;
        ensure(op.window.is_packable_depthwise(), OpError::Window)?;
        ensure(op.input.channels == op.output.channels, OpError::Shape)?;
        let mut channels = packed.channels.iter();
        for bytes in packed.weights.as_chunks::<DEPTHWISE_LEN>().0 {
            let channel = channels.next().ok_or(OpError::Constants)?;
            let (taps, rest) = bytes.split_at_checked(PackedDepthwise::TAPS.len()).ok_or(OpError::Constants)?;
            ensure(rest.iter().all(|&byte| byte == 0), OpError::Constants)?;
            let magnitude = taps.iter().fold(0, |sum: u32, &tap| sum.plus((tap as i8).unsigned_abs().into()));
            check_packed_channel(op, channel, magnitude)?;
        }
        Ok(())
    }

    /// Where the output lies over the input, a part is a share of the channels, each of them whole.
    #[inline(always)]
    fn run<K: Kernels>(op: &Conv2d, memory: Memory<'_>) -> Option<()> {
        let constants = PackedDepthwise::find(memory.section, op.weights, op.output.channels as usize)?;
        let (memory, channels) = memory.shared_by_channels(&op.input, &op.output, (op.scratch, plane_len(op)))?;
        K::depthwise_conv2d_packed(op, &constants, memory, channels);
        Some(())
    }
}
