//! Runs short sequences of instructions whose cycles follow from the rules by hand, each as a region of its own, and ends
//! QEMU: what the host's model of cycles is tested with.
#![no_std]
#![no_main]

use core::arch::global_asm;

use cortex_m_rt::entry;
use mps2::exit;
// The assembly calls its functions that mark a region.
use rig as _;

// The cycles are the nominal ones, to which the call of `region_ends` adds one. r1, r2 and r3 point into a buffer, r5 is 0.
// No sequence begins at an address that is no multiple of 4, so that none pays for its own alignment.
global_asm!(
    ".syntax unified",
    ".macro sequence",
    "bl region_ends",
    ".balign 4",
    "bl region_begins",
    ".endm",
    ".text",
    ".balign 4",
    ".global sequences",
    ".type sequences, %function",
    ".thumb_func",
    "sequences:",
    "push {{r4, r5, r6, r7, r11, lr}}",
    "mov r1, r0",
    "mov r2, r0",
    "mov r3, r0",
    "movs r5, #0",
    "nop",
    "bl region_begins",
    // 0: nothing but the call.
    "sequence",
    // 1: 1 + 2 + 1 + 1, for a load right after a load overlaps.
    "nop",
    "ldr r0, [r2]",
    "ldr r4, [r3]",
    "nop",
    "sequence",
    // 2: 1 + 2 + 1 + 1.
    "nop",
    "ldr r0, [r1, r5]",
    "str r0, [r3, #20]",
    "nop",
    "sequence",
    // 3: 1 + 2 + 1 + 1.
    "nop",
    "ldr r0, [r1, r5]",
    "str r4, [r3, r5]",
    "nop",
    "sequence",
    // 4: 1 + 2 + 1 + 1 + 1.
    "nop",
    "ldr r0, [r1, r5]",
    "ldr r6, [r2]",
    "ldr r7, [r3, #4]",
    "nop",
    "sequence",
    // 5: 1 + 3 + 1.
    "nop",
    "ldrd r6, r7, [r2]",
    "nop",
    "sequence",
    // 6: 1 + 4 + 1.
    "nop",
    "ldm r2, {{r0, r4, r6}}",
    "nop",
    "sequence",
    // 7: 1 + 2 + 1 for two halfwords + 1.
    "nop",
    "ldr r0, [r2, #2]",
    "nop",
    "sequence",
    // 8: 1 + 2 + 2 for byte, halfword, byte + 1.
    "nop",
    "ldr r0, [r2, #1]",
    "nop",
    "sequence",
    // 9: 1 + 2 + 1 for two bytes + 1.
    "nop",
    "ldrh r0, [r2, #1]",
    "nop",
    "sequence",
    // 10: 1 + 1 + 100 turns of 1 + 1 + 1, less the refill of the last one.
    "movs r0, #100",
    "nop",
    "0: subs r0, r0, #1",
    "bne 0b",
    "sequence",
    // 11: 1 + 1 + 1 for the address + 2 + 1.
    "nop",
    "adds r2, r2, r5",
    "ldr r0, [r2]",
    "nop",
    "sequence",
    // 12: 5 + 5.
    "push {{r0, r4, r6, r7}}",
    "pop {{r0, r4, r6, r7}}",
    "sequence",
    // 13: 1 + 0 for the folded IT + 1 for the load that is skipped + 1.
    "cmp r5, #1",
    "it eq",
    "ldreq r0, [r2]",
    "nop",
    "sequence",
    // 14: 1 + 1 for the call, 1 + 2 for the return.
    "bl 1f",
    "sequence",
    // 15: 1 + 3 + 1 + 1: stores do not overlap with LDRD, multiplications take one cycle.
    "smlad r0, r4, r6, r7",
    "strd r6, r7, [r2]",
    "smmulr r0, r4, r6",
    "ssat r0, #8, r0",
    "bl region_ends",
    "pop {{r4, r5, r6, r7, r11, pc}}",
    ".balign 4",
    "1: bx lr",
);

unsafe extern "C" {
    /// All sequences, in a buffer of at least 24 bytes.
    fn sequences(buffer: *mut u32);
}

#[entry]
fn main() -> ! {
    let mut buffer = [0; 8];
    // SAFETY: the buffer is long enough, and the function keeps the registers that it must.
    unsafe { sequences(buffer.as_mut_ptr()) };
    exit(true)
}
