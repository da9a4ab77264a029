//! Which taps of a window lie in the input, and what lies under them.

use core::cell::Cell;
use core::ops::Range;

use crate::bounded::Bounded;
use crate::format::Tensor;
use crate::operators::{Conv2d, Window};

/// The taps of one window along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taps {
    /// Position of tap 0 in the input; negative in the padding.
    pub start: i32,
    /// First tap inside the input.
    pub first: usize,
    /// One past the last tap inside the input.
    pub end: usize,
}

impl Taps {
    /// The taps inside the input.
    pub fn inside(self) -> Range<usize> {
        self.first..self.end
    }

    /// Position in the input of a tap inside it.
    pub fn position(self, tap: usize, dilation: u16) -> usize {
        self.start.plus((tap as i32).times(dilation.into())).max(0) as usize
    }
}

/// The taps of output `index` along an axis of `inputs` positions.
fn taps(index: usize, stride: u16, pad: u16, kernel: u16, dilation: u16, inputs: u16) -> Taps {
    let start = (index as i32).times(stride.into()).minus(pad.into());
    let inside = |tap: &usize| {
        let position = start.plus((*tap as i32).times(dilation.into()));
        (0..i32::from(inputs)).contains(&position)
    };
    let all = 0..usize::from(kernel);
    let first = all.clone().find(inside).unwrap_or(all.end);
    let count = (first..all.end).take_while(inside).count();
    Taps { start, first, end: first.plus(count) }
}

/// The rows under output row `y`.
pub fn vertical_taps(window: &Window, y: usize, input: &Tensor) -> Taps {
    taps(y, window.stride_h, window.pad_top, window.kernel_h, window.dilation_h, input.height)
}

/// The columns under output column `x`.
pub fn horizontal_taps(window: &Window, x: usize, input: &Tensor) -> Taps {
    taps(x, window.stride_w, window.pad_left, window.kernel_w, window.dilation_w, input.width)
}

/// Copies the patch under one output pixel, padding included; `input` is the input tensor's bytes.
pub fn gather(op: &Conv2d, input: &[Cell<i8>], patch: &mut [i8], vertical: Taps, horizontal: Taps) {
    let channels = op.input.channels as usize;
    let kernel_w = usize::from(op.window.kernel_w);
    for (tap_y, row) in (0..usize::from(op.window.kernel_h)).zip(patch.chunks_mut(kernel_w.times(channels).max(1))) {
        let inside = if vertical.inside().contains(&tap_y) { horizontal.inside() } else { 0..0 };
        for outside in [0..inside.start, inside.end..kernel_w] {
            let outside = outside.start.times(channels)..outside.end.times(channels);
            row.get_mut(outside).unwrap_or_default().fill(op.input.zero_point);
        }
        let y = vertical.position(tap_y, op.window.dilation_h);
        let together = if op.window.dilation_w == 1 { inside.len().max(1) } else { 1 };
        for tap_x in inside.step_by(together) {
            let x = horizontal.position(tap_x, op.window.dilation_w);
            let first = y.times(op.input.width.into()).plus(x).times(channels);
            let source = input.get(first..).unwrap_or_default();
            let target = tap_x.times(channels)..tap_x.plus(together).times(channels);
            let target = row.get_mut(target).unwrap_or_default();
            target.iter_mut().zip(source).for_each(|(target, source)| *target = source.get());
        }
    }
}
