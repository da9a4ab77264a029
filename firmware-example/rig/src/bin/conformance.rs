//! Runs the cases that QEMU's loader put into memory with the target's own kernels, compares each operator's output with
//! what the host's oracle made, prints the first difference or how many cases passed with which kernels, and ends
//! QEMU. The host's side is `tests/tests/conformance.rs`.
//!
//! The memory holds the number of cases (u64), then at multiples of 16 one case after the other: its seed (u64), the
//! CRC-32 of all operators' outputs in order (u32), the input's length (u32), the blob, and at a multiple of 16 the input.
#![no_std]
#![no_main]

use core::fmt::Write;
use core::num::NonZeroU16;

use cortex_m_rt::entry;
use mps2::{Mps2, exit};
use no_std_infer::format::total_len;
use no_std_infer::kernels::NATIVE_NAME;
use no_std_infer::{Arena, CRC32, Interpreter, Model};
use rig::checked::{ARENA_MAX, run_checked};
use static_cell::ConstStaticCell;

/// Bytes before and after the arena that must stay as they are.
const GUARD: usize = 64;
const GUARD_BYTE: i8 = 0x5A;
const HEADER: usize = 16;

#[entry]
fn main() -> ! {
    static MEMORY: ConstStaticCell<Arena<{ ARENA_MAX + 2 * GUARD }>> = ConstStaticCell::new(Arena::new());
    let memory = MEMORY.take();
    let Mps2 { uarts: (mut console, ..), psram, .. } = Mps2::start();
    let (count, mut rest) = psram.into_bytes().split_at(HEADER);
    let count = number(count);
    for _ in 0..count {
        let (header, after) = rest.split_at(HEADER);
        let (crc, input_len) = (number(&header[8..12]) as u32, number(&header[12..]) as usize);
        let (blob, after) = after.split_at(total_len(after));
        let (input, after) = after.split_at(input_len.next_multiple_of(16));
        rest = after;
        let seed = number(&header[..8]);
        if let Err(why) = check(memory, seed, (blob, &input[..input_len]), crc) {
            let _ = writeln!(console, "seed {seed}: {why}");
            exit(false);
        }
    }
    let _ = writeln!(console, "passed {count} with {NATIVE_NAME}");
    exit(true)
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

fn check(memory: &mut [i8], seed: u64, (blob, input): (&[u8], &[u8]), expected: u32) -> Result<(), &'static str> {
    let model = Model::parse(blob).map_err(|_| "the device refuses the blob")?;
    let guarded = model.arena_len() + 2 * GUARD;
    let memory = memory.get_mut(..guarded).ok_or("the arena is too long")?;
    memory.fill(GUARD_BYTE);
    let arena = &mut memory[GUARD..guarded - GUARD];
    let mut interpreter = Interpreter::new(model, arena).map_err(|_| "the arena does not fit")?;
    for (slot, &byte) in interpreter.input_mut().iter_mut().zip(input) {
        *slot = byte as i8;
    }
    let mut digest = CRC32.digest();
    // Half of the cases take as few rows a step as there can be.
    let rows = if seed.is_multiple_of(2) { NonZeroU16::MAX } else { NonZeroU16::MIN };
    let kept =
        run_checked(&mut interpreter, rows, |output| output.iter().for_each(|&value| digest.update(&[value as u8])));
    let intact = |bytes: &[i8]| bytes.iter().all(|&byte| byte == GUARD_BYTE);
    if digest.finalize() != expected {
        Err("the bytes are not the oracle's")
    } else if !intact(&memory[..GUARD]) || !intact(&memory[guarded - GUARD..]) {
        Err("a byte outside the arena was overwritten")
    } else if !kept {
        Err("a byte outside an output and its scratch was overwritten")
    } else {
        Ok(())
    }
}
