//! Any bytes with magic, version, length and checksum repaired: a named error, or a run that gives the oracle's bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use no_std_infer::format::{ALIGN, HEADER_LEN, MAGIC, VERSION, blob_crc};
use no_std_infer::kernels::{Generic, Kernels};
use no_std_infer::{Interpreter, Model};

/// Largest arena and largest number of operations that are run; larger models are only parsed.
const ARENA_MAX: usize = 1 << 18;
const WORK_MAX: u64 = 300_000;

fuzz_target!(|bytes: &[u8]| {
    if bytes.len() < HEADER_LEN {
        let _ = Model::parse(bytes);
        return;
    }
    let mut memory = vec![0; bytes.len() + ALIGN];
    let start = memory.as_ptr().align_offset(ALIGN);
    let blob = &mut memory[start..start + bytes.len()];
    blob.copy_from_slice(bytes);
    repair(blob);
    let Ok(model) = Model::parse(blob) else { return };
    model.labels().for_each(drop);
    let work: u64 = model.ops().map(|op| op.macs() + windows(&op)).sum();
    if model.arena_len() <= ARENA_MAX && work <= WORK_MAX {
        let input: Vec<i8> = (0..model.info().input.tensor.len()).map(|index| (index * 37) as i8).collect();
        assert!(outputs::<Generic>(model, &input) == oracle::outputs(&model, &input));
    }
});

fn repair(blob: &mut [u8]) {
    let len = blob.len() as u32;
    blob[..4].copy_from_slice(&MAGIC);
    blob[4..6].copy_from_slice(&VERSION.to_le_bytes());
    blob[8..12].copy_from_slice(&len.to_le_bytes());
    let crc = blob_crc(blob);
    blob[12..16].copy_from_slice(&crc.to_le_bytes());
}

/// Elements that poolings and element-wise operators touch.
fn windows(op: &no_std_infer::format::Op) -> u64 {
    use no_std_infer::format::Op;
    let taps = match op {
        Op::MaxPool2d(pool) | Op::AveragePool2d(pool) => pool.window.taps(),
        _ => 1,
    };
    op.output().len() as u64 * taps as u64
}

fn outputs<K: Kernels>(model: Model<'_>, input: &[i8]) -> Vec<Vec<i8>> {
    let mut memory = vec![0_i8; model.arena_len() + ALIGN];
    let start = memory.as_ptr().align_offset(ALIGN);
    let mut interpreter =
        Interpreter::with_kernels::<K>(model, &mut memory[start..]).expect("the arena has the length asked for");
    interpreter.input_mut().copy_from_slice(input);
    let mut outputs = Vec::new();
    interpreter.run_profiled(|_, output| outputs.push(output.to_vec()));
    outputs
}
