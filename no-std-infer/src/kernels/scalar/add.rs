//! Residual sums with tables.

use super::requantise::requantise;
use crate::kernels::Shared;
use crate::operators::{ADD_SHIFT, Add, Summands, Tables, table_entry as entry};

/// A sum with a table for one summand or both.
pub fn add(op: &Add, tables: Tables<'_>, views: Shared<'_, 2>) {
    let Shared { inputs, output, .. } = views;
    let Some(Summands { first, first_table, second, second_table }) = Summands::new(inputs, tables) else {
        return debug_assert!(false, "a sum without tables has another kernel");
    };
    let elements = output.iter().zip(first).zip(second);
    let (rounding, shift) = op.rounding();
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
