//! Sum of two tensors.

use core::cell::Cell;

use super::check::{check_activation, check_broadcast, ensure, same_shape};
use super::record::{Field, Record, record};
use super::{Activation, Code, Operator, Overlap};
use crate::bounded::Bounded;
use crate::error::OpError;
use crate::fixed::Multiplier;
use crate::format::{ADD_TABLE_LEN, Tensor};
use crate::kernels::{Kernels, Memory};

/// Left shift of both summands in [`Op::Add`](super::Op::Add) (TFLite's value for int8).
pub const ADD_SHIFT: u32 = 20;

record! {
    /// Parameters of [`Op::Add`](super::Op::Add), as TFLite's: each input, less its zero point and shifted left by
    /// [`ADD_SHIFT`], is scaled by its multiplier; the sum is scaled by `output_multiplier`.
    ///
    /// Each of a summand's sides is the sum's or 1; where it is 1, its elements count for every row, column or channel.
    pub struct Add: [a, b] => output {
        /// First summand.
        pub a: Tensor,
        /// Second summand.
        pub b: Tensor,
        /// Sum.
        pub output: Tensor,
        /// Multiplier of `a`, at most 1.
        pub a_multiplier: Multiplier,
        /// Multiplier of `b`, at most 1.
        pub b_multiplier: Multiplier,
        /// Multiplier of the sum, below 1.
        pub output_multiplier: Multiplier,
        /// Fused clamp.
        pub activation: Activation,
        /// First entries of the tables of `a` and `b`, counted from the start of the weights section, multiples of 4: none, or
        /// those that [`Add::needs_tables`] asks for. They hold what the multipliers give, so that a kernel may use either.
        pub tables: [Option<u32>; 2],
    }
}

/// Where a record says where a sum's tables are.
const TABLES_AT: usize = 1 + 3 * Tensor::LEN + 3 * Multiplier::LEN + Activation::LEN;

/// What tells a sum's kernel: 1 unless both of its tables are none.
pub(super) const fn tables(record: &Record) -> u8 {
    let mut at = TABLES_AT;
    while at < TABLES_AT + <[Option<u32>; 2]>::LEN {
        if record[at] != u8::MAX {
            return 1;
        }
        at += 1;
    }
    0
}

impl Operator for Add {
    type Params = Self;
    const READ_BY_CALL: bool = true;

    fn overlap(op: &Self, input: &Tensor) -> Option<Overlap> {
        Overlap::element_by_element(input, &op.output)
    }
}

impl Add {
    /// Right shifts of the sum that allow tables.
    const TABLE_SHIFTS: core::ops::RangeInclusive<i8> = -23..=-1;

    /// Which summands need a table so that the sum can be taken with them: `None` when their shapes, the clamp or the sum's
    /// multiplier do not allow it. A summand that counts exactly half needs none.
    #[must_use]
    pub fn needs_tables(&self) -> Option<[bool; 2]> {
        let even = same_shape(&self.a, &self.output) && same_shape(&self.b, &self.output);
        let shift = Self::TABLE_SHIFTS.contains(&self.output_multiplier.shift);
        if !even || !shift || self.activation != Activation::NONE {
            return None;
        }
        let half = Multiplier { mantissa: 1 << 30, shift: 0 };
        Some(if self.a_multiplier == half { [false, true] } else { [true, self.b_multiplier != half] })
    }

    /// Entry `value` of the table of summand `summand`, 0 or 1, given which of them have one: twice the scaled summand,
    /// less twice the other one's scaled zero point where that has no table.
    #[must_use]
    #[inline(never)]
    pub fn table_entry(&self, have: [bool; 2], summand: usize, value: i8) -> i32 {
        let (own, multiplier, other, other_has_one) = match summand {
            0 => (&self.a, self.a_multiplier, &self.b, have[1]),
            _ => (&self.b, self.b_multiplier, &self.a, have[0]),
        };
        let scaled = multiplier.apply((i32::from(value) - i32::from(own.zero_point)) << ADD_SHIFT);
        let rest = if other_has_one { 0 } else { i32::from(other.zero_point) << ADD_SHIFT };
        scaled.wrapping_mul(2).wrapping_sub(rest)
    }

    /// How twice a sum becomes an output: it is multiplied with the sum's mantissa, this is added to the upper word, and that is
    /// shifted right by so many bits. It holds half of the last bit and the zero point.
    #[inline(always)]
    pub(crate) fn rounding(&self) -> (i32, i32) {
        let shift = i32::from(self.output_multiplier.shift.unsigned_abs() & 31);
        ((1 << (shift.wrapping_sub(1) & 31)).plus(i32::from(self.output.zero_point) << shift), shift)
    }
}

/// A table of a summand: little-endian words.
pub type Table = [u8; ADD_TABLE_LEN];

/// The tables of both summands, where they have one.
pub type Tables<'a> = [Option<&'a Table>; 2];

/// Summands in the order in which kernels take them: the first is the one without a table, where there is one.
pub(crate) struct Summands<'a> {
    pub first: &'a [Cell<i8>],
    pub first_table: Option<&'a Table>,
    pub second: &'a [Cell<i8>],
    pub second_table: &'a Table,
}

impl<'a> Summands<'a> {
    /// `None` where neither has a table.
    #[inline(always)]
    pub(crate) fn new([a, b]: [&'a [Cell<i8>]; 2], tables: Tables<'a>) -> Option<Self> {
        let (first, first_table, second, second_table) = match tables {
            [first, Some(second)] => (a, first, b, second),
            [Some(second), None] => (b, None, a, second),
            [None, None] => return None,
        };
        Some(Self { first, first_table, second, second_table })
    }

    /// The same for loops in assembly: `None` also where a summand is shorter than the sum, of `count` elements, or a table is not
    /// aligned to 4 bytes.
    #[inline(always)]
    pub(crate) fn checked(inputs: [&'a [Cell<i8>]; 2], tables: Tables<'a>, count: usize) -> Option<Self> {
        let summands = Self::new(inputs, tables)?;
        let aligned = |table: &Table| (table.as_ptr() as usize).is_multiple_of(4);
        let long = summands.first.len() >= count && summands.second.len() >= count;
        let fits = long && aligned(summands.second_table) && summands.first_table.is_none_or(aligned);
        fits.then_some(summands)
    }

    /// Twice the sum of an element of each, before it is requantised.
    #[cfg(not(all(nsi_armv7em, nsi_armv81m)))]
    pub(crate) fn doubled(&self, first: i8, second: i8) -> i32 {
        let first = self.first_table.map_or(i32::from(first) << ADD_SHIFT, |table| entry(table, first));
        first.wrapping_add(entry(self.second_table, second))
    }
}

/// What a table holds for a value.
#[inline]
pub(crate) fn entry(table: &Table, value: i8) -> i32 {
    const { assert!(size_of::<Table>() == 4 * 256) };
    let (entries, _) = table.as_chunks::<4>();
    entries.get(usize::from(value as u8)).map_or(0, |&entry| i32::from_le_bytes(entry))
}

/// Finds a sum's tables in the weights section; `None` when one lies outside.
fn find<'a>(op: &Add, section: &'a [u8]) -> Option<Tables<'a>> {
    let find = |start: u32| section.get(start as usize..).and_then(|rest| rest.first_chunk());
    let mut tables = [None; 2];
    for (slot, start) in tables.iter_mut().zip(op.tables) {
        if let Some(start) = start {
            *slot = Some(find(start)?);
        }
    }
    Some(tables)
}

/// Without tables.
pub(super) struct Sum;

impl Code for Sum {
    type Operator = Add;

    fn check(op: &Add, _: &[u8]) -> Result<(), OpError> {
        check(op)
    }

    #[inline(always)]
    fn run<K: Kernels>(op: &Add, memory: Memory<'_>) -> Option<()> {
        K::add(op, memory.shared([&op.a, &op.b], &op.output)?);
        Some(())
    }
}

/// With tables.
pub(super) struct TableSum;

impl Code for TableSum {
    type Operator = Add;

    fn check(op: &Add, section: &[u8]) -> Result<(), OpError> {
        check(op)?;
        let tables = find(op, section).ok_or(OpError::Constants)?;
        let have = op.tables.map(|table| table.is_some());
        ensure(op.needs_tables() == Some(have), OpError::Multiplier)?;
        ensure(op.tables.iter().flatten().all(|start| start.is_multiple_of(4)), OpError::Constants)?;
        for (summand, table) in (0..2).zip(tables) {
            let entries = table.map_or(&[][..], |table| table.as_chunks::<4>().0);
            let mut entries = (0..=u8::MAX).zip(entries);
            let proved = |(value, entry): (u8, &[u8; 4])| {
                i32::from_le_bytes(*entry) == op.table_entry(have, summand, value as i8)
            };
            ensure(entries.all(proved), OpError::Constants)?;
        }
        Ok(())
    }

    #[inline(always)]
    fn run<K: Kernels>(op: &Add, memory: Memory<'_>) -> Option<()> {
        let tables = find(op, memory.section)?;
        K::add_tables(op, tables, memory.lined_up([&op.a, &op.b], &op.output)?);
        Some(())
    }
}

fn check(op: &Add) -> Result<(), OpError> {
    check_broadcast(&op.a, &op.b, &op.output)?;
    check_activation(op.activation)?;
    // A summand is below 2^28 before its multiplier; with no left shift the sum stays below 2^29.
    let summands = [op.a_multiplier, op.b_multiplier];
    ensure(summands.iter().all(|m| m.is_valid() && m.shift <= 0), OpError::Multiplier)?;
    ensure(op.output_multiplier.is_valid(), OpError::Multiplier)
}
