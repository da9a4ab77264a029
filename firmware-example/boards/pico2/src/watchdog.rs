//! The RP2350's watchdog.

use core::cell::RefCell;

use embassy_rp::Peri;
use embassy_rp::peripherals::WATCHDOG;
use embassy_rp::watchdog::{ResetReason, Watchdog};
use embassy_time::Duration;
use no_std_device::link::Reset;
use parts::has_margin;

use crate::{HERTZ, PATIENCE};

/// Longest time without feeding, in microseconds.
pub const LONGEST: u32 = 16_000_000;
/// To erase a sector of 4 KiB, as the data sheets of such chips have it (W25Q32).
const ERASING: u32 = 400_000;
/// Slots have four times 256 KiB. Cycles of an instruction are taken for this many, not measured: code and weights come from serial flash
/// through a cache.
const _: () = assert!(has_margin(LONGEST, [ERASING, PATIENCE / (HERTZ / 1_000_000)], 4, (6, HERTZ)));

/// A register that keeps its value over the watchdog's resets, and not over others. The chip's own boot loader, which lets the
/// watchdog reset it as well, does not use it.
const SCRATCH: usize = 0;
/// What this firmware puts there.
const OURS: u32 = 0x6F75_7273;

/// Says why the board started and starts the watchdog, which stands still while a debugger halts a core. Gives what feeds it.
pub fn start(watchdog: Peri<'static, WATCHDOG>) -> (Reset, impl Fn()) {
    let mut watchdog = Watchdog::new(watchdog);
    let starved = watchdog.reset_reason() == Some(ResetReason::TimedOut) && watchdog.get_scratch(SCRATCH) == OURS;
    watchdog.set_scratch(SCRATCH, OURS);
    watchdog.pause_on_debug(true);
    watchdog.start(Duration::from_micros(LONGEST.into()));
    let watchdog = RefCell::new(watchdog);
    let feed = move || {
        if let Ok(mut watchdog) = watchdog.try_borrow_mut() {
            watchdog.feed(Duration::from_micros(LONGEST.into()));
        }
    };
    (if starved { Reset::Watchdog } else { Reset::Other }, feed)
}
