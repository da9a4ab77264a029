//! Runs a model on the vector instructions of this machine, to the bytes that every kernel set gives.
//!
//! A model is [prepared](Prepared) once: the weights of its convolutions, depthwise convolutions and fully connected layers
//! are put into the order in which vectors are read, whatever their layout in the blob. The blob's plan of the arena stays as it
//! is, and every operator that has no kernel here runs the engine's.
//!
//! A kernel first copies its whole input, with the border around it, into memory of its own, so that its output may lie
//! anywhere in the arena. The loops are generic over the instructions of a processor, or of WebAssembly in a browser, which has no
//! standard library.
#![no_std]
// Elsewhere nothing has instructions for the loops yet.
#![cfg_attr(not(any(target_arch = "x86_64", target_feature = "simd128")), allow(dead_code, unused_variables))]

extern crate alloc;
// It knows what the processor has.
#[cfg(target_arch = "x86_64")]
extern crate std;

mod add;
mod conv;
mod depthwise;
mod image;
mod instructions;
mod isa;
mod patches;
mod scaling;
#[cfg(target_feature = "simd128")]
mod wasm;
#[cfg(target_arch = "x86_64")]
mod x86;

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use no_std_infer::format::{ALIGN, Op};
use no_std_infer::{Interpreter, Model};

use instructions::Vectors;
pub use isa::Isa;

/// A model whose constants lie as the vectors of a processor read them.
pub struct Prepared<'m> {
    model: Model<'m>,
    isa: Isa,
    steps: Vec<(Step, Range<usize>)>,
    scratch: usize,
}

/// How an operator runs.
enum Step {
    /// By a kernel of this crate.
    Vectors(Box<dyn Vectors>),
    /// By the engine's.
    Engine(Op),
}

impl<'m> Prepared<'m> {
    /// Prepares a model for the widest vectors of this machine.
    #[must_use]
    pub fn new(model: &Model<'m>) -> Self {
        Self::with(model, Isa::best())
    }

    /// Prepares a model for some of the instructions that this machine has; for others where it has not.
    #[must_use]
    pub fn with(model: &Model<'m>, isa: Isa) -> Self {
        let step = |op: Op| {
            let output = op.output().range();
            let vectors = isa.prepare(&op, model.weights());
            (vectors.map_or(Step::Engine(op), Step::Vectors), output)
        };
        let steps: Vec<_> = model.ops().map(step).collect();
        let scratch = steps.iter().map(|(step, _)| if let Step::Vectors(step) = step { step.scratch() } else { 0 });
        Self { model: *model, isa, scratch: scratch.max().unwrap_or(0), steps }
    }

    /// The instructions that it runs on.
    #[must_use]
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// For each operator, whether a kernel of this crate runs it.
    pub fn vectorized(&self) -> impl Iterator<Item = bool> {
        self.steps.iter().map(|(step, _)| matches!(step, Step::Vectors(_)))
    }

    /// Bytes of scratch that operators need beside the arena.
    #[must_use]
    pub fn scratch_len(&self) -> usize {
        self.scratch
    }

    /// Runs one operator on an arena of the model's length, aligned as the engine asks for, that holds what the operators before it
    /// have made. `scratch` holds [`scratch_len`](Self::scratch_len) bytes, and nothing that is kept.
    ///
    /// # Panics
    /// When there is no such operator, or the arena or the scratch is too short.
    pub fn step(&self, operator: usize, arena: &mut [i8], scratch: &mut [u8]) {
        match &self.steps[operator].0 {
            Step::Vectors(step) => step.run(arena, scratch),
            Step::Engine(op) => self.model.linked().run(op, arena, self.model.weights()),
        }
    }

    /// How many operators there are.
    #[must_use]
    pub fn operators(&self) -> usize {
        self.steps.len()
    }

    /// Memory to run it in, for one thread at a time.
    #[must_use]
    pub fn runner(&self) -> Runner<'_, 'm> {
        let arena = vec![0; self.model.arena_len() + ALIGN];
        let start = arena.as_ptr().align_offset(ALIGN);
        Runner { prepared: self, arena, start, scratch: vec![0; self.scratch] }
    }
}

/// A prepared model with memory of its own.
pub struct Runner<'p, 'm> {
    prepared: &'p Prepared<'m>,
    arena: Vec<i8>,
    start: usize,
    scratch: Vec<u8>,
}

impl<'m> Runner<'_, 'm> {
    /// Runs the network on an input. What it gives is the interpreter after a run: its outputs are to be read.
    ///
    /// # Panics
    /// When the input has not the model's length.
    pub fn run(&mut self, input: &[i8]) -> Interpreter<'m, '_> {
        self.run_profiled(input, |_, _| {})
    }

    /// The same, and calls `hook(index, output bytes)` after each operator.
    ///
    /// # Panics
    /// When the input has not the model's length.
    pub fn run_profiled(&mut self, input: &[i8], mut hook: impl FnMut(usize, &[i8])) -> Interpreter<'m, '_> {
        let Self { prepared, arena, start, scratch } = self;
        let model = prepared.model;
        let arena = &mut arena[*start..][..model.arena_len()];
        arena[model.info().input.tensor.range()].copy_from_slice(input);
        for (index, (_, output)) in prepared.steps.iter().enumerate() {
            prepared.step(index, arena, scratch);
            hook(index, &arena[output.clone()]);
        }
        Interpreter::new(model, arena).expect("the arena has the model's length and alignment")
    }
}
