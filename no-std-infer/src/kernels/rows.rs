//! The input rows under one output row, copied with their padding.

use core::cell::Cell;

use super::copy::{copy, move_down};
use crate::bounded::Bounded;
use crate::operators::{Conv2d, Strip};

/// A strip that moves down the input from output row to output row. Each row of the input is read once, so that an output
/// in the same place may overwrite the rows that have been read.
pub struct Rows<'a> {
    op: &'a Conv2d,
    strip: Strip,
    bytes: &'a [Cell<i8>],
    /// Row of the input that the strip starts with, once it has been filled.
    top: Option<i32>,
}

impl<'a> Rows<'a> {
    /// The strip that a packed convolution needs, in `bytes`, which holds as many as that: empty before output row 0, and
    /// before another first row as the row before has left it.
    pub fn new(op: &'a Conv2d, bytes: &'a [Cell<i8>], first: usize) -> Self {
        Self::with_strip(op, Strip::new(op), bytes).resumed(first.checked_sub(1))
    }

    /// Any other strip, empty.
    pub fn with_strip(op: &'a Conv2d, strip: Strip, bytes: &'a [Cell<i8>]) -> Self {
        Self { op, strip, bytes, top: None }
    }

    /// The strip as it was left under output row `row`.
    pub fn resumed(self, row: Option<usize>) -> Self {
        Self { top: row.map(|row| top(self.op, row)), ..self }
    }

    /// The rows under output row `y`, one after the other; `input` is the input tensor's bytes.
    pub fn under(&mut self, input: &[Cell<i8>], y: usize) -> &'a [Cell<i8>] {
        let (top, rows) = (top(self.op, y), self.strip.rows);
        let moved = self.top.map(|before| top.wrapping_sub(before)).and_then(|moved| usize::try_from(moved).ok());
        let kept = moved.map_or(0, |moved| rows.saturating_sub(moved));
        if kept > 0 && kept < rows {
            let bytes = self.bytes.get(..rows.times(self.strip.pitch)).unwrap_or_default();
            move_down(bytes, rows.minus(kept).times(self.strip.pitch));
        }
        for row in kept..rows {
            let pitch = self.strip.pitch;
            let target = self.bytes.get(row.times(pitch)..row.plus(1).times(pitch)).unwrap_or_default();
            copy_row(self.op, input, usize::try_from(top.wrapping_add(row as i32)).ok(), target);
        }
        self.top = Some(top);
        self.bytes
    }
}

/// The row of the input that the window of output row `y` begins with; negative in the padding.
fn top(op: &Conv2d, y: usize) -> i32 {
    (y as i32).times(op.window.stride_h.into()).minus(op.window.pad_top.into())
}

/// Copies row `y` of the input with the padding on both sides, or padding only where there is no such row.
pub fn copy_row(op: &Conv2d, input: &[Cell<i8>], y: Option<usize>, target: &[Cell<i8>]) {
    let channels = op.input.channels as usize;
    let len = op.input.row_len();
    let row = y.filter(|&y| y < usize::from(op.input.height)).and_then(|y| input.get(y.times(len)..)?.get(..len));
    let Some(source) = row else { return fill(target, op.input.zero_point) };
    let Some((before, rest)) = target.split_at_checked(usize::from(op.window.pad_left).times(channels)) else { return };
    fill(before, op.input.zero_point);
    let (inside, after) = rest.split_at(rest.len().min(len));
    copy(source, inside);
    fill(after, op.input.zero_point);
}

fn fill(cells: &[Cell<i8>], value: i8) {
    cells.iter().for_each(|cell| cell.set(value));
}
