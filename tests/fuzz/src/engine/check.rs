//! What any bytes may do to the engine: give a named error, or a run with the oracle's bytes on every kernel set.
//!
//! Blobs and arenas lie in memory of exactly their length, so that a sanitiser finds the first byte beyond.

use std::num::NonZeroU16;

use fastrand::Rng;
use host_kernels::{Isa, Prepared};
use no_std_infer::format::{ALIGN, Signed, arena_len};
use no_std_infer::kernels::{Armv6m, Armv7em, Armv7m, Armv81m, Generic, Kernel, KernelSet, Kernels};
use no_std_infer::{Error, Interpreter, Model, Step};

/// Largest arena that models are run in.
const ARENA_MAX: usize = 1 << 18;
/// What the oracle finds.
const DIFFERS: &str = "a kernel set gives other bytes than the oracle";

/// What became of a blob.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// It is none.
    Refused(Error),
    /// It was parsed; to run it would take too long.
    Parsed,
    /// Every kernel set gave the oracle's bytes.
    Ran,
}

/// Parses a blob, and runs it where that takes at most so many operations: each kernel set as `rng` chooses, whole, an
/// operator a step, or some rows a step; and the kernels for some vector instructions of this machine.
///
/// # Panics
/// When a kernel set gives other bytes than the oracle or writes what it may not, or the engine panics.
pub fn check(blob: &[u8], operations: u64, rng: &mut Rng) -> Outcome {
    let blob = &*exact(blob);
    let needed = KernelSet::needed_by(blob);
    // Whatever it says of bytes that nobody has checked: it must not read beyond them.
    std::hint::black_box(Signed::find(blob));
    let model = match Model::parse(blob) {
        Ok(model) => model,
        Err(why) => return Outcome::Refused(why),
    };
    model.labels().for_each(drop);
    assert_eq!(model.arena_len(), arena_len(blob), "firmware reserves what parsing proves");
    let kernels = model.ops().filter_map(|op| Kernel::of(&op.to_record()));
    assert_eq!(kernels.fold(KernelSet::NONE, KernelSet::with), needed, "firmware links what parsing asks for");
    if model.arena_len() > ARENA_MAX || work(&model) > operations {
        return Outcome::Parsed;
    }
    let input: Vec<i8> = (0..model.info().input.tensor.len()).map(|_| rng.i8(..)).collect();
    let expected = oracle::outputs(&model, &input);
    let mut memory = Memory { arena: vec![0; model.arena_len()], before: vec![0; model.arena_len()] };
    for run in [run::<Generic>, run::<Armv81m>, run::<Armv7em>, run::<Armv7m>, run::<Armv6m>] {
        run(model, &input, &expected, &mut memory, rng);
    }
    let isa = *rng.choice(&Isa::available()).expect("every machine has portable kernels");
    let mut outputs = expected.iter();
    Prepared::with(&model, isa).runner().run_profiled(&input, |_, output| {
        assert!(outputs.next().is_some_and(|expected| expected == output), "{DIFFERS}");
    });
    Outcome::Ran
}

/// Operations of a run, roughly.
pub(super) fn work(model: &Model<'_>) -> u64 {
    model.cost().products.saturating_add(model.cost().bytes)
}

/// A copy that ends where its memory does, at a multiple of 16.
fn exact(blob: &[u8]) -> Box<[u8]> {
    let copy: Box<[u8]> = blob.into();
    assert!((copy.as_ptr() as usize).is_multiple_of(ALIGN), "the allocator's memory begins at multiples of 16");
    copy
}

/// Of a model's arena length.
struct Memory {
    arena: Vec<i8>,
    /// What the arena should hold but for what the operator may write that runs.
    before: Vec<i8>,
}

/// Runs a model in an arena that holds anything, and compares each operator's output and all that it must leave alone.
fn run<K: Kernels>(model: Model<'_>, input: &[i8], expected: &[Vec<i8>], memory: &mut Memory, rng: &mut Rng) {
    let Memory { arena, before } = memory;
    let poison = rng.i8(..);
    arena.iter_mut().zip(0_i32..).for_each(|(byte, index)| *byte = (index as i8).wrapping_mul(89) ^ poison);
    let mut interpreter = Interpreter::with_kernels::<K>(model, arena)
        .expect("the arena has the length asked for, and the allocator's memory begins at multiples of 16");
    interpreter.input_mut().copy_from_slice(input);
    if rng.u8(..4) == 0 {
        let mut outputs = expected.iter();
        interpreter.run_profiled(|_, output| {
            assert!(outputs.next().is_some_and(|expected| expected == output), "{DIFFERS}");
        });
        assert!(outputs.next().is_none(), "every operator runs");
        return;
    }
    before.copy_from_slice(interpreter.arena());
    let rows = NonZeroU16::new(rng.u16(..4));
    for ((index, op), expected) in model.ops().enumerate().zip(expected) {
        loop {
            let step = if let Some(rows) = rows { interpreter.step_rows(rows) } else { interpreter.step() };
            let Some(Step { operator, complete }) = step else { panic!("operator {index} does not run") };
            assert_eq!(operator, index, "operators run in order");
            if complete {
                break;
            }
        }
        let (arena, scratch) = (interpreter.arena(), op.scratch_offset() as usize);
        assert!(arena[op.output().range()] == *expected, "{DIFFERS}");
        for allowed in [op.output().range(), scratch..scratch + op.scratch_len() as usize] {
            before[allowed.clone()].copy_from_slice(&arena[allowed]);
        }
        assert!(*before == arena, "operator {index} writes outside its output and its scratch");
    }
    assert!(interpreter.step().is_none(), "nothing runs after the last operator");
}
