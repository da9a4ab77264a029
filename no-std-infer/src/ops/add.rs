//! The tables of a residual sum.

use super::same_shape;
use crate::fixed::Multiplier;
use crate::format::{ADD_SHIFT, ADD_TABLE_LEN, Activation, Add};

/// A sum with its tables in flash.
#[derive(Clone, Copy, Debug)]
pub struct AddLayer<'a> {
    /// Geometry and quantisation.
    pub op: &'a Add,
    /// The tables of both summands, where they have one; little-endian words.
    pub tables: [Option<&'a [u8; ADD_TABLE_LEN]>; 2],
}

impl<'a> AddLayer<'a> {
    /// Finds the tables in the weights section; `None` when one lies outside.
    #[must_use]
    pub fn new(op: &'a Add, section: &'a [u8]) -> Option<Self> {
        let find = |start: u32| section.get(start as usize..).and_then(|rest| rest.first_chunk());
        let mut tables = [None; 2];
        for (slot, start) in tables.iter_mut().zip(op.tables) {
            if let Some(start) = start {
                *slot = Some(find(start)?);
            }
        }
        Some(Self { op, tables })
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
}
