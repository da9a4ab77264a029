//! Marks what a host counts: it finds both functions by name. They change no register but the link register.

use core::arch::global_asm;

// Two bodies, so that no linker folds them into one.
global_asm!(
    ".syntax unified",
    ".section .text.region, \"ax\"",
    ".balign 4",
    ".global region_begins",
    ".type region_begins, %function",
    ".thumb_func",
    "region_begins:",
    "nop",
    "bx lr",
    ".size region_begins, . - region_begins",
    ".balign 4",
    ".global region_ends",
    ".type region_ends, %function",
    ".thumb_func",
    "region_ends:",
    "nop",
    "nop",
    "bx lr",
    ".size region_ends, . - region_ends",
    ".text",
);

// SAFETY: both do nothing but return.
unsafe extern "C" {
    /// What runs from here on is counted.
    pub safe fn region_begins();
    /// What ran up to here was counted, the call of this function included.
    pub safe fn region_ends();
}
