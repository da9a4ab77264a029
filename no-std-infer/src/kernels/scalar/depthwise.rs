//! Packed depthwise convolution, channel by channel through a plane with its border.
#![cfg_attr(nsi_armv7m, allow(unsafe_code))]

use core::cell::Cell;
use core::ops::Range;

use crate::bounded::Bounded;
#[cfg(not(nsi_armv7m))]
use crate::bounded::numbered;
use crate::kernels::Shared;
use crate::kernels::views::cells;
use crate::operators::{Conv2d, PackedDepthwise, PackedParams, Plane};

#[cfg(nsi_armv7m)]
#[repr(C)]
struct Gather {
    source: *const i8,
    target: *mut i8,
    columns: usize,
    rows: usize,
    source_step: usize,
    source_skipped: usize,
    target_skipped: usize,
}

#[cfg(nsi_armv7m)]
#[repr(C)]
struct Product {
    parameters: PackedParams,
    output: *mut i8,
    output_step: usize,
    row_end: *mut i8,
    taps: [i32; 9],
    output_row: usize,
    rows: usize,
    plane: *const i8,
    plane_step: usize,
    pitch: usize,
    stride: usize,
}

#[cfg(nsi_armv7m)]
crate::kernels::arch::assembly! {
    fn no_std_infer_plane(arguments: *const Gather);
    fn no_std_infer_depthwise_plane(arguments: *const Product);
}

/// Some channels.
pub fn depthwise_conv2d(op: &Conv2d, packed: &PackedDepthwise<'_>, views: Shared<'_, 1>, range: Range<usize>) {
    let Shared { inputs: [input], output, scratch, rows } = views;
    let plane = Plane::new(op, &rows);
    scratch.fill(op.input.zero_point);
    let (scratch, input) = (cells(scratch), input.get(plane.input_row.times(op.input.row_len())..).unwrap_or_default());
    for (channel, parameters) in range.clone().zip(packed.channels.skip(range.start).iter()) {
        gather(input.get(channel..).unwrap_or_default(), op, &plane, scratch);
        let output = output.get(channel..).unwrap_or_default();
        multiply(scratch, op, &plane, (packed.taps(channel), parameters), output);
    }
}

/// Copies a channel, which `input` starts with, into the plane.
fn gather(input: &[Cell<i8>], op: &Conv2d, plane: &Plane, scratch: &[Cell<i8>]) {
    let (channels, width) = ((op.input.channels as usize).max(1), usize::from(op.input.width));
    let target = scratch.get(plane.first..).unwrap_or_default();
    #[cfg(nsi_armv7m)]
    {
        let (rows, columns) = (plane.gathered_rows, plane.gathered_columns);
        let inside = rows > 0
            && (1..=width.min(plane.pitch)).contains(&columns)
            && input.len() > rows.minus(1).times(width).plus(columns).minus(1).times(channels)
            && target.len() >= rows.minus(1).times(plane.pitch).plus(columns);
        if inside {
            // SAFETY: it reads `columns` bytes, `channels` bytes apart, of `rows` rows of `width` times as many, inside the
            // input, and writes them one after the other to rows `pitch` bytes apart, inside the plane. It keeps the calling
            // convention.
            unsafe {
                no_std_infer_plane(&Gather {
                    source: input.as_ptr().cast(),
                    target: target.as_ptr().cast_mut().cast(),
                    columns,
                    rows,
                    source_step: channels,
                    source_skipped: width.minus(columns).times(channels),
                    target_skipped: plane.pitch.minus(columns),
                });
            }
        }
    }
    #[cfg(not(nsi_armv7m))]
    for (source, target) in
        input.chunks(width.times(channels).max(1)).take(plane.gathered_rows).zip(target.chunks(plane.pitch.max(1)))
    {
        let target = target.get(..plane.gathered_columns).unwrap_or_default();
        for (target, source) in target.iter().zip(source.iter().step_by(channels)) {
            target.set(source.get());
        }
    }
}

/// Writes a channel of the output, which `output` starts with, from its plane.
fn multiply(
    scratch: &[Cell<i8>],
    op: &Conv2d,
    plane: &Plane,
    (taps, parameters): ([i8; 9], PackedParams),
    output: &[Cell<i8>],
) {
    let (channels, width) = ((op.output.channels as usize).max(1), usize::from(op.output.width));
    let (stride, row, taps) = (usize::from(op.window.stride_w), width.times(channels), taps.map(i32::from));
    #[cfg(nsi_armv7m)]
    {
        let rows = output.len().div_ceil(row.max(1));
        // The last pair of outputs reads an element more than the window where it is alone.
        let above = || rows.minus(1).times(stride).plus(2).times(plane.pitch);
        let span = || above().plus((width.minus(1) | 1).times(stride)).plus(3);
        if rows > 0 && width > 0 && (1..=2).contains(&stride) && span() <= scratch.len() {
            // SAFETY: it reads three rows of the plane under each of `rows` output rows, for pairs of outputs, up to `span`;
            // it writes `width` bytes, `channels` bytes apart, of each output row: the output starts with the first one
            // and ends after the last. `taps` and parameters are its own. It keeps the calling convention.
            unsafe {
                let output = output.as_ptr().cast_mut().cast::<i8>();
                no_std_infer_depthwise_plane(&Product {
                    parameters,
                    output,
                    output_step: channels,
                    row_end: output.wrapping_add(row),
                    taps,
                    output_row: row,
                    rows,
                    plane: scratch.as_ptr().cast(),
                    plane_step: plane.pitch.times(stride),
                    pitch: plane.pitch,
                    stride,
                });
            }
        }
    }
    #[cfg(not(nsi_armv7m))]
    let [first, second, third] = taps.as_chunks().0 else { return };
    #[cfg(not(nsi_armv7m))]
    for (line, output) in numbered(output.chunks(row.max(1))) {
        let [top, middle, bottom] = [0, 1, 2].map(|tap_y| {
            let row = scratch.get(line.times(stride).plus(tap_y).times(plane.pitch)..).unwrap_or_default();
            row.windows(3)
        });
        // Joined before they take steps: so one place in all of them is counted.
        let windows = top.zip(middle).zip(bottom).step_by(stride.max(1));
        for (out, ((top, middle), bottom)) in output.iter().step_by(channels).zip(windows) {
            let sum = dot(top, first).plus(dot(middle, second)).plus(dot(bottom, third));
            out.set(super::requantise::finish(sum, &parameters));
        }
    }
}

/// Three elements times three weights.
#[cfg(not(nsi_armv7m))]
#[inline]
fn dot(values: &[Cell<i8>], &[u, v, w]: &[i32; 3]) -> i32 {
    let [x, y, z] = values else { return 0 };
    i32::from(x.get()).times(u).plus(i32::from(y.get()).times(v)).plus(i32::from(z.get()).times(w))
}
