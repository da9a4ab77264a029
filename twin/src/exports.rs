//! The functions of the WebAssembly module. One thread calls them, and none of them calls the page.
//!
//! For all of them: `twin` came from [`twin`], and memory that is handed over lies where the page has grown the module's memory,
//! in the length that is said. This file's functions are the only code that makes slices of addresses.
#![allow(unsafe_code)]

use core::panic::PanicInfo;
use core::slice::{from_raw_parts, from_raw_parts_mut};

use heapless::Vec;
use no_std_device::Average;
use static_cell::{ConstStaticCell, StaticCell};

use crate::twin::{CLASSES, Twin};

static AVERAGES: ConstStaticCell<Vec<Average, CLASSES>> = ConstStaticCell::new(Vec::new());
static TWIN: StaticCell<Twin<'static>> = StaticCell::new();

/// What all others take; null from the second call on.
#[unsafe(no_mangle)]
pub extern "C" fn twin() -> Option<&'static mut Twin<'static>> {
    AVERAGES.try_take().and_then(|averages| TWIN.try_init_with(|| Twin::new(averages)))
}

/// Takes a blob and an arena; see [`Twin::load`].
///
/// # Safety
/// Both are 16-byte aligned, and while this model is loaded nobody writes to the blob, and to the arena only between two calls.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn load(
    twin: &mut Twin<'static>,
    blob: *const u8,
    blob_len: usize,
    arena: *mut i8,
    arena_len: usize,
) -> bool {
    // SAFETY: memory that the page has grown is initialised, is never given back, and is in nobody else's hands, as the contract
    // says; the arena's bytes are reached through this slice alone while a function runs.
    let (blob, arena) = unsafe { (from_raw_parts(blob, blob_len), from_raw_parts_mut(arena, arena_len)) };
    twin.load(blob, arena)
}

/// Runs the golden vector; see [`Twin::self_test`].
#[unsafe(no_mangle)]
pub extern "C" fn self_test(twin: &mut Twin<'static>) -> bool {
    twin.self_test()
}

/// Address of the network's input; see [`Twin::input_mut`].
#[unsafe(no_mangle)]
pub extern "C" fn input(twin: &mut Twin<'static>) -> *mut i8 {
    twin.input_mut().as_mut_ptr()
}

/// Makes the input of a picture; see [`Twin::frame`].
///
/// # Safety
/// `rgb` has three bytes for each pixel.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn frame(twin: &mut Twin<'static>, rgb: *const u8, width: u32, height: u32) -> bool {
    let len = (width as usize).saturating_mul(height as usize).saturating_mul(3);
    // SAFETY: the picture has this length, as the contract says, and lies in no blob or arena; nobody writes to it meanwhile.
    let rgb = unsafe { from_raw_parts(rgb, len) };
    twin.frame(rgb, width, height)
}

/// Runs the next operator; its index, −1 when all have run.
#[unsafe(no_mangle)]
pub extern "C" fn step(twin: &mut Twin<'static>) -> i32 {
    twin.step().map_or(-1, |operator| operator as i32)
}

/// The class in bits 0 to 15, its probability in 256ths in bits 16 to 23, and in bit 24 whether it is sure; −1 without a model.
#[unsafe(no_mangle)]
pub extern "C" fn decide(twin: &mut Twin<'static>) -> i32 {
    let Some(decision) = twin.decide() else { return -1 };
    decision.class as i32 & 0xFFFF | i32::from(decision.probability) << 16 | i32::from(decision.sure) << 24
}

/// A class's probability in 256ths; see [`Twin::probability`].
#[unsafe(no_mangle)]
pub extern "C" fn probability(twin: &Twin<'static>, class: usize) -> u8 {
    twin.probability(class)
}

/// Forgets what was averaged; see [`Twin::restart`].
#[unsafe(no_mangle)]
pub extern "C" fn restart(twin: &mut Twin<'static>) {
    twin.restart();
}

/// Address of the message, in UTF-8; see [`Twin::message`].
#[unsafe(no_mangle)]
pub extern "C" fn message(twin: &Twin<'static>) -> *const u8 {
    twin.message().as_ptr()
}

/// Bytes of the message.
#[unsafe(no_mangle)]
pub extern "C" fn message_len(twin: &Twin<'static>) -> usize {
    twin.message().len()
}

/// Ends the call with an exception that the page shows.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
