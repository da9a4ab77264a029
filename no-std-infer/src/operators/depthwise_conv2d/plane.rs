//! The geometry of a packed depthwise convolution: one channel at a time lies in scratch, with its border.

use core::ops::Range;

use crate::bounded::Bounded;
use crate::operators::Conv2d;

/// A plane of one channel for some output rows, and what of the input goes into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plane {
    /// Rows of the plane.
    pub rows: usize,
    /// Bytes of a row, a multiple of 4.
    pub pitch: usize,
    /// First input row that is gathered.
    pub input_row: usize,
    /// Rows that are gathered, 1 or more.
    pub gathered_rows: usize,
    /// Columns that are gathered, 1 or more.
    pub gathered_columns: usize,
    /// Where in the plane the first gathered element goes.
    pub first: usize,
}

/// How many of `rows` output rows, 1 or more, the loops for the DSP extension make together; the last ones again where they are
/// fewer. The most with the shorter requantisation, which an output allows whose zero point is the least value, but not where
/// many of them would be made twice.
#[must_use]
pub const fn rows_together(op: &Conv2d, rows: usize) -> usize {
    let floor = op.output.zero_point == i8::MIN;
    match (op.window.stride_w, rows) {
        (1, 3 | 5..) if floor => 3,
        (1, 2..) => 2,
        (2, 2..) if floor => 2,
        _ => 1,
    }
}

impl Plane {
    /// The plane for output rows `rows`, at least one, of a 3x3 convolution with one of the strides 1 and 2 in both
    /// directions. It has room for pairs of columns and, with stride 1, of rows.
    #[must_use]
    pub fn new(op: &Conv2d, rows: &Range<usize>) -> Self {
        let stride = usize::from(op.window.stride_h);
        let (top, left) = (usize::from(op.window.pad_top), usize::from(op.window.pad_left));
        let pairs = usize::from(op.output.width).div_ceil(2);
        let pitch = (if stride == 1 { pairs * 2 + 2 } else { pairs * 4 + 1 }).plus(3) & !3;
        let count = rows.len();
        let rows_under = if stride == 1 { (count.plus(1) & !1).plus(2) } else { count.times(2).plus(1) };
        // Row 0 of the plane is this row of the padded input.
        let start = rows.start.times(stride);
        let skipped = top.saturating_sub(start);
        let input_row = start.saturating_sub(top);
        let height = usize::from(op.input.height);
        Self {
            rows: rows_under,
            pitch,
            input_row,
            gathered_rows: height.saturating_sub(input_row).min(rows_under.saturating_sub(skipped)),
            gathered_columns: usize::from(op.input.width).min(pitch.saturating_sub(left)),
            first: skipped.times(pitch).plus(left),
        }
    }

    /// Bytes of the plane.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.saturating_mul(self.pitch)
    }
}
