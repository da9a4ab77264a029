//! Residual sums with tables.

use core::cell::Cell;
use core::ops::Range;

use super::requantise::requantise;
use crate::format::{ADD_SHIFT, ADD_TABLE_LEN};
use crate::ops::AddLayer;

/// Output rows `rows` of a sum with a table for one summand or both; does nothing when there is none.
pub fn add(arena: &mut [i8], layer: &AddLayer<'_>, rows: Range<usize>) {
    let op = layer.op;
    // The first summand is the one without a table, where there is one.
    let ((first, first_table), (second, second_table)) = match layer.tables {
        [first, Some(second)] => ((&op.a, first), (&op.b, second)),
        [Some(second), None] => ((&op.b, None), (&op.a, second)),
        [None, None] => return,
    };
    let arena = Cell::from_mut(arena).as_slice_of_cells();
    let row = usize::from(op.output.width) * op.output.channels as usize;
    let [first, second, output] = [first, second, &op.output].map(|tensor| {
        let start = tensor.offset as usize + row * rows.start;
        arena.get(start..start + row * rows.len()).unwrap_or_default()
    });
    let elements = output.iter().zip(first).zip(second);
    let shift = i32::from(op.output_multiplier.shift.unsigned_abs() & 31);
    let rounding = (1 << ((shift - 1) & 31)) + (i32::from(op.output.zero_point) << shift);
    let finish = |doubled: i32| requantise(doubled, op.output_multiplier.mantissa, rounding, shift);
    match first_table {
        Some(first_table) => elements.for_each(|((out, first), second)| {
            out.set(finish(entry(first_table, first.get()).wrapping_add(entry(second_table, second.get()))));
        }),
        None => elements.for_each(|((out, first), second)| {
            let scaled = i32::from(first.get()) << ADD_SHIFT;
            out.set(finish(scaled.wrapping_add(entry(second_table, second.get()))));
        }),
    }
}

#[inline]
fn entry(table: &[u8; ADD_TABLE_LEN], value: i8) -> i32 {
    const { assert!(ADD_TABLE_LEN == 4 * 256) };
    let (entries, _) = table.as_chunks::<4>();
    entries.get(usize::from(value as u8)).map_or(0, |&entry| i32::from_le_bytes(entry))
}
