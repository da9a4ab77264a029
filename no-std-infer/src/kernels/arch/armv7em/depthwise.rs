//! Depthwise 3x3 convolution with packed weights.
#![allow(unsafe_code)]

#[cfg(not(nsi_armv7em))]
use core::cell::Cell;
use core::ops::Range;

use crate::bounded::Bounded;
use crate::format::{DEPTHWISE_LEN, PACKED_CHANNEL_LEN};
use crate::kernels::Shared;
#[cfg(not(nsi_armv7em))]
use crate::kernels::views::cells;
use crate::operators::{Conv2d, PackedDepthwise, Plane, rows_together};

#[cfg(nsi_armv7em)]
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
    count: usize,
    together: usize,
}

#[cfg(nsi_armv7em)]
crate::kernels::arch::assembly! {
    fn no_std_infer_depthwise_1(arguments: *mut Arguments);
    fn no_std_infer_depthwise_2(arguments: *mut Arguments);
}

/// Some channels of a packed depthwise convolution. Scratch and constants are aligned to 4 bytes.
#[inline(always)]
pub fn depthwise_conv2d(op: &Conv2d, packed: &PackedDepthwise<'_>, views: Shared<'_, 1>, range: Range<usize>) {
    let Shared { inputs: [input], output, scratch, rows } = views;
    let plane = Plane::new(op, &rows);
    let channels = op.output.channels as usize;
    let columns = usize::from(op.output.width);
    let skipped = plane.input_row.times(op.input.row_len());
    let aligned = [scratch.as_ptr() as usize, packed.weights.as_ptr() as usize];
    let fits = op.window.is_packable_depthwise()
        && !rows.is_empty()
        && rows.end <= usize::from(op.output.height)
        && columns > 0
        && channels == op.input.channels as usize
        && channels > 0
        && plane.gathered_rows > 0
        && plane.gathered_columns > 0
        && range.end <= channels
        && op.input.len() <= input.len()
        && rows.len().times(op.output.row_len()) <= output.len()
        && plane.len() <= scratch.len()
        && packed.weights.len() >= channels.times(DEPTHWISE_LEN)
        && packed.channels.bytes().len() >= channels.times(PACKED_CHANNEL_LEN)
        && (packed.channels.bytes().as_ptr() as usize).is_multiple_of(4)
        && aligned.iter().all(|address| address.is_multiple_of(4));
    if range.is_empty() || !fits {
        return debug_assert!(range.is_empty(), "scratch and constants are aligned and long enough");
    }
    scratch.fill(op.input.zero_point);
    let stride = usize::from(op.window.stride_w);
    let together = rows_together(op, rows.len());
    #[cfg(nsi_armv7em)]
    // SAFETY: for each channel it reads, `channels` bytes apart, `gathered_columns` elements of `gathered_rows` rows of
    // the input from `input_row` on, which `Plane` keeps inside the input; it writes them to the plane from `first` on,
    // inside it; it reads the plane up to its end, also in the last rows, which end where the output does,
    // with loads that need no alignment; 12 bytes of weights and 16 of
    // parameters a channel, aligned to 4; and it writes the elements of the output's rows `rows`. All regions lie in
    // their slices, as checked above. It keeps the calling convention, and `arguments` is its own to change.
    unsafe {
        let mut arguments = Arguments {
            target: scratch.as_mut_ptr().wrapping_add(plane.first),
            gathered_columns: plane.gathered_columns,
            input_row: usize::from(op.input.width).times(channels),
            gathered_rows: plane.gathered_rows,
            plane: scratch.as_mut_ptr(),
            output_rows: rows.len(),
            odd_column: columns & 1,
            full_pairs: (columns & !1).times(stride),
            pitch: plane.pitch,
            output_row: columns.times(channels),
            channels,
            source: input.as_ptr().cast::<i8>().wrapping_add(skipped.plus(range.start)),
            output: output.as_ptr().cast_mut().cast::<i8>().wrapping_add(range.start),
            weights: packed.weights.as_ptr().wrapping_add(range.start.times(DEPTHWISE_LEN)),
            parameters: packed.channels.bytes().as_ptr().wrapping_add(range.start.times(PACKED_CHANNEL_LEN)),
            count: range.len(),
            together,
        };
        if stride == 1 {
            no_std_infer_depthwise_1(&mut arguments);
        } else {
            no_std_infer_depthwise_2(&mut arguments);
        }
    }
    #[cfg(not(nsi_armv7em))]
    for channel in range {
        let (input, output) = (&input[skipped + channel..], &output[channel..]);
        let shorter = together + stride > 3;
        model(op, (packed, channel), &plane, [input, cells(scratch), output], (rows.len(), shorter));
    }
}

#[cfg(not(nsi_armv7em))]
fn model(
    op: &Conv2d,
    (packed, channel): (&PackedDepthwise<'_>, usize),
    plane: &Plane,
    [input, scratch, output]: [&[Cell<i8>]; 3],
    (rows, shorter): (usize, bool),
) {
    use super::insn::{requantise, requantise_at_floor};

    let [channels, input_width] = [op.output.channels as usize, op.input.width.into()];
    for (y, x) in (0..plane.gathered_rows).flat_map(|y| (0..plane.gathered_columns).map(move |x| (y, x))) {
        scratch[plane.first + y * plane.pitch + x].set(input[(y * input_width + x) * channels].get());
    }
    let (width, stride) = (usize::from(op.output.width), usize::from(op.window.stride_w));
    let taps = packed.taps(channel);
    let parameters = packed.channels.skip(channel).iter().next().expect("one entry an output channel");
    for (y, x) in (0..rows).flat_map(|y| (0..width).map(move |x| (y, x))) {
        let mut doubled = parameters.doubled_bias;
        for (tap, &weight) in taps.iter().enumerate() {
            let at = (y * stride + tap / 3) * plane.pitch + x * stride + tap % 3;
            doubled += i32::from(scratch[at].get()) * 2 * i32::from(weight);
        }
        let requantise = if shorter { requantise_at_floor } else { requantise };
        let result = requantise(doubled, parameters.mantissa, parameters.rounding, parameters.shift);
        output[(y * width + x) * channels].set(result);
    }
}
