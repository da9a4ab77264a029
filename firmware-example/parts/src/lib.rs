//! What boards with embassy have in common: a clock, a look at the stack, a link over USB, when a capture has failed, and what happens
//! in a panic.
#![no_std]

pub mod capture;
mod clock;
mod guarded;
mod link;
pub mod wrapping;

use core::panic::PanicInfo;

pub use clock::CycleClock;
pub use guarded::{Guarded, has_margin};
pub use link::{Pipes, UsbLink, serve_usb};

/// Stops at an undefined instruction, which a debugger shows with the stack that led there; nothing is formatted.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    cortex_m::asm::udf()
}
