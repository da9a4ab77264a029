//! Hashes the blob that QEMU's loader put into memory, verifies its signature, prints what both cost, and ends QEMU.
#![no_std]
#![no_main]

use core::fmt::Write;

use cortex_m_rt::entry;
use mps2::{Mps2, exit};
use no_std_device::link::Identity;
use no_std_device::{Clock, credentials, verify};

#[entry]
fn main() -> ! {
    let Mps2 { uarts: (mut console, ..), clock, psram, .. } = Mps2::start();
    let blob = psram.into_blob();
    let before = clock.stack_used();
    let start = clock.now();
    let len = core::hint::black_box(Identity::of(blob, &|| ())).len;
    let (hashed, stack_hashed) = (clock.now() - start, clock.stack_used() - before);
    let start = clock.now();
    let Some(signed) = credentials(blob, &|| ()) else { exit(false) };
    let outcome = verify(len, &signed);
    let (verified, stack) = (clock.now() - start, clock.stack_used() - before);
    let verdict = if outcome.is_ok() { "valid" } else { "invalid" };
    let _ = writeln!(
        console,
        "{verdict}: {verified} instructions, {stack} bytes of stack; SHA-256 of all {len} bytes: {hashed} instructions, \
         {stack_hashed} bytes of stack"
    );
    exit(true)
}
