//! The core's cycles, and how far its stack has reached.

use core::cell::Cell;
use core::ptr;

use cortex_m::peripheral::{DCB, DWT};
use no_std_device::Clock;
use no_std_device::link::Unit;

use crate::wrapping::extend;

/// What cortex-m-rt's `paint-stack` writes to the stack at reset.
const PAINT: u32 = 0xCCCC_CCCC;

unsafe extern "C" {
    /// Upper end of the stack; from the linker.
    static _stack_start: u32;
    /// Lower end of what the stack may use; from the linker.
    static _stack_end: u32;
}

/// Counts the cycles of a core that runs at `HERTZ`, with the unit for watchpoints and tracing (DWT). Its counter has 32
/// bits, so that [`Clock::now`] must be asked at least once in 2^32 cycles.
#[derive(Debug)]
pub struct CycleClock<const HERTZ: u32> {
    last: Cell<u64>,
}

impl<const HERTZ: u32> CycleClock<HERTZ> {
    /// Starts the counter.
    #[must_use]
    pub fn start(mut dcb: DCB, mut dwt: DWT) -> Self {
        dcb.enable_trace();
        DWT::unlock();
        dwt.set_cycle_count(0);
        dwt.enable_cycle_counter();
        Self { last: Cell::new(0) }
    }
}

impl<const HERTZ: u32> Clock for CycleClock<HERTZ> {
    const UNIT: Unit = Unit::Cycles;
    const HZ: u32 = HERTZ;

    fn now(&self) -> u64 {
        let now = extend(self.last.get(), DWT::cycle_count());
        self.last.set(now);
        now
    }

    fn stack_used(&self) -> u32 {
        let (low, high) = (&raw const _stack_end, &raw const _stack_start);
        let words = (high as usize - low as usize) / size_of::<u32>();
        // SAFETY: every word between the symbols is RAM that nothing but the stack uses; reading is volatile because the
        // compiler does not know of the paint.
        let painted = (0..words).take_while(|&word| unsafe { ptr::read_volatile(low.add(word)) } == PAINT).count();
        ((words - painted) * size_of::<u32>()) as u32
    }
}
