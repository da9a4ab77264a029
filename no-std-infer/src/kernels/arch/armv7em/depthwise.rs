//! Depthwise 3x3 convolution with packed weights.
#![allow(unsafe_code)]

use core::ops::Range;

use crate::format::{Conv2d, DEPTHWISE_LEN, Op, PACKED_CHANNEL_LEN};
use crate::ops::{PackedDepthwise, Plane};

#[cfg(dsp)]
assembly!(include_str!("requantise.s"), include_str!("depthwise.s"));

#[cfg(dsp)]
#[repr(C)]
struct Arguments {
    target: *mut i8,
    gathered_columns: usize,
    input_row: usize,
    gathered_rows: usize,
    plane: *mut i8,
    output_rows: usize,
    odd_column: usize,
    full_pairs: usize,
    pitch: usize,
    output_row: usize,
    channels: usize,
    source: *const i8,
    output: *mut i8,
    weights: *const u8,
    parameters: *const u8,
}

#[cfg(dsp)]
unsafe extern "C" {
    fn no_std_infer_depthwise_1(arguments: *mut Arguments);
    fn no_std_infer_depthwise_2(arguments: *mut Arguments);
}

/// Output rows `rows` of a packed depthwise convolution.
/// Does nothing when a region or a constant lies outside its slice or is not aligned to 4 bytes.
pub fn depthwise_conv2d(arena: &mut [i8], op: &Conv2d, packed: &PackedDepthwise<'_>, rows: Range<usize>) {
    let plane = Plane::new(op, &rows);
    let channels = op.output.channels as usize;
    let columns = usize::from(op.output.width);
    let output = op.output.offset as usize + rows.start * columns * channels;
    let input = op.input.offset as usize + plane.input_row * usize::from(op.input.width) * channels;
    let scratch = op.scratch as usize..op.scratch as usize + Op::DepthwiseConv2d(*op).scratch_len() as usize;
    let aligned = [arena.as_ptr().wrapping_add(scratch.start) as usize, packed.weights.as_ptr() as usize];
    let fits = op.window.is_packable_depthwise()
        && !rows.is_empty()
        && rows.end <= usize::from(op.output.height)
        && columns > 0
        && channels == op.input.channels as usize
        && channels > 0
        && plane.gathered_rows > 0
        && plane.gathered_columns > 0
        && op.input.range().end <= arena.len()
        && op.output.range().end <= arena.len()
        && plane.len() <= scratch.len()
        && packed.weights.len() >= channels * DEPTHWISE_LEN
        && packed.channels.bytes().len() >= channels * PACKED_CHANNEL_LEN
        && (packed.channels.bytes().as_ptr() as usize).is_multiple_of(4)
        && aligned.iter().all(|address| address.is_multiple_of(4));
    if !fits {
        return;
    }
    let Some(border) = arena.get_mut(scratch.clone()) else { return };
    border.fill(op.input.zero_point);
    #[cfg(dsp)]
    // SAFETY: for each channel it reads, `channels` bytes apart, `gathered_columns` elements of `gathered_rows` rows of
    // the input from `input_row` on, which `Plane` keeps inside the input; it writes them to the plane from `first` on,
    // inside it; it reads the plane up to its end, with loads that need no alignment; 12 bytes of weights and 16 of
    // parameters a channel, aligned to 4; and it writes the elements of the output's rows `rows`. All regions lie in
    // their slices, as checked above. It keeps the calling convention, and `arguments` is its own to change.
    unsafe {
        let base = arena.as_mut_ptr();
        let stride = usize::from(op.window.stride_w);
        let mut arguments = Arguments {
            target: base.wrapping_add(scratch.start + plane.first),
            gathered_columns: plane.gathered_columns,
            input_row: usize::from(op.input.width) * channels,
            gathered_rows: plane.gathered_rows,
            plane: base.wrapping_add(scratch.start),
            output_rows: rows.len(),
            odd_column: columns & 1,
            full_pairs: columns / 2 * 2 * stride,
            pitch: plane.pitch,
            output_row: columns * channels,
            channels,
            source: base.wrapping_add(input),
            output: base.wrapping_add(output),
            weights: packed.weights.as_ptr(),
            parameters: packed.channels.bytes().as_ptr(),
        };
        if stride == 1 {
            no_std_infer_depthwise_1(&mut arguments);
        } else {
            no_std_infer_depthwise_2(&mut arguments);
        }
    }
    #[cfg(not(dsp))]
    for channel in 0..channels {
        model(arena, op, packed, &plane, [channel, input + channel, output + channel], rows.len());
    }
}

#[cfg(not(dsp))]
fn model(
    arena: &mut [i8],
    op: &Conv2d,
    packed: &PackedDepthwise<'_>,
    plane: &Plane,
    [channel, input, output]: [usize; 3],
    rows: usize,
) {
    use super::insn::requantise;

    let scratch = op.scratch as usize;
    let [channels, input_width] = [op.output.channels as usize, op.input.width.into()];
    for (y, x) in (0..plane.gathered_rows).flat_map(|y| (0..plane.gathered_columns).map(move |x| (y, x))) {
        arena[scratch + plane.first + y * plane.pitch + x] = arena[input + (y * input_width + x) * channels];
    }
    let (width, stride) = (usize::from(op.output.width), usize::from(op.window.stride_w));
    let taps = packed.taps(channel);
    let parameters = packed.channels.skip(channel).iter().next().expect("one entry an output channel");
    for (y, x) in (0..rows).flat_map(|y| (0..width).map(move |x| (y, x))) {
        let mut doubled = parameters.doubled_bias;
        for (tap, &weight) in taps.iter().enumerate() {
            let at = (y * stride + tap / 3) * plane.pitch + x * stride + tap % 3;
            doubled += i32::from(arena[scratch + at]) * 2 * i32::from(weight);
        }
        arena[output + (y * width + x) * channels] =
            requantise(doubled, parameters.mantissa, parameters.rounding, parameters.shift);
    }
}
