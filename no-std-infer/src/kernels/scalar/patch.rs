//! The patch of one output pixel, and its way into a panel.

use core::cell::Cell;

use super::{Block, PIXELS};
use crate::bounded::Bounded;
use crate::operators::PatchOrder;

/// The elements that are multiplied for one output pixel, kernel row by kernel row.
#[derive(Clone, Copy, Debug)]
pub struct Patch<'a> {
    /// From the first element on.
    pub source: &'a [Cell<i8>],
    /// Their order in the panel.
    pub order: PatchOrder,
    /// Bytes from the start of a kernel row to the start of the next.
    pub row_stride: usize,
    /// Runs of a kernel row: 1, or one a column.
    pub columns: usize,
    /// Bytes from the start of a run to the start of the next in a kernel row.
    pub column_stride: usize,
}

impl Patch<'_> {
    /// Puts it into `slots` as that of pixel `pixel`, element by element.
    pub fn put<B: Block + ?Sized>(&self, slots: &[Cell<B::Slot>], pixel: usize) {
        let Some([quads, left_over]) = self.targets::<B>(slots, pixel) else { return };
        let mut quads = quads.chunks(4 * B::SLOTS);
        let mut left_over = left_over.iter().step_by(B::SLOTS);
        for row in 0..self.order.runs.checked_div(self.columns).unwrap_or(0) {
            for column in 0..self.columns {
                let start = row.times(self.row_stride).plus(column.times(self.column_stride));
                let run = self.source.get(start..).and_then(|rest| rest.get(..self.order.run)).unwrap_or_default();
                let (groups, rest) = run.as_chunks::<4>();
                for ([e0, e1, e2, e3], slots) in groups.iter().zip(&mut quads) {
                    let Some(slots) = slots.get(..=3 * B::SLOTS) else { return };
                    B::put(&slots[0], pixel, e0.get());
                    B::put(&slots[B::SLOTS], pixel, e2.get());
                    B::put(&slots[2 * B::SLOTS], pixel, e1.get());
                    B::put(&slots[3 * B::SLOTS], pixel, e3.get());
                }
                for (element, slot) in rest.iter().zip(&mut left_over) {
                    B::put(slot, pixel, element.get());
                }
            }
        }
    }

    /// Where the groups of four elements go, and what is left over of the runs, from pixel `pixel`'s slots on; `None` when
    /// the slots are too few.
    pub fn targets<'s, B: Block + ?Sized>(
        &self,
        slots: &'s [Cell<B::Slot>],
        pixel: usize,
    ) -> Option<[&'s [Cell<B::Slot>]; 2]> {
        let PatchOrder { runs, .. } = self.order;
        let (quads, left_over) = slots.split_at_checked(runs.times(self.order.quads()).times(4 * B::SLOTS))?;
        let left_over = left_over.get(..runs.times(self.order.left_over()).times(B::SLOTS))?;
        let first = pixel.times(B::SLOTS) / PIXELS;
        Some([quads, left_over].map(|slots| slots.get(first..).unwrap_or_default()))
    }
}
