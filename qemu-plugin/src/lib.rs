//! A plugin for QEMU that counts what firmware does between two functions: how often each block of instructions ran and
//! was jumped to, how its memory accesses were aligned, and what caches of flash would have missed.
//!
//! The report has one fact a line, numbers in decimal, addresses in hexadecimal:
//! `region INSTRUCTION_MISSES DATA_MISSES`, followed by what belongs to it: `block START END RUNS JUMPS_IN JUMPS_OUT` and
//! `access INSTRUCTION REMAINDER_0 REMAINDER_1 REMAINDER_2 REMAINDER_3`. Then `instruction ADDRESS WIDTH TEXT` for each
//! instruction, and `end`.

mod api;
mod counts;
mod options;

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::sync::{Mutex, MutexGuard, PoisonError};

use api::{Block, Id, Translation};
use counts::Counts;
use options::Options;

static COUNTS: Mutex<Option<Counts>> = Mutex::new(None);

fn counts() -> MutexGuard<'static, Option<Counts>> {
    COUNTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where QEMU starts a plugin; 0 is success.
///
/// # Safety
/// For QEMU to call: `arguments` points to `count` strings.
// SAFETY: QEMU looks for this name, and the signature is the one that it has for it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    id: Id,
    _information: *const c_void,
    count: c_int,
    arguments: *const *const c_char,
) -> c_int {
    // SAFETY: QEMU's promise is the caller's.
    let arguments = unsafe { api::arguments(count, arguments) };
    match Options::read(&arguments) {
        Ok(options) => {
            *counts() = Some(Counts::new(options));
            api::register(id, translated, ended);
            0
        }
        Err(error) => {
            eprintln!("the counting plugin cannot start: {error}");
            1
        }
    }
}

extern "C" fn translated(_: Id, block: *mut Block) {
    // SAFETY: QEMU is calling with this block.
    let translation = unsafe { Translation::new(block) };
    let mut counts = counts();
    let Some(counts) = counts.as_mut() else { return };
    let (mut start, mut end) = (None, 0);
    for instruction in translation.instructions() {
        let (address, width) = (instruction.address(), instruction.width());
        let index = counts.instruction(address, width, || instruction.text());
        instruction.on_access(index, accessed);
        start = start.or(Some(address));
        end = address + width;
    }
    if let Some(start) = start {
        translation.on_run(counts.block(start, end), run);
    }
}

extern "C" fn run(_: c_uint, index: *mut c_void) {
    if let Some(counts) = counts().as_mut() {
        // Writing to memory does not fail.
        let _ = counts.run(index.addr());
    }
}

extern "C" fn accessed(_: c_uint, info: u32, address: u64, index: *mut c_void) {
    if let Some(counts) = counts().as_mut() {
        counts.access(index.addr(), address as u32, api::access_len(info));
    }
}

extern "C" fn ended(_: Id, _: *mut c_void) {
    if let Some(Err(error)) = counts().as_mut().map(Counts::write) {
        eprintln!("the counting plugin cannot write its report: {error}");
    }
}
