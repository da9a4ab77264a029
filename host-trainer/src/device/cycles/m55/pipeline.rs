//! A pipeline that issues instructions in order.

use super::instruction::{Instruction, Unit};

/// A reading of what is not published of the core, in cycles.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// More that a branch takes which is taken.
    pub refill: u64,
    /// Later that results of vectors can be used than SLOTHY says.
    later: u64,
    /// Each element of a gather or scatter, in halves of a cycle.
    element_halves: u64,
}

impl Reading {
    /// Low, nominal, high.
    pub const ALL: [Self; 3] = [
        Self { refill: 1, later: 0, element_halves: 1 },
        Self { refill: 2, later: 0, element_halves: 2 },
        Self { refill: 3, later: 1, element_halves: 4 },
    ];
}

/// When everything can be used next.
pub struct Pipeline<'r> {
    reading: &'r Reading,
    now: u64,
    /// By register: see [`Instruction::reads`].
    ready: [u64; 24],
    /// By unit.
    free: [u64; 3],
}

impl<'r> Pipeline<'r> {
    /// Everything is free at once.
    pub fn new(reading: &'r Reading) -> Self {
        Self { reading, now: 0, ready: [0; 24], free: [0; 3] }
    }

    /// The cycle in which the next instruction issues at the earliest.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Issues instructions one after the other.
    pub fn run<'i>(&mut self, instructions: impl IntoIterator<Item = &'i Instruction>) {
        for instruction in instructions {
            self.issue(instruction);
        }
    }

    fn issue(&mut self, instruction: &Instruction) {
        // The end of a low-overhead loop goes unnoticed from its second turn on.
        if instruction.issue == 0 {
            return;
        }
        let ready = |registers: u32| registers_of(registers).map(|register| self.ready[register]).max().unwrap_or(0);
        // A sum can be handed on to the next instruction that adds to it.
        let mut at = self.now.max(ready(instruction.reads)).max(ready(instruction.adds_to).saturating_sub(1));
        if let Some(unit) = self.unit(instruction) {
            at = at.max(self.free[unit]);
            self.free[unit] = at + self.occupied(instruction);
        }
        let later = if instruction.unit.is_some() { self.reading.later } else { 0 };
        for register in registers_of(instruction.writes) {
            self.ready[register] = at + instruction.latency + later;
        }
        self.now = at + instruction.issue;
    }

    fn unit(&self, instruction: &Instruction) -> Option<usize> {
        let (arithmetic, multiplier) = (Unit::Arithmetic as usize, Unit::Multiplier as usize);
        Some(match instruction.unit? {
            Unit::Either if self.free[multiplier] < self.free[arithmetic] => multiplier,
            Unit::Either => arithmetic,
            unit => unit as usize,
        })
    }

    fn occupied(&self, instruction: &Instruction) -> u64 {
        match instruction.elements {
            0 => instruction.occupies,
            elements => (elements * self.reading.element_halves).div_ceil(2),
        }
    }
}

fn registers_of(set: u32) -> impl Iterator<Item = usize> {
    (0..24).filter(move |register| set >> register & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cycles of another turn of a loop.
    fn turn(texts: &[&str]) -> [u64; 3] {
        let read: Vec<Instruction> = texts.iter().map(|text| Instruction::read(text).unwrap()).collect();
        Reading::ALL.each_ref().map(|reading| {
            let mut pipeline = Pipeline::new(reading);
            pipeline.run(&read);
            pipeline.run(&read);
            let start = pipeline.now();
            pipeline.run(&read);
            pipeline.now() - start
        })
    }

    #[test]
    fn units_overlap_and_results_are_waited_for() {
        // Vector instructions of one unit are two cycles apart, of different units one.
        assert_eq!(turn(&["vldrb.u8 q0, [r0]", "vldrb.u8 q1, [r1]"]), [4; 3]);
        assert_eq!(turn(&["vldrb.u8 q0, [r0]", "vmladav.s8 r4, q2, q3"]), [2; 3]);
        // What is loaded can be used in the next cycle, what is summed after three.
        assert_eq!(turn(&["vldrb.u8 q0, [r0]", "vadd.i8 q0, q0, q1"])[1], 2);
        assert_eq!(turn(&["vmladav.s8 r4, q2, q3", "add r5, r5, r4"])[1], 4);
        // A sum is handed on one cycle earlier.
        assert_eq!(turn(&["vmladava.s8 r4, q2, q3"])[1], 2);
        // Gathers take a cycle an element.
        assert_eq!(turn(&["vldrb.u32 q0, [r0, q1]"]), [2, 4, 8]);
        assert_eq!(turn(&["ldm r0!, {r1, r2, r3, r4}", "le lr, #-8"])[1], 3);
        assert_eq!(turn(&["add r0, r0, r1", "le lr, #-8"])[1], 1);
    }
}
