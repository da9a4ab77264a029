//! Which taps of a window lie in the input.

use core::ops::Range;

/// The taps of one window along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taps {
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
        (self.start + tap as i32 * i32::from(dilation)).max(0) as usize
    }
}

/// The taps of output `index` along an axis of `inputs` positions.
pub(crate) fn taps(index: usize, stride: u16, pad: u16, kernel: u16, dilation: u16, inputs: u16) -> Taps {
    let start = index as i32 * i32::from(stride) - i32::from(pad);
    let inside = |tap: &usize| {
        let position = start + *tap as i32 * i32::from(dilation);
        (0..i32::from(inputs)).contains(&position)
    };
    let all = 0..usize::from(kernel);
    let first = all.clone().find(inside).unwrap_or(all.end);
    let count = (first..all.end).take_while(inside).count();
    Taps { start, first, end: first + count }
}
