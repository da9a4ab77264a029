//! Runs the damaged blobs that QEMU's loader put into memory of its board `virt`, prints digests of what became of them, and ends
//! QEMU. The host's side is `tests/tests/mutants.rs`.
#![no_std]
#![no_main]

use core::arch::global_asm;
use core::fmt::{self, Write};

use no_std_infer::Arena;
use no_std_infer::kernels::NATIVE_NAME;
use rig::mutants::{MEMORY_LEN, run};
use static_cell::ConstStaticCell;

/// Where QEMU's loader puts the blobs, and how many bytes it may put there.
const BLOBS: (usize, usize) = (0x8100_0000, 16 << 20);
/// The first serial port's register for a byte to be sent.
const SERIAL: *mut u8 = 0x1000_0000 as *mut u8;
/// The register that ends QEMU.
const END: *mut u32 = 0x0010_0000 as *mut u32;
const PASSED: u32 = 0x5555;
const FAILED: u32 = 0x1_3333;

// Sets the stack and clears what has to be 0.
global_asm!(
    ".section .start, \"ax\"",
    ".global start",
    "start:",
    "la sp, stack_end",
    "la t0, bss_start",
    "la t1, bss_end",
    "0: bgeu t0, t1, 1f",
    "sw zero, 0(t0)",
    "addi t0, t0, 4",
    "j 0b",
    "1: call begin",
);

/// The console.
struct Serial;

impl Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: the register is there, and takes any byte.
        text.bytes().for_each(|byte| unsafe { SERIAL.write_volatile(byte) });
        Ok(())
    }
}

// SAFETY: no other function has this name.
#[unsafe(no_mangle)]
extern "C" fn begin() -> ! {
    static MEMORY: ConstStaticCell<Arena<MEMORY_LEN>> = ConstStaticCell::new(Arena::new());
    // SAFETY: QEMU has initialised this memory, and nothing else is linked there.
    let blobs = unsafe { core::slice::from_raw_parts(BLOBS.0 as *const u8, BLOBS.1) };
    let done = run(blobs, MEMORY.take(), &mut Serial);
    let _ = writeln!(Serial, "with {NATIVE_NAME}");
    end(if done.is_ok() { PASSED } else { FAILED })
}

/// Ends QEMU.
fn end(how: u32) -> ! {
    // SAFETY: the register is there, and takes either word.
    unsafe { END.write_volatile(how) };
    loop {
        core::hint::spin_loop();
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    end(FAILED)
}
