//! Residual sums with tables.

use super::requantise::requantise;
use crate::format::ADD_TABLE_LEN;
use crate::kernels::Shared;
use crate::operators::{ADD_SHIFT, Add, Tables};

/// A sum with a table for one summand or both.
pub fn add(op: &Add, tables: Tables<'_>, views: Shared<'_, 2>) {
    let Shared { inputs: [a, b], output, .. } = views;
    // The first summand is the one without a table, where there is one.
    let ((first, first_table), (second, second_table)) = match tables {
        [first, Some(second)] => ((a, first), (b, second)),
        [Some(second), None] => ((b, None), (a, second)),
        [None, None] => return debug_assert!(false, "a sum without tables has another kernel"),
    };
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
