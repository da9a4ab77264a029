//! Runs the damaged blobs that QEMU's loader put into memory, prints digests of what became of them, and ends QEMU. The host's
//! side is `tests/tests/mutants.rs`.
#![no_std]
#![no_main]

use core::fmt::Write;

use cortex_m_rt::entry;
use mps2::{Mps2, exit};
use no_std_infer::Arena;
use no_std_infer::kernels::NATIVE_NAME;
use rig::mutants::{MEMORY_LEN, run};
use static_cell::ConstStaticCell;

#[entry]
fn main() -> ! {
    static MEMORY: ConstStaticCell<Arena<MEMORY_LEN>> = ConstStaticCell::new(Arena::new());
    let Mps2 { uarts: (mut console, ..), psram, .. } = Mps2::start();
    let done = run(psram.into_bytes(), MEMORY.take(), &mut console);
    let _ = writeln!(console, "with {NATIVE_NAME}");
    exit(done.is_ok())
}
