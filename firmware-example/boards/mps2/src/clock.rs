//! The boards' clock, and how far the stack has reached.

use core::hint::black_box;
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::peripheral::{SYST, syst::SystClkSource};
use cortex_m_rt::exception;
use no_std_device::Clock;
use no_std_device::link::{Reset, Unit};

use crate::board::BOARD;
use crate::uart::sleep_until_a_byte_arrives;
use crate::watchdog;

/// The clock's MHz. `-icount shift=0` lets an instruction take a nanosecond.
const CLOCK: u64 = BOARD.clock;
/// Instructions of so many [`TICKS`]: the smallest whole numbers, of which the second is a power of two on each board, so that to
/// convert a time takes as long whatever the time.
const INSTRUCTIONS: u64 = 1000 / common_divisor(1000, CLOCK);
const TICKS: u64 = CLOCK / common_divisor(1000, CLOCK);
const _: () = assert!(TICKS.is_power_of_two());
/// SysTick has 24 bits.
const TICKS_PER_WRAP: u32 = 1 << 24;
static WRAPS: AtomicU32 = AtomicU32::new(0);

/// What cortex-m-rt's `paint-stack` writes to the stack at reset.
const PAINT: u32 = 0xCCCC_CCCC;

unsafe extern "C" {
    /// Upper end of the stack; from the linker.
    static _stack_start: u32;
    /// Lower end of the stack's reserve; from the linker.
    static _stack_end: u32;
}

/// The greatest, by Euclid.
const fn common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

/// The clock: SysTick, which it owns; and why the board started.
#[derive(Debug)]
pub struct Ticks(Reset);

impl Ticks {
    pub(crate) fn start(mut clock: SYST, reset: Reset) -> Self {
        clock.set_clock_source(SystClkSource::Core);
        clock.set_reload(TICKS_PER_WRAP - 1);
        clock.clear_current();
        clock.enable_interrupt();
        clock.enable_counter();
        Self(reset)
    }
}

/// A moment, or the time between two, as the clock counts it: to read the clock takes few instructions, to convert it many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count(u64);

impl Count {
    /// No time.
    pub const ZERO: Self = Self(0);

    /// Instructions of this time.
    #[must_use]
    pub fn instructions(self) -> u64 {
        self.0 * INSTRUCTIONS / TICKS
    }

    /// The time that has gone by since `start`.
    #[must_use]
    pub fn since(self, start: Self) -> Self {
        Self(self.0.wrapping_sub(start.0))
    }
}

impl Ticks {
    /// The time since the clock was started.
    #[must_use]
    pub fn ticks(&self) -> Count {
        loop {
            let wraps = WRAPS.load(Ordering::SeqCst);
            let ticks = TICKS_PER_WRAP - 1 - SYST::get_current();
            if WRAPS.load(Ordering::SeqCst) == wraps {
                return Count(u64::from(wraps) * u64::from(TICKS_PER_WRAP) + u64::from(ticks));
            }
        }
    }

    /// The same when the clock has just ticked, for which it waits: a time that begins then is measured to within a tick.
    #[must_use]
    pub fn next_tick(&self) -> Count {
        let before = SYST::get_current();
        while SYST::get_current() == before {}
        // Opaque, so that no arithmetic is left for later, when it would be measured.
        black_box(self.ticks())
    }
}

impl Clock for Ticks {
    const UNIT: Unit = Unit::Instructions;
    const HZ: u32 = 1_000_000_000;

    #[inline(never)]
    fn now(&self) -> u64 {
        self.ticks().instructions()
    }

    fn stack_used(&self) -> u32 {
        let (low, high) = (&raw const _stack_end, &raw const _stack_start);
        let words = (high as usize - low as usize) / size_of::<u32>();
        // SAFETY: every word of the reserve is RAM that nothing but the stack uses; reading is volatile because the
        // compiler does not know of the paint.
        let painted = (0..words).take_while(|&word| unsafe { ptr::read_volatile(low.add(word)) } == PAINT).count();
        ((words - painted) * size_of::<u32>()) as u32
    }

    fn idle(&self) {
        sleep_until_a_byte_arrives();
        watchdog::begin_again();
    }

    fn feed(&self) {
        watchdog::feed();
    }

    fn reset(&self) -> Reset {
        self.0
    }
}

// Nothing else writes the number, and a Cortex-M0+ can add to it in no other way.
#[exception]
fn SysTick() {
    WRAPS.store(WRAPS.load(Ordering::SeqCst) + 1, Ordering::SeqCst);
}
