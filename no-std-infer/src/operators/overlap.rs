//! Where an operator's output may lie over its input.

use super::{Conv2d, Strip};
use crate::bounded::Bounded;
use crate::format::Tensor;

/// The distances from an input's first byte to the output's that are allowed where the two share bytes.
///
/// A kernel writes the output from its first byte to its last, and has read what lies under a pixel before it writes the
/// pixel. So no element is lost when each pixel ends at or below the first byte of the input that is still to be read then.
/// What has been read is:
///
/// * Add, Mul, Clamp, Lookup, Reshape: the elements up to the one that is written.
/// * A packed convolution of 1x1: the pixels up to the one under the output pixel.
/// * A packed convolution of another kernel: the rows up to the lowest one under the output pixel. Those that are needed
///   again are kept in its [`Strip`].
/// * A convolution with transformed weights: the same, or those under a tile's lowest row before any of its rows is written.
///
/// A packed depthwise convolution reads a channel in whole before it writes that channel: no element is lost when every
/// byte of the output falls on one of the same channel. Input and output of any other operator lie apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// The largest one; often 0 or below: the output begins at the input's first byte or before it.
    pub most: i64,
    /// They are multiples of this, 1 or more.
    pub step: u32,
}

impl Overlap {
    /// That of an operator that reads and writes element by element; `None` for an input whose elements it reads again.
    pub(super) fn element_by_element(input: &Tensor, output: &Tensor) -> Option<Self> {
        (input.len() == output.len()).then_some(Self { most: 0, step: 1 })
    }

    /// True when the output may begin `distance` bytes after the input.
    #[must_use]
    pub fn allows(self, distance: i64) -> bool {
        distance <= self.most && distance.checked_rem(self.step as i64).is_some_and(|rest| rest == 0)
    }
}

/// The smallest difference of what has been read and what is written with an output pixel, in bytes. It is linear in the
/// pixel's row and column, or the smaller of two such terms, and so smallest at a corner.
pub(super) fn of_convolution(op: &Conv2d) -> i64 {
    let last = |side: u16| usize::from(side.saturating_sub(1));
    let (bottom, right) = (last(op.output.height), last(op.output.width));
    let corners = [(0, 0), (0, right), (bottom, 0), (bottom, right)];
    let room = corners.map(|(y, x)| {
        let written = y.times(op.output.width.into()).plus(x).plus(1).times(op.output.channels as usize);
        read(op, y, x) as i64 - written as i64
    });
    room.into_iter().fold(i64::MAX, i64::min)
}

/// Bytes of the input that have been read when output pixel `(y, x)` is written.
fn read(op: &Conv2d, y: usize, x: usize) -> usize {
    let (width, top) = (usize::from(op.input.width), y.times(op.window.stride_h.into()));
    let pixels = if op.window.taps() == 1 {
        top.times(width).plus(x.times(op.window.stride_w.into())).plus(1)
    } else {
        let rows = top.plus(Strip::new(op).rows).saturating_sub(usize::from(op.window.pad_top));
        rows.min(op.input.height.into()).times(width)
    };
    pixels.times(op.input.channels as usize)
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::operators::{Activation, Layout, Op, Weights, Window};

    fn tensor(offset: u32, [height, width, channels]: [u16; 3]) -> Tensor {
        Tensor { offset, height, width, channels: channels.into(), scale: 1.0, zero_point: 0 }
    }

    fn conv2d(input: [u16; 3], output: [u16; 3], window: Window) -> Conv2d {
        let weights = Weights { layout: Layout::Packed, weights: 0, channels: 0 };
        let (input, output, activation) = (tensor(0, input), tensor(0, output), Activation::NONE);
        Conv2d { input, output, window, weights, activation, scratch: 0 }
    }

    /// Reads and writes byte by byte, pixel after pixel and each row of a strip once, and says whether a byte is overwritten
    /// before it is read.
    fn loses_a_byte(op: &Conv2d, distance: i64) -> bool {
        let w = &op.window;
        let row = usize::from(op.input.width) * op.input.channels as usize;
        let mut overwritten = vec![false; op.input.len()];
        let mut next_row = 0;
        for (y, x) in (0..op.output.height).flat_map(|y| (0..op.output.width).map(move |x| (y, x))) {
            let read: Vec<usize> = if w.taps() == 1 {
                let pixel = usize::from(y * w.stride_h) * usize::from(op.input.width) + usize::from(x * w.stride_w);
                (pixel * op.input.channels as usize..(pixel + 1) * op.input.channels as usize).collect()
            } else {
                let under = usize::from(y * w.stride_h + (w.kernel_h - 1) * w.dilation_h + 1);
                let end = under.saturating_sub(w.pad_top.into()).min(op.input.height.into());
                let rows = next_row..end.max(next_row);
                next_row = rows.end;
                rows.flat_map(|y| y * row..(y + 1) * row).collect()
            };
            if read.into_iter().any(|byte| overwritten[byte]) {
                return true;
            }
            let first =
                distance + (i64::from(y) * i64::from(op.output.width) + i64::from(x)) * i64::from(op.output.channels);
            for byte in first..first + i64::from(op.output.channels) {
                if let Some(slot) = usize::try_from(byte).ok().and_then(|byte| overwritten.get_mut(byte)) {
                    *slot = true;
                }
            }
        }
        false
    }

    proptest! {
        #[test]
        fn no_byte_of_an_overlapped_convolution_is_lost(
            sides in [1_u16..9, 1..9, 1..6],
            channels in 1_u16..9,
            kernel in [1_u16..4, 1..4],
            strides in [1_u16..4, 1..4],
            dilation in 1_u16..3,
            numbers: [prop::sample::Index; 4],
            less in 0_i64..9,
        ) {
            let [pad_top, pad_left] = [0, 1].map(|axis| numbers[axis].index(usize::from((kernel[axis] - 1) * dilation) + 1) as u16);
            let [height, width] = [(0, pad_top), (1, pad_left)].map(|(axis, pad)| {
                1 + numbers[2 + axis].index(usize::from((sides[axis] + pad - 1) / strides[axis] + 1)) as u16
            });
            let window = Window {
                kernel_h: kernel[0], kernel_w: kernel[1], stride_h: strides[0], stride_w: strides[1],
                dilation_h: dilation, dilation_w: dilation, pad_top, pad_left,
            };
            let op = conv2d(sides, [height, width, channels], window);
            let Some(Overlap { most, step: 1 }) = Op::Conv2d(op).overlap(&op.input) else { panic!("it may overlap") };
            prop_assert!(!loses_a_byte(&op, most - less));
        }
    }

    /// Every convolution of up to 3 x 3 pixels, a kernel of up to 2 x 2, strides and channels up to 2: no distance that is
    /// allowed loses a byte.
    #[test]
    fn no_small_convolution_loses_a_byte() {
        let pairs = |most: u16| (1..=most).flat_map(move |a| (1..=most).map(move |b| (a, b)));
        let mut checked = 0;
        for ((height, width), (kernel_h, kernel_w)) in
            pairs(3).flat_map(|sides| pairs(2).map(move |kernel| (sides, kernel)))
        {
            for ((stride_h, stride_w), channels) in
                pairs(2).flat_map(|strides| pairs(2).map(move |channels| (strides, channels)))
            {
                for (pad_top, pad_left) in (0..kernel_h).flat_map(|top| (0..kernel_w).map(move |left| (top, left))) {
                    let most = [(height + pad_top - 1) / stride_h + 1, (width + pad_left - 1) / stride_w + 1];
                    for (rows, columns) in
                        (1..=most[0]).flat_map(|rows| (1..=most[1]).map(move |columns| (rows, columns)))
                    {
                        let strided = Window { stride_h, stride_w, pad_top, pad_left, ..Window::square(1, 1) };
                        let window = Window { kernel_h, kernel_w, ..strided };
                        let op = conv2d([height, width, channels.0], [rows, columns, channels.1], window);
                        let overlap = Op::Conv2d(op).overlap(&op.input).expect("it may overlap");
                        let len = i64::from(u16::MAX).min(op.output.len() as i64);
                        for distance in (-len..=op.input.len() as i64).filter(|&distance| overlap.allows(distance)) {
                            assert!(!loses_a_byte(&op, distance), "{op:?} at {distance}");
                            checked += 1;
                        }
                    }
                }
            }
        }
        assert!(checked > 10_000, "{checked}");
    }

    /// What is allowed depends on a comparison and a remainder, which all small numbers show.
    #[test]
    fn a_distance_is_allowed_up_to_the_most_in_steps() {
        let numbers = || (-33..=33_i64).chain([i64::MIN, i64::MAX]);
        for (distance, most) in numbers().flat_map(|distance| numbers().map(move |most| (distance, most))) {
            assert!(!Overlap { most, step: 0 }.allows(distance), "there are no steps of nothing");
            for step in (1..=17).chain([u32::MAX]) {
                let whole = (i128::from(distance) / i128::from(step)) * i128::from(step) == i128::from(distance);
                assert_eq!(
                    Overlap { most, step }.allows(distance),
                    distance <= most && whole,
                    "{distance} {most} {step}"
                );
            }
        }
    }

    #[test]
    fn a_little_further_a_byte_is_lost() {
        let window = |kernel, stride, pad| Window { pad_top: pad, pad_left: pad, ..Window::square(kernel, stride) };
        for (op, most, too_far) in [
            (conv2d([48, 48, 8], [48, 48, 16], window(1, 1, 0)), -18_432, -18_423),
            (conv2d([6, 6, 128], [6, 6, 32], window(1, 1, 0)), 96, 97),
            (conv2d([32, 32, 16], [16, 16, 32], window(1, 2, 0)), -16, 1),
            (conv2d([96, 96, 3], [48, 48, 8], window(3, 2, 0)), 480, 481),
            (conv2d([32, 32, 16], [32, 32, 16], window(3, 1, 1)), 0, 513),
        ] {
            assert_eq!(Op::Conv2d(op).overlap(&op.input), Some(Overlap { most, step: 1 }));
            assert!(!loses_a_byte(&op, most) && !loses_a_byte(&op, too_far - 1) && loses_a_byte(&op, too_far));
        }
    }
}
