//! Any bytes with magic, version, length and checksum repaired: a named error, or a run that gives the oracle's bytes.
#![no_main]

use hostile::{check, repair};
use libfuzzer_sys::fuzz_target;
use no_std_infer::format::{ALIGN, HEADER_LEN};

/// Largest number of operations that are run.
const OPERATIONS: u64 = 300_000;

fuzz_target!(|bytes: &[u8]| {
    let mut memory = vec![0; bytes.len() + ALIGN];
    let start = memory.as_ptr().align_offset(ALIGN);
    let blob = &mut memory[start..start + bytes.len()];
    blob.copy_from_slice(bytes);
    if blob.len() >= HEADER_LEN {
        repair(blob);
    }
    check(blob, OPERATIONS);
});
