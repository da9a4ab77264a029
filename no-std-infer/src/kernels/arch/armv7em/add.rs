//! Residual sums with tables.
#![allow(unsafe_code)]

use crate::kernels::Shared;
use crate::operators::{Add, Summands, Tables};

#[cfg(nsi_armv7em)]
#[repr(C)]
struct Arguments {
    first: *const i8,
    second: *const i8,
    output: *mut i8,
    count: usize,
    second_table: *const u8,
    mantissa: i32,
    rounding: i32,
    shift: i32,
    first_table: *const u8,
}

#[cfg(nsi_armv7em)]
crate::kernels::arch::assembly! {
    fn no_std_infer_add_one(arguments: *const Arguments);
    fn no_std_infer_add_two(arguments: *const Arguments);
}

/// A sum with a table for one summand or both. Tables are aligned to 4 bytes, and summands as long as the sum.
pub fn add(op: &Add, tables: Tables<'_>, views: Shared<'_, 2>) {
    let Shared { inputs, output, .. } = views;
    let count = output.len();
    let Some(summands) = Summands::checked(inputs, tables, count) else {
        return debug_assert!(false, "a sum has a table, aligned, and summands as long as it is");
    };
    let (rounding, shift) = op.rounding();
    #[cfg(nsi_armv7em)]
    // SAFETY: it reads `count` elements of both summands and writes as many of the output, one by one, all inside their
    // views, as checked above; where they share bytes an element is read before it is written. A table has an entry for
    // every byte, aligned to 4. It keeps the calling convention.
    unsafe {
        let Summands { first, first_table, second, second_table } = summands;
        let arguments = Arguments {
            first: first.as_ptr().cast(),
            second: second.as_ptr().cast(),
            output: output.as_ptr().cast_mut().cast(),
            count,
            second_table: second_table.as_ptr(),
            mantissa: op.output_multiplier.mantissa,
            rounding,
            shift,
            first_table: first_table.map_or(core::ptr::null(), |table| table.as_ptr()),
        };
        if first_table.is_some() {
            no_std_infer_add_two(&arguments);
        } else {
            no_std_infer_add_one(&arguments);
        }
    }
    #[cfg(not(nsi_armv7em))]
    for ((out, first), second) in output.iter().zip(summands.first).zip(summands.second) {
        let doubled = summands.doubled(first.get(), second.get());
        out.set(super::insn::requantise(doubled, op.output_multiplier.mantissa, rounding, shift));
    }
}
