//! The input rows under one output row, copied with their padding.

use core::cell::Cell;

use super::copy::{copy, move_down};
use crate::format::Conv2d;
use crate::ops::Strip;

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
    /// An empty strip in `bytes`, which holds as many as the strip needs.
    pub fn new(op: &'a Conv2d, bytes: &'a [Cell<i8>]) -> Self {
        Self { op, strip: Strip::new(op), bytes, top: None }
    }

    /// The rows under output row `y`, one after the other; `input` is the input tensor's bytes.
    pub fn under(&mut self, input: &[Cell<i8>], y: usize) -> &'a [Cell<i8>] {
        let (window, rows) = (&self.op.window, self.strip.rows);
        let top = y as i32 * i32::from(window.stride_h) - i32::from(window.pad_top);
        let moved = self.top.map(|before| top.wrapping_sub(before)).and_then(|moved| usize::try_from(moved).ok());
        let kept = moved.map_or(0, |moved| rows.saturating_sub(moved));
        if kept > 0 && kept < rows {
            let bytes = self.bytes.get(..rows * self.strip.pitch).unwrap_or_default();
            move_down(bytes, (rows - kept) * self.strip.pitch);
        }
        for row in kept..rows {
            self.fill(input, row, top.wrapping_add(row as i32));
        }
        self.top = Some(top);
        self.bytes
    }

    /// Copies row `y` of the input, or padding, to row `row` of the strip.
    fn fill(&self, input: &[Cell<i8>], row: usize, y: i32) {
        let (op, pitch) = (self.op, self.strip.pitch);
        let Some(target) = self.bytes.get(row * pitch..(row + 1) * pitch) else { return };
        if y < 0 || y >= i32::from(op.input.height) {
            return fill(target, op.input.zero_point);
        }
        let channels = op.input.channels as usize;
        let len = usize::from(op.input.width) * channels;
        let source = input.get(y as usize * len..).and_then(|rest| rest.get(..len)).unwrap_or_default();
        let Some((before, rest)) = target.split_at_checked(usize::from(op.window.pad_left) * channels) else {
            return;
        };
        fill(before, op.input.zero_point);
        let (inside, after) = rest.split_at(rest.len().min(source.len()));
        copy(source, inside);
        fill(after, op.input.zero_point);
    }
}

fn fill(cells: &[Cell<i8>], value: i8) {
    cells.iter().for_each(|cell| cell.set(value));
}
