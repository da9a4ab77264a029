//! The core's data cache, which does not see what DMA and the flash controller write.

use cortex_m::Peripherals;

/// Lets the core read the memory itself again. Nothing may have been written there through the cache since the caches were
/// switched on: such bytes would be written over what is in memory.
pub fn forget(start: *const u8, len: usize) {
    // SAFETY: the registers that are used start an operation on one line of the cache by a single write, so that others who
    // use them are not disturbed.
    let mut control = unsafe { Peripherals::steal() }.SCB;
    control.clean_invalidate_dcache_by_address(start as usize, len);
}
