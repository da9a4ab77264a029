//! Residual sums with tables.
#![allow(unsafe_code)]

use core::ops::Range;

use crate::format::ADD_TABLE_LEN;
use crate::ops::AddLayer;

#[cfg(dsp)]
assembly!(include_str!("requantise.s"), include_str!("add.s"));

#[cfg(dsp)]
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

#[cfg(dsp)]
unsafe extern "C" {
    fn no_std_infer_add_one(arguments: *const Arguments);
    fn no_std_infer_add_two(arguments: *const Arguments);
}

/// Output rows `rows` of a sum with a table for one summand or both; does nothing when there is none, or when a region lies
/// outside the arena or a table is not aligned to 4 bytes.
pub fn add(arena: &mut [i8], layer: &AddLayer<'_>, rows: Range<usize>) {
    let op = layer.op;
    // The first summand is the one without a table, where there is one.
    let ((first, first_table), (second, second_table)) = match layer.tables {
        [first, Some(second)] => ((&op.a, first), (&op.b, second)),
        [Some(second), None] => ((&op.b, None), (&op.a, second)),
        [None, None] => return,
    };
    let row = usize::from(op.output.width) * op.output.channels as usize;
    let (start, count) = (row * rows.start, row * rows.len());
    let [first, second, output] = [first, second, &op.output].map(|tensor| tensor.offset as usize + start);
    let inside =
        [first, second, output].iter().all(|start| start.checked_add(count).is_some_and(|end| end <= arena.len()));
    let aligned = |table: &[u8; ADD_TABLE_LEN]| (table.as_ptr() as usize).is_multiple_of(4);
    if !inside || !aligned(second_table) || !first_table.is_none_or(aligned) {
        return;
    }
    let shift = i32::from(op.output_multiplier.shift.unsigned_abs() & 31);
    let rounding = (1 << ((shift - 1) & 31)) + (i32::from(op.output.zero_point) << shift);
    #[cfg(dsp)]
    // SAFETY: it reads `count` elements of both summands and writes as many of the output, one by one, all inside the
    // arena, as checked above; where they are the same an element is read before it is written. A table has an entry for
    // every byte, aligned to 4. It keeps the calling convention.
    unsafe {
        let base = arena.as_mut_ptr();
        let arguments = Arguments {
            first: base.wrapping_add(first),
            second: base.wrapping_add(second),
            output: base.wrapping_add(output),
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
    #[cfg(not(dsp))]
    for i in 0..count {
        let entry = |table: &[u8; ADD_TABLE_LEN], value: i8| {
            let (entries, _) = table.as_chunks::<4>();
            i32::from_le_bytes(entries[usize::from(value as u8)])
        };
        let value = arena[first + i];
        let scaled = first_table.map_or(i32::from(value) << crate::format::ADD_SHIFT, |table| entry(table, value));
        let doubled = scaled + entry(second_table, arena[second + i]);
        arena[output + i] = super::insn::requantise(doubled, op.output_multiplier.mantissa, rounding, shift);
    }
}
