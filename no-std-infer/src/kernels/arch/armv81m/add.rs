//! Residual sums with tables.
#![allow(unsafe_code)]

use crate::kernels::Shared;
use crate::operators::{Add, Summands, Tables};

#[cfg(nsi_armv81m)]
#[repr(C)]
struct Arguments {
    first: *const i8,
    second: *const i8,
    output: *mut i8,
    count: usize,
    second_table: *const u8,
    mantissa: i32,
    zero_point: i32,
    shift: i32,
    first_table: *const u8,
}

#[cfg(nsi_armv81m)]
crate::kernels::arch::assembly! {
    fn no_std_infer_mve_add_one_relu(arguments: *const Arguments);
    fn no_std_infer_mve_add_one_any(arguments: *const Arguments);
    fn no_std_infer_mve_add_two_relu(arguments: *const Arguments);
    fn no_std_infer_mve_add_two_any(arguments: *const Arguments);
}

/// A sum with a table for one summand or both. Tables are aligned to 4 bytes, and summands as long as the sum.
pub fn add(op: &Add, tables: Tables<'_>, views: Shared<'_, 2>) {
    let Shared { inputs, output, .. } = views;
    let count = output.len();
    let Some(summands) = Summands::checked(inputs, tables, count) else {
        return debug_assert!(false, "a sum has a table, aligned, and summands as long as it is");
    };
    if count == 0 {
        return;
    }
    let shift = i32::from(op.output_multiplier.shift);
    #[cfg(nsi_armv81m)]
    // SAFETY: it reads `count` elements of both summands and writes as many of the output, four at a time and the last ones
    // predicated, all inside their views, as checked above; where they share bytes, the output does not begin after the
    // summand, so that elements are read before they are written. A table has an entry for every byte, aligned to 4. It keeps
    // the calling convention.
    unsafe {
        let Summands { first, first_table, second, second_table } = summands;
        let arguments = Arguments {
            first: first.as_ptr().cast(),
            second: second.as_ptr().cast(),
            output: output.as_ptr().cast_mut().cast(),
            count,
            second_table: second_table.as_ptr(),
            mantissa: op.output_multiplier.mantissa,
            zero_point: op.output.zero_point.into(),
            shift,
            first_table: first_table.map_or(core::ptr::null(), |table| table.as_ptr()),
        };
        let function = match (first_table.is_some(), op.output.zero_point) {
            (false, i8::MIN) => no_std_infer_mve_add_one_relu,
            (false, _) => no_std_infer_mve_add_one_any,
            (true, i8::MIN) => no_std_infer_mve_add_two_relu,
            (true, _) => no_std_infer_mve_add_two_any,
        };
        function(&arguments);
    }
    #[cfg(not(nsi_armv81m))]
    for ((out, first), second) in output.iter().zip(summands.first).zip(summands.second) {
        // It is even: VRMULH of it is VQRDMULH of half of it.
        let sum = summands.doubled(first.get(), second.get()) / 2;
        out.set(super::insn::requantise(sum, op.output_multiplier.mantissa, -shift, op.output.zero_point));
    }
}
