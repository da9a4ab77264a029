//! Cycles of a Cortex-M4 from the rules of its technical reference manual (ARM DDI 0439), in three readings of what the
//! manual leaves open.

use serde::Serialize;

use super::instruction::{Instruction, Kind};

/// Low, nominal and high estimate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cycles {
    /// What the manual leaves open in the core's favour.
    pub low: u64,
    /// The likely reading.
    pub nominal: u64,
    /// What it leaves open at the core's cost.
    pub high: u64,
}

impl Cycles {
    /// Each reading's figure.
    #[must_use]
    pub fn each(figure: impl Fn(&Rules) -> u64) -> Self {
        Self::each_of(&RULES, figure)
    }

    /// Each reading's figure, of another model's readings: low, nominal, high.
    pub fn each_of<R>(readings: &[R; 3], figure: impl Fn(&R) -> u64) -> Self {
        let [low, nominal, high] = readings.each_ref().map(figure);
        Self { low, nominal, high }
    }

    /// The sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { low: self.low + other.low, nominal: self.nominal + other.nominal, high: self.high + other.high }
    }
}

/// A reading of the manual, in cycles where nothing else is said.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Wait of a load or store whose address the instruction before it calculated.
    address_wait: u64,
    /// Whether that holds for an address written back by a load or store too.
    written_back_waits: bool,
    /// Price of the third of three unaligned 32-bit instructions in a row.
    unaligned_code: u64,
    /// Refill after a taken branch.
    pub branch: u64,
    /// Refill after a jump to an address in a register or in memory.
    pub indirect: u64,
    /// Jump to an unaligned 32-bit instruction.
    pub unaligned_target: u64,
    divide: u64,
    /// Whether loads that write their address back overlap with other loads.
    write_back_overlaps: bool,
    /// Store to the sum of two registers, or that writes its address back.
    complex_store: u64,
    /// More for a load from the code.
    literal: u64,
    /// Whether a store to an unaligned address takes longer.
    pub unaligned_stores: bool,
    /// Whether IT after a 16-bit instruction takes no time.
    folded_if_then: bool,
}

/// Low, nominal, high.
const RULES: [Rules; 3] = [
    Rules {
        address_wait: 0,
        written_back_waits: false,
        unaligned_code: 0,
        branch: 1,
        indirect: 1,
        unaligned_target: 0,
        divide: 2,
        write_back_overlaps: true,
        complex_store: 1,
        literal: 0,
        unaligned_stores: false,
        folded_if_then: true,
    },
    Rules {
        address_wait: 1,
        written_back_waits: false,
        unaligned_code: 0,
        branch: 1,
        indirect: 2,
        unaligned_target: 1,
        divide: 7,
        write_back_overlaps: false,
        complex_store: 1,
        literal: 0,
        unaligned_stores: false,
        folded_if_then: true,
    },
    Rules {
        address_wait: 1,
        written_back_waits: true,
        unaligned_code: 1,
        branch: 3,
        indirect: 3,
        unaligned_target: 1,
        divide: 12,
        write_back_overlaps: false,
        complex_store: 2,
        literal: 1,
        unaligned_stores: true,
        folded_if_then: false,
    },
];

/// Cycles of VDIV and VSQRT.
const FLOAT_DIVIDE: u64 = 14;
/// Cycles of VMLA and its kin.
const FLOAT_MULTIPLY_ADD: u64 = 3;

impl Rules {
    /// Cycles of instructions that follow each other, from the first one's address on, after `before`. Refills and
    /// unaligned data are counted elsewhere.
    #[must_use]
    pub fn block(&self, start: u32, before: Option<&Instruction>, instructions: &[&Instruction]) -> u64 {
        let (mut cycles, mut address, mut unaligned) = (0, start, 0);
        let mut before = before;
        for &instruction in instructions {
            cycles += self.cost(instruction, before);
            unaligned = if instruction.width == 4 && address & 2 != 0 { unaligned + 1 } else { 0 };
            if unaligned == 3 {
                cycles += self.unaligned_code;
            }
            address += instruction.width;
            before = Some(instruction);
        }
        cycles
    }

    fn cost(&self, instruction: &Instruction, before: Option<&Instruction>) -> u64 {
        self.cost_by_kind(instruction, before) + before.map_or(0, |before| self.address_wait(instruction, before))
    }

    /// There is no forwarding from a result to an address.
    fn address_wait(&self, instruction: &Instruction, before: &Instruction) -> u64 {
        let calculated = match before.kind {
            Kind::Alu | Kind::Multiply | Kind::Divide => before.writes,
            _ if self.written_back_waits => before.written_back,
            _ => 0,
        };
        if calculated & instruction.address != 0 { self.address_wait } else { 0 }
    }

    fn cost_by_kind(&self, instruction: &Instruction, before: Option<&Instruction>) -> u64 {
        match instruction.kind {
            Kind::Load => {
                let overlaps = before.is_some_and(|before| self.loads_overlap(before, instruction));
                let literal = if instruction.is_literal() { self.literal } else { 0 };
                if overlaps { 1 + literal } else { 2 + literal }
            }
            Kind::Store => {
                let hidden = before.is_some_and(|before| {
                    before.kind == Kind::Load
                        && (self.write_back_overlaps || before.written_back == 0)
                        && before.writes & instruction.address == 0
                });
                let complex = instruction.register_offset || instruction.written_back != 0;
                if complex && !hidden { self.complex_store } else { 1 }
            }
            Kind::Pair => 3,
            Kind::Several(words) => 1 + u64::from(words),
            Kind::Divide => self.divide,
            Kind::TableBranch => 2,
            Kind::IfThen(_) => {
                let folded = self.folded_if_then && before.is_some_and(|before| before.width == 2);
                u64::from(!folded)
            }
            Kind::FloatDivide => FLOAT_DIVIDE,
            Kind::FloatMultiplyAdd => FLOAT_MULTIPLY_ADD,
            Kind::Alu | Kind::Multiply | Kind::Branch | Kind::IndirectBranch => 1,
        }
    }

    /// A load right after another one whose result it does not need takes one cycle.
    fn loads_overlap(&self, before: &Instruction, load: &Instruction) -> bool {
        let written_back = before.written_back | load.written_back != 0;
        before.kind == Kind::Load
            && !before.loads_pc()
            && !load.loads_pc()
            && before.writes & load.address == 0
            && (self.literal == 0 || !before.is_literal())
            && (self.write_back_overlaps || !written_back)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nominal cycles of 16-bit instructions in a row.
    fn nominal(texts: &[&str]) -> u64 {
        let read: Vec<Instruction> = texts.iter().map(|text| Instruction::read(2, text).unwrap()).collect();
        Cycles::each(|rules| rules.block(0, None, &read.iter().collect::<Vec<_>>())).nominal
    }

    #[test]
    fn loads_and_stores_overlap_as_the_manual_says() {
        assert_eq!(nominal(&["nop", "ldr r0, [r2]", "ldr r4, [r3]", "nop"]), 1 + 2 + 1 + 1);
        assert_eq!(nominal(&["ldr r0, [r2]", "ldr r4, [r0]"]), 2 + 2);
        assert_eq!(nominal(&["ldr r0, [r2], #4", "ldr r4, [r3]"]), 2 + 2);
        assert_eq!(nominal(&["ldr r0, [r1, r5]", "str r0, [r3, #20]"]), 2 + 1);
        assert_eq!(nominal(&["ldr r0, [r1, r5]", "ldr r6, [r2]", "ldr r7, [r3, #4]"]), 2 + 1 + 1);
        assert_eq!(nominal(&["ldrd r6, r7, [r2]", "ldr r0, [r2]"]), 3 + 2);
        assert_eq!(nominal(&["push {r0, r4, r6, r7}", "pop {r0, r4, r6, r7}"]), 5 + 5);
        assert_eq!(nominal(&["adds r2, r2, r5", "ldr r0, [r2]"]), 1 + 3);
        assert_eq!(nominal(&["cmp r5, #1", "it eq", "ldr r0, [r2]"]), 1 + 2);
        assert_eq!(nominal(&["smlad r0, r1, r2, r3", "ssat r0, #8, r1"]), 2);
    }

    #[test]
    fn the_readings_are_in_order() {
        let read = ["add r0, r0, #1", "ldr r1, [r0], #4", "str r1, [r0, r2]", "udiv r1, r1, r2", "it eq"];
        let read: Vec<Instruction> = read.iter().map(|text| Instruction::read(4, text).unwrap()).collect();
        let cycles = Cycles::each(|rules| rules.block(2, None, &read.iter().collect::<Vec<_>>()));
        // 1 + 2 + 1 + 2 + 1; a wait and a longer division; and another wait, a slow store, unaligned code.
        assert_eq!(cycles, Cycles { low: 7, nominal: 13, high: 21 });
    }
}
