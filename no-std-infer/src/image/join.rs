//! A frame that is in memory as a whole: of the rows under a row of the output the columns are summed first, then those under each
//! of its pixels. Each source pixel is read once, and nothing is kept from one row of the output to the next.

use core::num::NonZeroU32;

use super::color::Components;
use super::frame::Frame;
use super::pixels::{Summed, areas};
use super::resize::Resize;
use super::strip::COLUMNS;
use crate::bounded::Bounded;

/// Columns of the frame that are summed together: what that takes lies on the stack.
const SPAN: usize = 64;

impl Resize {
    /// Writes the output of a whole frame, some columns of a row after the other. False, and nothing is written, where rows or
    /// columns are spread, sums need more than 32 bits, or too many columns lie under a pixel.
    pub(super) fn join(&self, frame: &Frame<'_>, output: &mut [i8]) -> bool {
        // With this a sum and half of the total are less than 2^32.
        let total = u32::try_from(self.total.get()).ok().filter(|&total| total <= u32::MAX / 256);
        let Some(total) = total.and_then(NonZeroU32::new) else { return false };
        // Beside the columns that lie under them as a whole, two in part, and at both ends the other of a pair.
        let most = (SPAN as u32 - 4).times(self.columns.output()).checked_div(self.columns.source).unwrap_or(0);
        let together = (most as usize).min(COLUMNS);
        if !self.columns.shrinks() || !self.rows.shrinks() || together == 0 {
            return false;
        }
        let round = |sum: u32| (sum.plus(total.get() / 2) / total) as u8;
        let (mut sums, mut parts) = ([[0; 3]; SPAN], [[0; 3]; COLUMNS]);
        let mut pixels = output.chunks_exact_mut(self.color.channels());
        for row in 0..self.rows.output() {
            for first in (0..self.columns.output()).step_by(together) {
                let count = (self.columns.output().minus(first) as usize).min(together);
                let parts = parts.get_mut(..count).unwrap_or_default();
                self.add(frame, row, first, &mut sums, parts);
                for &mut [a, b, c] in parts {
                    self.write_components([round(a), round(b), round(c)], pixels.next().unwrap_or_default());
                }
            }
        }
        true
    }

    /// Makes `parts` the weighted sums for pixels of an output row, from column `first` on.
    #[inline(always)]
    fn add(&self, frame: &Frame<'_>, row: u32, first: u32, sums: &mut [Components; SPAN], parts: &mut [Components]) {
        let last = first.plus(parts.len() as u32).minus(1);
        // Whole pairs of pixels.
        let left = self.columns.taps(first).first & !1;
        let len = self.columns.taps(last).last.minus(left).plus(2) & !1;
        let sums = sums.get_mut(..len as usize).unwrap_or_default();
        sums.fill([0; 3]);
        let down = self.rows.taps(row);
        for y in down.first..down.last.plus(1) {
            self.source.format().add_row(frame.row(y), left as usize, down.weight(y), sums);
        }
        areas(self.columns, first, parts, |x| Summed(sums.get(x.minus(left as usize)..).unwrap_or_default()));
    }
}
