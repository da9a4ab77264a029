//! Verifies the signature of the blob that QEMU's loader put into memory, prints what that costs, and ends QEMU.
#![no_std]
#![no_main]

use core::fmt::Write;

use cortex_m_rt::entry;
use mps2::{Mps2, exit};
use no_std_device::{Clock, verify};
use no_std_infer::format::Signed;

#[entry]
fn main() -> ! {
    let Mps2 { uarts: (mut console, ..), clock, psram, .. } = Mps2::start();
    let Some(signed) = Signed::find(psram.into_blob()) else { exit(false) };
    let bytes: usize = signed.message.iter().map(|part| part.len()).sum();
    let before = clock.stack_used();
    let start = clock.now();
    let outcome = verify(&signed, &|| ());
    let instructions = clock.now() - start;
    let stack = clock.stack_used() - before;
    let verdict = if outcome.is_ok() { "valid" } else { "invalid" };
    let _ = writeln!(console, "{verdict}: {bytes} bytes, {instructions} instructions, {stack} bytes of stack");
    exit(true)
}
