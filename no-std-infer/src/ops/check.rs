//! What must hold of an operator by itself before it may run.

use super::winograd::{F2x2, F4x4, Stride2};
use super::{
    AddLayer, Channels, Constants, ConvLayer, DENSE_BLOCK, DenseLayer, DenseWeights, Form, OutputParams, Packed,
    PackedDepthwise, PackedParams, Winograd, same_shape, unpack,
};
use crate::error::OpError;
use crate::format::{
    ALIGN, Activation, Add, Clamp, Concat, Constant, Conv2d, DEPTHWISE_LEN, Dense, Lookup, Mean, Mul, Pad, Pool2d,
    Reshape, Softmax, Tensor, Weights, Window,
};

/// Largest distance of a window's first and last tap, so that positions fit i32.
const REACH_MAX: i64 = 1 << 24;

/// Most elements whose sum of differences to their zero point [`Op::Mean`] can hold, and of values the poolings.
const MEAN_MAX: u32 = 1 << 23;

/// Most classes that the fixed-point sum of [`Op::Softmax`] can hold.
const SOFTMAX_MAX: u32 = 4095;

pub(crate) fn check_tensor(tensor: &Tensor) -> Result<(), OpError> {
    let end = tensor.checked_len().and_then(|len| if len == 0 { None } else { tensor.offset.checked_add(len) });
    let scale_ok = tensor.scale.is_finite() && tensor.scale > 0.0;
    if scale_ok && end.is_some_and(|end| end <= i32::MAX as u32) { Ok(()) } else { Err(OpError::BadTensor) }
}

fn ensure(holds: bool, why: OpError) -> Result<(), OpError> {
    if holds { Ok(()) } else { Err(why) }
}

fn check_activation(activation: Activation) -> Result<(), OpError> {
    ensure(activation.min <= activation.max, OpError::Activation)
}

fn same_quantisation(a: &Tensor, b: &Tensor) -> bool {
    a.scale == b.scale && a.zero_point == b.zero_point
}

fn sides(tensor: &Tensor) -> [u32; 3] {
    [tensor.height.into(), tensor.width.into(), tensor.channels]
}

/// Each of an operand's sides is the output's or 1, and the output's is that of an operand.
fn check_broadcast(a: &Tensor, b: &Tensor, output: &Tensor) -> Result<(), OpError> {
    let mut axes = sides(a).into_iter().zip(sides(b)).zip(sides(output));
    let fits =
        |((a, b), output): ((u32, u32), u32)| (a == output && (b == output || b == 1)) || (a == 1 && b == output);
    ensure(axes.all(fits), OpError::Shape)
}

/// Kernel, stride and dilation are positive; the last window starts inside the input.
fn check_window(window: &Window, input: &Tensor, output: &Tensor) -> Result<(), OpError> {
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

fn check_weights<P: OutputParams>(weights: Weights, channels: Channels<'_, P>) -> Result<(), OpError> {
    ensure(weights.channels.is_multiple_of(4), OpError::Constants)?;
    ensure(channels.iter().all(|channel| channel.is_valid()), OpError::Multiplier)
}

/// Proves that no order of adding the bias and the products `w · x`, −128 ≤ x ≤ 127, leaves i32.
fn check_sum<'w>(bias: i32, weights: impl Iterator<Item = &'w u8>) -> Result<(), OpError> {
    check_magnitude(bias, weights.map(|&w| u64::from((w as i8).unsigned_abs())).sum())
}

/// The same from the sum of the absolute weights.
fn check_magnitude(bias: i32, magnitude: u64) -> Result<(), OpError> {
    ensure(u64::from(bias.unsigned_abs()) + magnitude * 128 <= i32::MAX as u64, OpError::Overflow)
}

/// Does that for each output; each has `len` weights.
fn check_rows<P: OutputParams>(weights: &[u8], len: usize, channels: Channels<'_, P>) -> Result<(), OpError> {
    let mut left = weights;
    channels.iter().try_for_each(|channel| {
        let (row, rest) = left.split_at_checked(len).unwrap_or_default();
        left = rest;
        check_sum(channel.bias(), row.iter())
    })
}

/// What must hold of any convolution.
fn check_convolution(op: &Conv2d) -> Result<(), OpError> {
    check_window(&op.window, &op.input, &op.output)?;
    check_activation(op.activation)
}

pub(crate) fn conv2d(op: &Conv2d, section: &[u8]) -> Result<(), OpError> {
    check_convolution(op)?;
    let Some(ConvLayer { constants: Constants::Plain { weights, channels }, .. }) = ConvLayer::plain(op, section)
    else {
        return Err(OpError::Constants);
    };
    check_weights(op.weights, channels)?;
    check_rows(weights, op.window.taps() * op.input.channels as usize, channels)
}

/// Finds the weights of a block whose transform is proved to be exact, of an output and an input channel.
type Prove<'a> = fn(&Winograd<'a>, usize, usize) -> Option<[[i8; 3]; 3]>;

pub(crate) fn winograd_2x2(op: &Conv2d, section: &[u8]) -> Result<(), OpError> {
    check_winograd(op, section, Form::F2x2, Winograd::proved_weights::<F2x2, 4>)
}

pub(crate) fn winograd_4x4(op: &Conv2d, section: &[u8]) -> Result<(), OpError> {
    check_winograd(op, section, Form::F4x4, Winograd::proved_weights::<F4x4, 6>)
}

pub(crate) fn winograd_stride_2(op: &Conv2d, section: &[u8]) -> Result<(), OpError> {
    check_winograd(op, section, Form::Stride2, Winograd::proved_weights::<Stride2, 5>)
}

/// Proves that transformed weights are those of int8 weights, and the conditions of the fast requantisation.
fn check_winograd<'a>(op: &Conv2d, section: &'a [u8], form: Form, prove: Prove<'a>) -> Result<(), OpError> {
    check_convolution(op)?;
    let winograd = Winograd::find(section, op, form).ok_or(OpError::Constants)?;
    check_packed_layer(op)?;
    for (output, channel) in winograd.channels.iter().enumerate() {
        let mut magnitude = 0_u32;
        for input in 0..winograd.quads * 4 {
            let weights = prove(&winograd, output, input).ok_or(OpError::Transform)?;
            let sum: u32 = weights.as_flattened().iter().map(|weight| u32::from(weight.unsigned_abs())).sum();
            ensure(sum == 0 || input < op.input.channels as usize, OpError::Transform)?;
            magnitude += sum;
        }
        check_packed_channel(op, channel, magnitude)?;
    }
    Ok(())
}

/// Proves that packed weights are those of int8 weights, and the conditions of the fast requantisation.
pub(crate) fn packed_conv2d(op: &Conv2d, section: &[u8]) -> Result<(), OpError> {
    check_convolution(op)?;
    let packed = Packed::find(section, op).ok_or(OpError::Constants)?;
    check_packed_layer(op)?;
    ensure(op.window.dilation_w == 1 || packed.order.left_over() == 0, OpError::Constants)?;
    let half_empty = (packed.order.runs * packed.order.left_over()) % 2 == 1;
    let mut channels = packed.channels.iter();
    for row in packed.rows() {
        ensure(!half_empty || row.ends_with(&[0, 0]), OpError::Constants)?;
        let magnitudes = row.as_chunks::<2>().0.iter().try_fold([0, 0], add_magnitudes)?;
        // The second channel's sum is taken from the upper 24 bits of the common one.
        ensure(magnitudes[1] < 1 << 16, OpError::Overflow)?;
        for magnitude in magnitudes {
            let channel = channels.next().ok_or(OpError::Constants)?;
            check_packed_channel(op, channel, magnitude)?;
        }
    }
    Ok(())
}

/// Adds the magnitudes of the weights of both channels in a halfword, once it is proved that they are int8.
fn add_magnitudes([a, b]: [u32; 2], halfword: &[u8; 2]) -> Result<[u32; 2], OpError> {
    let (first, second) = unpack(*halfword);
    ensure(second <= i16::from(i8::MAX), OpError::Constants)?;
    Ok([a.saturating_add(first.unsigned_abs().into()), b.saturating_add(second.unsigned_abs().into())])
}

/// What the kernels of packed layers rely on: aligned constants and scratch, and no clamp.
fn check_packed_layer(op: &Conv2d) -> Result<(), OpError> {
    let aligned = op.weights.weights.is_multiple_of(4) && op.weights.channels.is_multiple_of(4);
    ensure(aligned && op.scratch.is_multiple_of(ALIGN as u32), OpError::Constants)?;
    ensure(op.activation == Activation::NONE, OpError::Activation)
}

/// The conditions of the fast requantisation; `magnitude` is the sum of the channel's absolute weights.
fn check_packed_channel(op: &Conv2d, channel: PackedParams, magnitude: u32) -> Result<(), OpError> {
    ensure(channel.fits(op.output.zero_point), OpError::Multiplier)?;
    let largest = u64::from(channel.bias().unsigned_abs()) + u64::from(magnitude) * 128;
    ensure(largest < 1 << 30, OpError::Overflow)
}

/// What must hold of any depthwise convolution.
fn check_any_depthwise(op: &Conv2d) -> Result<(), OpError> {
    check_convolution(op)?;
    ensure(op.output.channels.is_multiple_of(op.input.channels), OpError::Shape)
}

/// Proves what the kernel of a packed depthwise convolution relies on.
pub(crate) fn packed_depthwise(op: &Conv2d, section: &[u8]) -> Result<(), OpError> {
    check_any_depthwise(op)?;
    let packed = PackedDepthwise::find(section, op.weights, op.output.channels as usize).ok_or(OpError::Constants)?;
    check_packed_layer(op)?;
    ensure(op.window.is_packable_depthwise(), OpError::Window)?;
    ensure(op.input.channels == op.output.channels, OpError::Shape)?;
    let mut channels = packed.channels.iter();
    for bytes in packed.weights.as_chunks::<DEPTHWISE_LEN>().0 {
        let channel = channels.next().ok_or(OpError::Constants)?;
        let (taps, rest) = bytes.split_at_checked(PackedDepthwise::TAPS.len()).ok_or(OpError::Constants)?;
        ensure(rest.iter().all(|&byte| byte == 0), OpError::Constants)?;
        check_packed_channel(op, channel, taps.iter().map(|&tap| u32::from((tap as i8).unsigned_abs())).sum())?;
    }
    Ok(())
}

pub(crate) fn depthwise(op: &Conv2d, section: &[u8]) -> Result<(), OpError> {
    check_any_depthwise(op)?;
    let layer = ConvLayer::plain_depthwise(op, section).ok_or(OpError::Constants)?;
    let Constants::Plain { weights, channels } = layer.constants else { return Err(OpError::Constants) };
    check_weights(op.weights, channels)?;
    let outputs = op.output.channels as usize;
    let column = |c: usize| (0..op.window.taps()).filter_map(move |tap| weights.get(tap * outputs + c));
    let mut channels = channels.iter().enumerate();
    channels.try_for_each(|(c, channel)| check_sum(channel.bias, column(c)))
}

/// What must hold of any fully connected layer.
fn check_dense(op: &Dense) -> Result<(), OpError> {
    let vectors = usize::from(op.output.height) * usize::from(op.output.width);
    ensure(op.inputs() > 0 && op.inputs() * vectors == op.input.len(), OpError::Shape)?;
    check_activation(op.activation)
}

pub(crate) fn dense(op: &Dense, section: &[u8]) -> Result<(), OpError> {
    check_dense(op)?;
    let layer = DenseLayer::plain(op, section).ok_or(OpError::Constants)?;
    check_weights(op.weights, layer.channels)?;
    let DenseWeights::Plain(weights) = layer.weights else { return Err(OpError::Constants) };
    check_rows(weights, op.inputs(), layer.channels)
}

/// Proves that packed weights are those of int8 weights, and that no sum leaves i32.
pub(crate) fn packed_dense(op: &Dense, section: &[u8]) -> Result<(), OpError> {
    check_dense(op)?;
    let layer = DenseLayer::packed(op, section).ok_or(OpError::Constants)?;
    check_weights(op.weights, layer.channels)?;
    let DenseWeights::Packed(blocks) = layer.weights else { return Err(OpError::Constants) };
    ensure(op.weights.weights.is_multiple_of(4), OpError::Constants)?;
    ensure(op.activation == Activation::NONE, OpError::Activation)?;
    let mut channels = layer.channels.iter();
    for row in blocks.chunks_exact((op.inputs() / DENSE_BLOCK).max(1)) {
        for pair in 0..DENSE_BLOCK / 2 {
            let halves = row.iter().filter_map(|block| block.as_chunks::<8>().0.get(pair));
            let magnitudes = halves.flat_map(|half| half.as_chunks::<2>().0).try_fold([0, 0], add_magnitudes)?;
            for (magnitude, channel) in magnitudes.into_iter().zip(&mut channels) {
                check_magnitude(channel.bias(), magnitude.into())?;
            }
        }
    }
    Ok(())
}

pub(crate) fn pool(op: &Pool2d, _: &[u8]) -> Result<(), OpError> {
    check_window(&op.window, &op.input, &op.output)?;
    check_activation(op.activation)?;
    ensure(op.window.dilation_h == 1 && op.window.dilation_w == 1, OpError::Window)?;
    ensure(op.input.channels == op.output.channels, OpError::Shape)?;
    let under = |kernel: u16, side: u16| u64::from(kernel.min(side));
    let largest = under(op.window.kernel_h, op.input.height) * under(op.window.kernel_w, op.input.width);
    ensure(largest <= u64::from(MEAN_MAX), OpError::Overflow)?;
    ensure(same_quantisation(&op.input, &op.output), OpError::Quantisation)
}

pub(crate) fn add(op: &Add, _: &[u8]) -> Result<(), OpError> {
    check_broadcast(&op.a, &op.b, &op.output)?;
    check_activation(op.activation)?;
    // A summand is below 2^28 before its multiplier; with no left shift the sum stays below 2^29.
    let summands = [op.a_multiplier, op.b_multiplier];
    ensure(summands.iter().all(|m| m.is_valid() && m.shift <= 0), OpError::Multiplier)?;
    ensure(op.output_multiplier.is_valid(), OpError::Multiplier)
}

pub(crate) fn add_tables(op: &Add, section: &[u8]) -> Result<(), OpError> {
    add(op, section)?;
    let layer = AddLayer::new(op, section).ok_or(OpError::Constants)?;
    let have = op.tables.map(|table| table.is_some());
    ensure(op.needs_tables() == Some(have), OpError::Multiplier)?;
    for (summand, start) in op.tables.into_iter().enumerate() {
        ensure(start.is_none_or(|start| start.is_multiple_of(4)), OpError::Constants)?;
        let entries = layer.tables.get(summand).copied().flatten().map_or(&[][..], |table| table.as_chunks::<4>().0);
        let mut entries = (0..=u8::MAX).zip(entries);
        let proved =
            |(value, entry): (u8, &[u8; 4])| i32::from_le_bytes(*entry) == op.table_entry(have, summand, value as i8);
        ensure(entries.all(proved), OpError::Constants)?;
    }
    Ok(())
}

pub(crate) fn clamp(op: &Clamp, _: &[u8]) -> Result<(), OpError> {
    check_activation(op.activation)?;
    ensure(same_shape(&op.input, &op.output), OpError::Shape)?;
    ensure(same_quantisation(&op.input, &op.output), OpError::Quantisation)
}

pub(crate) fn lookup(op: &Lookup, section: &[u8]) -> Result<(), OpError> {
    ensure(same_shape(&op.input, &op.output), OpError::Shape)?;
    let start = op.table as usize;
    let table = start.checked_add(256).and_then(|end| section.get(start..end));
    ensure(table.is_some(), OpError::Constants)
}

pub(crate) fn softmax(op: &Softmax, _: &[u8]) -> Result<(), OpError> {
    ensure(op.input.channels <= SOFTMAX_MAX && same_shape(&op.input, &op.output), OpError::Shape)?;
    ensure(op.output.scale == 1.0 / 256.0 && op.output.zero_point == -128, OpError::Quantisation)?;
    let positive = op.multiplier.is_valid() && op.multiplier.mantissa > 0 && op.multiplier.shift >= 0;
    ensure(positive && op.diff_min <= 0, OpError::Multiplier)
}

pub(crate) fn reshape(op: &Reshape, _: &[u8]) -> Result<(), OpError> {
    ensure(op.input.len() == op.output.len(), OpError::Shape)?;
    ensure(same_quantisation(&op.input, &op.output), OpError::Quantisation)
}

pub(crate) fn mul(op: &Mul, _: &[u8]) -> Result<(), OpError> {
    check_broadcast(&op.a, &op.b, &op.output)?;
    check_activation(op.activation)?;
    ensure(op.multiplier.is_valid(), OpError::Multiplier)
}

pub(crate) fn mean(op: &Mean, _: &[u8]) -> Result<(), OpError> {
    let (input, output) = (&op.input, &op.output);
    let sides = [(input.height, output.height), (input.width, output.width)];
    let kept = sides.iter().all(|(input, output)| output == input || *output == 1);
    ensure(kept && input.channels == output.channels, OpError::Shape)?;
    ensure(op.count() <= MEAN_MAX, OpError::Overflow)?;
    ensure(op.multiplier.mantissa >= 0 && (-31..=30).contains(&op.multiplier.shift), OpError::Multiplier)
}

pub(crate) fn pad(op: &Pad, _: &[u8]) -> Result<(), OpError> {
    let before = [op.top.into(), op.left.into(), op.front];
    let mut axes = sides(&op.input).into_iter().zip(before).zip(sides(&op.output));
    let fits =
        |((input, before), output): ((u32, u32), u32)| input.checked_add(before).is_some_and(|end| end <= output);
    ensure(axes.all(fits), OpError::Shape)?;
    ensure(same_quantisation(&op.input, &op.output), OpError::Quantisation)
}

pub(crate) fn concat(op: &Concat, _: &[u8]) -> Result<(), OpError> {
    let axes = || sides(&op.a).into_iter().zip(sides(&op.b)).zip(sides(&op.output));
    let joined = |&((a, b), output): &((u32, u32), u32)| a.checked_add(b) == Some(output);
    let kept = |&((a, b), output): &((u32, u32), u32)| a == b && a == output;
    ensure(axes().filter(joined).count() == 1 && axes().filter(kept).count() == 2, OpError::Shape)?;
    let alike = same_quantisation(&op.a, &op.output) && same_quantisation(&op.b, &op.output);
    ensure(alike, OpError::Quantisation)
}

pub(crate) fn constant(op: &Constant, section: &[u8]) -> Result<(), OpError> {
    let start = op.values as usize;
    let values = start.checked_add(op.output.len()).and_then(|end| section.get(start..end));
    ensure(values.is_some(), OpError::Constants)
}
