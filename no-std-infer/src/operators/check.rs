//! What must hold of an operator by itself before it may run: what several operators share.

use super::params::{OutputParams, PackedParams};
use super::{Activation, Channels, Conv2d, Weights, Window, unpack};
use crate::bounded::Bounded;
use crate::error::OpError;
use crate::format::{ALIGN, Tensor};

/// Largest distance of a window's first and last tap, so that positions fit i32.
const REACH_MAX: i64 = 1 << 24;

/// Most elements whose sum of differences to their zero point a mean can hold, and of values the poolings.
pub(super) const MEAN_MAX: u32 = 1 << 23;

pub(crate) fn check_tensor(tensor: &Tensor) -> Result<(), OpError> {
    let end = tensor.checked_len().and_then(|len| if len == 0 { None } else { tensor.offset.checked_add(len) });
    let scale_ok = tensor.scale.is_finite() && tensor.scale > 0.0;
    if scale_ok && end.is_some_and(|end| end <= i32::MAX as u32) { Ok(()) } else { Err(OpError::BadTensor) }
}

pub(super) fn ensure(holds: bool, why: OpError) -> Result<(), OpError> {
    if holds { Ok(()) } else { Err(why) }
}

pub(super) fn check_activation(activation: Activation) -> Result<(), OpError> {
    ensure(activation.min <= activation.max, OpError::Activation)
}

pub(super) fn same_quantisation(a: &Tensor, b: &Tensor) -> bool {
    a.scale == b.scale && a.zero_point == b.zero_point
}

pub(super) fn sides(tensor: &Tensor) -> [u32; 3] {
    [tensor.height.into(), tensor.width.into(), tensor.channels]
}

/// Each of an operand's sides is the output's or 1, and the output's is that of an operand.
pub(super) fn check_broadcast(a: &Tensor, b: &Tensor, output: &Tensor) -> Result<(), OpError> {
    let mut axes = sides(a).into_iter().zip(sides(b)).zip(sides(output));
    let fits =
        |((a, b), output): ((u32, u32), u32)| (a == output && (b == output || b == 1)) || (a == 1 && b == output);
    ensure(axes.all(fits), OpError::Shape)
}

/// Kernel, stride and dilation are positive; the last window starts inside the input.
pub(super) fn check_window(window: &Window, input: &Tensor, output: &Tensor) -> Result<(), OpError> {
    let w = window;
    let positive = w.kernel_h.min(w.kernel_w).min(w.stride_h).min(w.stride_w).min(w.dilation_h).min(w.dilation_w) > 0;
    ensure(positive, OpError::Window)?;
    let fits = |outputs: u16, stride: u16, pad: u16, inputs: u16, kernel: u16, dilation: u16| {
        let last_start = (i64::from(outputs) - 1) * i64::from(stride) - i64::from(pad);
        let reach = (i64::from(kernel) - 1) * i64::from(dilation);
        last_start < i64::from(inputs) && i64::from(pad) <= reach && reach <= REACH_MAX
    };
    let rows = fits(output.height, w.stride_h, w.pad_top, input.height, w.kernel_h, w.dilation_h);
    let columns = fits(output.width, w.stride_w, w.pad_left, input.width, w.kernel_w, w.dilation_w);
    ensure(rows && columns, OpError::Window)
}

pub(super) fn check_weights<P: OutputParams>(weights: Weights, channels: Channels<'_, P>) -> Result<(), OpError> {
    ensure(weights.channels.is_multiple_of(4), OpError::Constants)?;
    ensure(channels.iter().all(|channel| channel.is_valid()), OpError::Multiplier)
}

/// Proves that no order of adding the bias and the products `w · x`, −128 ≤ x ≤ 127, leaves i32. A layer has fewer than 2^32
/// weights, so that the sum of their magnitudes, of at most 128 each, stays below 2^39 in 64 bits.
pub(super) fn check_sum<'w>(bias: i32, weights: impl Iterator<Item = &'w u8>) -> Result<(), OpError> {
    check_magnitude(bias, weights.fold(0, |sum: u64, &w| sum.plus((w as i8).unsigned_abs().into())))
}

/// The same from the sum of the absolute weights.
pub(super) fn check_magnitude(bias: i32, magnitude: u64) -> Result<(), OpError> {
    ensure(u64::from(bias.unsigned_abs()).plus(magnitude.times(128)) <= i32::MAX as u64, OpError::Overflow)
}

/// Does that for each output; each has `len` weights.
pub(super) fn check_rows<P: OutputParams>(
    weights: &[u8],
    len: usize,
    channels: Channels<'_, P>,
) -> Result<(), OpError> {
    let mut left = weights;
    channels.iter().try_for_each(|channel| {
        let (row, rest) = left.split_at_checked(len).unwrap_or_default();
        left = rest;
        check_sum(channel.bias(), row.iter())
    })
}

/// Adds the magnitudes of the weights of both channels in a halfword, once it is proved that they are int8. Sums that leave
/// 32 bits stay at the largest, which every limit on them refuses.
pub(super) fn add_magnitudes([a, b]: [u32; 2], halfword: &[u8; 2]) -> Result<[u32; 2], OpError> {
    let (first, second) = unpack(*halfword);
    ensure(second <= i16::from(i8::MAX), OpError::Constants)?;
    Ok([a.saturating_add(first.unsigned_abs().into()), b.saturating_add(second.unsigned_abs().into())])
}

/// What the kernels of packed layers rely on: aligned constants and scratch, and no clamp.
pub(super) fn check_packed_layer(op: &Conv2d) -> Result<(), OpError> {
    let aligned = op.weights.weights.is_multiple_of(4) && op.weights.channels.is_multiple_of(4);
    ensure(aligned && op.scratch.is_multiple_of(ALIGN as u32), OpError::Constants)?;
    ensure(op.activation == Activation::NONE, OpError::Activation)
}

/// The conditions of the fast requantisation; `magnitude` is the sum of the channel's absolute weights.
pub(super) fn check_packed_channel(op: &Conv2d, channel: PackedParams, magnitude: u32) -> Result<(), OpError> {
    ensure(channel.fits(op.output.zero_point), OpError::Multiplier)?;
    let largest = u64::from(channel.bias().unsigned_abs()) + u64::from(magnitude) * 128;
    ensure(largest < 1 << 30, OpError::Overflow)
}

pub(super) fn same_shape(a: &Tensor, b: &Tensor) -> bool {
    sides(a) == sides(b)
}
