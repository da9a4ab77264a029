//! Buffers in AXI SRAM, which the start-up code does not clear.

use core::ptr;

use grounded::uninit::GroundedCell;
use static_cell::ConstStaticCell;

use crate::camera::Buffer;

/// Longest request: a camera's frame of 320x240 RGB565 fits.
pub const REQUEST_LEN: usize = 160 * 1024;

/// What lies there.
pub struct Memory {
    /// Two frames.
    pub frames: [Buffer; 2],
    /// One request of the link.
    pub request: heapless::Vec<u8, REQUEST_LEN>,
}

#[unsafe(link_section = ".axi")]
static MEMORY: GroundedCell<Memory> = GroundedCell::uninit();
/// Who takes this owns the memory. It lies where the start-up code clears variables.
static OWNERSHIP: ConstStaticCell<()> = ConstStaticCell::new(());

/// Clears the buffers where they lie; before the caches are switched on, so that none of these zeros waits in one. To be
/// called once: a second call panics.
pub fn clear() -> &'static mut Memory {
    OWNERSHIP.take();
    let memory = MEMORY.get();
    // SAFETY: nothing else refers to the memory, as nobody gets here a second time; it is the size of `Memory`, aligned for
    // it, zero bytes are a value of the frames' integers, and the request is written before anything reads it.
    unsafe {
        ptr::write_bytes(memory, 0, 1);
        ptr::write(&raw mut (*memory).request, heapless::Vec::new());
        &mut *memory
    }
}
