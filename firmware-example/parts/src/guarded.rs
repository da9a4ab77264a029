//! A clock of a board that has a watchdog.

use no_std_device::link::{Reset, Unit};
use no_std_device::{Clock, START_UNFED, WORK_UNFED};

/// A clock, with what feeds the board's watchdog and why the board started.
#[derive(Debug)]
pub struct Guarded<K, F> {
    /// Counts.
    pub clock: K,
    /// Feeds the watchdog.
    pub feed: F,
    /// Why the board started.
    pub reset: Reset,
}

/// Whether a watchdog's time, in microseconds, is at least twice as long as each of these times, in microseconds: of erasing a sector,
/// of waiting for a host, of a start with slots of so many times 256 KiB, and of work; `cycles` is what an instruction takes at most on a
/// core of so many `hertz`.
#[must_use]
pub const fn has_margin(longest: u32, [erasing, waiting]: [u32; 2], slots: u32, (cycles, hertz): (u32, u32)) -> bool {
    let second = hertz as u64 / cycles as u64;
    let (start, work) = (slots as u64 * START_UNFED as u64, WORK_UNFED as u64);
    let half = longest as u64 / 2;
    erasing as u64 <= half
        && waiting as u64 <= half
        && start * 1_000_000 <= half * second
        && work * 1_000_000 <= half * second
}

impl<K: Clock, F: Fn()> Clock for Guarded<K, F> {
    const UNIT: Unit = K::UNIT;
    const HZ: u32 = K::HZ;

    fn now(&self) -> u64 {
        self.clock.now()
    }

    fn stack_used(&self) -> u32 {
        self.clock.stack_used()
    }

    fn idle(&self) {
        self.clock.idle();
    }

    fn feed(&self) {
        (self.feed)();
    }

    fn reset(&self) -> Reset {
        self.reset
    }
}
