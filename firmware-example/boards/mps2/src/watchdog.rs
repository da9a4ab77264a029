//! The boards' watchdog (CMSDK APB), which raises an interrupt that nothing masks when it was not fed.

use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::peripheral::SCB;
use cortex_m_rt::exception;
use no_std_device::link::Reset;
use no_std_device::{START_UNFED, WORK_UNFED};

use crate::board::BOARD;

/// Longest time without feeding, in milliseconds: the clock's interrupt wakes the core more often.
pub const LONGEST_MILLISECONDS: u32 = 2000;
// An instruction takes a nanosecond, and slots have four times 256 KiB.
const _: () = assert!(LONGEST_MILLISECONDS >= 2 * 4 * START_UNFED / 1_000_000 && START_UNFED >= WORK_UNFED);

const LOAD: usize = 0x0;
const VALUE: usize = 0x4;
const CONTROL: usize = 0x8;
const CLEAR: usize = 0xC;
/// The counter runs and raises its interrupt at zero; at zero once more it resets the board.
const INTERRUPT_AND_RESET: u32 = 3;
/// Its counts in the longest time.
const COUNTS: u32 = (BOARD.watchdog.1 as u64 * LONGEST_MILLISECONDS as u64 / 1000) as u32;

/// Memory that keeps its value over a reset.
#[unsafe(link_section = ".uninit.starved")]
static mut STARVED: MaybeUninit<u32> = MaybeUninit::uninit();
/// What is there after a reset by the watchdog.
const YES: u32 = 0x7374_6172;

/// Fewest counts that were left when the watchdog was fed.
static LEAST_LEFT: AtomicU32 = AtomicU32::new(COUNTS);

/// The watchdog, which stands still until it is started.
#[derive(Debug)]
pub struct Watchdog(());

impl Watchdog {
    /// Gives the watchdog, and why the board started. To be called once.
    pub(crate) fn new() -> (Self, Reset) {
        let starved = &raw mut STARVED;
        // SAFETY: the memory is there for this, every value is one of the integer's, and only this function and the interrupt,
        // which does not come before the watchdog is started, use it.
        let reset = unsafe {
            let found = starved.cast::<u32>().read_volatile();
            starved.cast::<u32>().write_volatile(0);
            if found == YES { Reset::Watchdog } else { Reset::Other }
        };
        (Self(()), reset)
    }

    /// Starts it: from now on it must be fed within [`LONGEST_MILLISECONDS`] each time, or it resets the board.
    pub fn start(self) {
        set(LOAD, COUNTS);
        set(CONTROL, INTERRUPT_AND_RESET);
    }
}

/// Notes for how long the watchdog was not fed, and lets the time begin again; without effect before it is started.
pub(crate) fn feed() {
    let left = get(VALUE);
    if left < LEAST_LEFT.load(Ordering::Relaxed) {
        LEAST_LEFT.store(left, Ordering::Relaxed);
    }
    begin_again();
}

/// Lets the time begin again after the application has slept, which is no work.
pub(crate) fn begin_again() {
    set(CLEAR, 1);
}

/// The longest time of work without feeding since the last call, in instructions of the emulated clock, to within a count.
#[must_use]
pub fn take_longest_unfed() -> u64 {
    let counts = COUNTS - LEAST_LEFT.load(Ordering::Relaxed);
    LEAST_LEFT.store(COUNTS, Ordering::Relaxed);
    u64::from(counts) * 1_000_000_000 / u64::from(BOARD.watchdog.1)
}

fn get(register: usize) -> u32 {
    // SAFETY: the address is a register of the board's watchdog, which only this module uses.
    unsafe { ptr::read_volatile((BOARD.watchdog.0 + register) as *const u32) }
}

fn set(register: usize, value: u32) {
    // SAFETY: the address is a register of the board's watchdog, which only this module uses; none of them affects memory.
    unsafe { ptr::write_volatile((BOARD.watchdog.0 + register) as *mut u32, value) }
}

#[exception]
// SAFETY: it relies on nothing of the processor's state; cortex-m-rt asks for `unsafe`.
unsafe fn NonMaskableInt() -> ! {
    // SAFETY: whatever the board was doing, it does not go on; nothing else uses this memory once the watchdog runs.
    unsafe { (&raw mut STARVED).cast::<u32>().write_volatile(YES) };
    SCB::sys_reset()
}
