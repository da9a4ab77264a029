//! What any bytes may do to the engine: give a named error, or a run with the oracle's bytes on every kernel set.
//!
//! Blobs and arenas lie in memory of exactly their length, so that a sanitiser finds the first byte beyond.

mod mutate;

use no_std_infer::format::{MAGIC, Op, Signed, VERSION, arena_len, blob_crc};
use no_std_infer::kernels::{Armv6m, Armv7em, Armv7m, Generic, Kernel, KernelSet, Kernels};
use no_std_infer::{Error, Interpreter, Model};

pub use mutate::mutant;

/// Largest arena that models are run in.
const ARENA_MAX: usize = 1 << 18;

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

/// Parses a blob, and runs it where that takes at most so many operations.
///
/// # Panics
/// When a kernel set gives other bytes than the oracle, or the engine panics.
pub fn check(blob: &[u8], operations: u64) -> Outcome {
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
    let work: u64 = model.ops().map(|op| op.macs() + elements(&op)).sum();
    if model.arena_len() > ARENA_MAX || work > operations {
        return Outcome::Parsed;
    }
    let input: Vec<i8> = (0..model.info().input.tensor.len()).map(|index| (index * 37) as i8).collect();
    let expected = oracle::outputs(&model, &input);
    for outputs in [outputs::<Generic>, outputs::<Armv7em>, outputs::<Armv7m>, outputs::<Armv6m>] {
        assert!(outputs(model, &input) == expected, "a kernel set gives other bytes than the oracle");
    }
    Outcome::Ran
}

/// Makes magic, version, length and checksum right; `blob` has a header.
pub fn repair(blob: &mut [u8]) {
    let len = blob.len() as u32;
    blob[..4].copy_from_slice(&MAGIC);
    blob[4..6].copy_from_slice(&VERSION.to_le_bytes());
    blob[8..12].copy_from_slice(&len.to_le_bytes());
    let crc = blob_crc(blob);
    blob[12..16].copy_from_slice(&crc.to_le_bytes());
}

/// Elements that an operator touches which multiplies nothing.
fn elements(op: &Op) -> u64 {
    let taps = match op {
        Op::MaxPool2d(pool) | Op::AveragePool2d(pool) => pool.window.taps(),
        Op::Mean(mean) => mean.count() as usize,
        Op::ReduceMax(op) => op.count(),
        _ => 1,
    };
    op.output().len() as u64 * taps as u64
}

/// Every operator's output, in order, in an arena that holds anything.
fn outputs<K: Kernels>(model: Model<'_>, input: &[i8]) -> Vec<Vec<i8>> {
    let mut arena: Vec<i8> = (0..model.arena_len()).map(|index| (index * 89 + 7) as i8).collect();
    let mut interpreter = Interpreter::with_kernels::<K>(model, &mut arena)
        .expect("the arena has the length asked for, and the allocator's memory begins at multiples of 16");
    interpreter.input_mut().copy_from_slice(input);
    let mut outputs = Vec::new();
    interpreter.run_profiled(|_, output| outputs.push(output.to_vec()));
    outputs
}
