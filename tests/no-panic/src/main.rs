//! What firmware calls, and a panic handler that cannot be linked: the binary links exactly when the optimiser has proved
//! that none of it can panic.
//!
//! It is linked, never run. The arguments of its functions come from nowhere, so nothing is known about blobs, pictures,
//! frames of the link and flash. The build script finds each function by its `extern "C" fn` and has it linked.
#![no_std]
#![no_main]

mod device;
mod engine;

use core::panic::PanicInfo;

unsafe extern "C" {
    /// Defined nowhere.
    safe fn a_panic_path_is_left() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    a_panic_path_is_left()
}
