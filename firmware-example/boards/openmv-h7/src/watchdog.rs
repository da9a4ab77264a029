//! The independent watchdog (IWDG1), which an oscillator of its own drives.

use core::cell::RefCell;

use embassy_stm32::Peri;
use embassy_stm32::pac;
use embassy_stm32::peripherals::IWDG1;
use embassy_stm32::wdg::IndependentWatchdog;
use no_std_device::link::Reset;
use parts::has_margin;

use crate::setup::{HERTZ, PATIENCE};

/// Longest time without feeding, in microseconds; its oscillator may be a twentieth faster.
pub const LONGEST: u32 = 10_000_000;
/// To erase a sector of 128 KiB, with the least parallelism (data sheet DS12110).
const ERASING: u32 = 4_000_000;
/// Slots have twice 256 KiB. Cycles of an instruction are taken for this many, not measured: code and weights come through caches.
const _: () = assert!(has_margin(LONGEST / 20 * 19, [ERASING, PATIENCE / (HERTZ / 1_000_000)], 2, (4, HERTZ)));

/// Says why the board started and starts the watchdog, which stands still while a debugger halts the core. It cannot be stopped any
/// more. Gives what feeds it.
pub fn start(watchdog: Peri<'static, IWDG1>) -> (Reset, impl Fn()) {
    let reset = if pac::RCC.rsr().read().iwdg1rstf() { Reset::Watchdog } else { Reset::Other };
    // The reasons would add up from reset to reset.
    pac::RCC.rsr().modify(|reasons| reasons.set_rmvf(true));
    pac::DBGMCU.apb4fzr1().modify(|freezes| freezes.set_iwdg1(true));
    let mut watchdog = IndependentWatchdog::new(watchdog, LONGEST);
    watchdog.unleash();
    let watchdog = RefCell::new(watchdog);
    let feed = move || {
        if let Ok(mut watchdog) = watchdog.try_borrow_mut() {
            watchdog.pet();
        }
    };
    (reset, feed)
}
