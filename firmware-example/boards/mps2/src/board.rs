//! Arm's MPS2 board as QEMU has it: with image AN386 (Cortex-M4F), and with AN385 (Cortex-M3) and AN500 (Cortex-M7), whose
//! memory and devices are the same but for the PSRAM's address; with AN505 (Cortex-M33), and the MPS3 with AN547
//! (Cortex-M55), whose devices are the same at other addresses.

use core::panic::PanicInfo;
use core::slice;

use cortex_m::Peripherals;
use cortex_m::peripheral::{CPUID, SYST};
use cortex_m_rt::{ExceptionFrame, exception};
use cortex_m_semihosting::debug;
use no_std_infer::format::{HEADER_LEN, total_len};

use crate::clock::Ticks;
use crate::uart::{self, Uart};
use crate::watchdog::Watchdog;

/// What differs from board to board, AN500 apart.
pub(crate) struct Board {
    /// Address of the first UART.
    pub(crate) uarts: usize,
    /// Number of the first UART's interrupt for a byte that it received.
    pub(crate) receive_interrupt: u16,
    /// The clock's MHz.
    pub(crate) clock: u64,
    /// Address of the PSRAM, or the DDR.
    pub(crate) psram: usize,
    /// Address of the watchdog, and its counts in a second.
    pub(crate) watchdog: (usize, u32),
}

/// The board that this is built for.
pub(crate) const BOARD: Board = if cfg!(an547) {
    let watchdog = (0x4802_E000, 32_768);
    Board { uarts: 0x4930_3000, receive_interrupt: 33, clock: 32, psram: 0x6100_0000, watchdog }
} else if cfg!(an505) {
    let watchdog = (0x5002_E000, 32_768);
    Board { uarts: 0x5020_0000, receive_interrupt: 33, clock: 20, psram: 0x8000_0000, watchdog }
} else {
    let watchdog = (0x4000_8000, 25_000_000);
    Board { uarts: 0x4000_4000, receive_interrupt: 0, clock: 25, psram: 0x2100_0000, watchdog }
};

/// Where the PSRAM of AN500 is.
const AN500_PSRAM: usize = 0x6000_0000;
const CORTEX_M3: u32 = 0xC23;
const CORTEX_M7: u32 = 0xC27;
const CORTEX_M33: u32 = 0xD21;
const CORTEX_M55: u32 = 0xD22;
const PSRAM_LEN: usize = 16 << 20;

/// What a board has; there is one of each.
pub struct Mps2 {
    /// Three UARTs.
    pub uarts: (Uart<0>, Uart<1>, Uart<2>),
    /// The clock.
    pub clock: Ticks,
    /// Memory that the firmware's own data does not use.
    pub psram: Psram,
    /// The watchdog, which is not started.
    pub watchdog: Watchdog,
}

impl Mps2 {
    /// Starts UARTs and clock. To be called once; a second call ends QEMU.
    #[must_use]
    pub fn start() -> Self {
        let Some(peripherals) = Peripherals::take() else { exit(false) };
        Self::start_with(peripherals.SYST)
    }

    /// The same where something else, such as RTIC, has taken the core's peripherals: there is one timer.
    #[must_use]
    pub fn start_with(timer: SYST) -> Self {
        let (watchdog, reset) = Watchdog::new();
        Self { uarts: uart::start(), clock: Ticks::start(timer, reset), psram: Psram(()), watchdog }
    }
}

/// Name of the board.
#[must_use]
pub fn name() -> &'static str {
    match part_number() {
        CORTEX_M3 => "mps2-an385 (Cortex-M3)",
        CORTEX_M7 => "mps2-an500 (Cortex-M7)",
        CORTEX_M33 => "mps2-an505 (Cortex-M33)",
        CORTEX_M55 => "mps3-an547 (Cortex-M55)",
        _ => "mps2-an386 (Cortex-M4F)",
    }
}

/// Part number of the core: `0xC24` is a Cortex-M4.
#[must_use]
pub fn part_number() -> u32 {
    // SAFETY: every core has this register, and nothing writes it.
    let id = unsafe { (*CPUID::PTR).base.read() };
    (id >> 4) & 0xFFF
}

/// The PSRAM, or DDR: QEMU's loader can put something there.
#[derive(Debug)]
pub struct Psram(());

impl Psram {
    /// All of it, with what QEMU's loader put there.
    #[must_use]
    pub fn into_bytes(self) -> &'static mut [u8] {
        let start = if part_number() == CORTEX_M7 { AN500_PSRAM } else { BOARD.psram };
        // SAFETY: this is memory that neither the linker nor a device uses, and whoever calls this owned the only
        // `Psram` there is, so nothing else refers to it; any bytes are a `u8` slice.
        unsafe { slice::from_raw_parts_mut(start as *mut u8, PSRAM_LEN) }
    }

    /// The blob that QEMU's loader put at the start, as long as its header says but not longer than the PSRAM; nothing but a
    /// header where there is no blob.
    #[must_use]
    pub fn into_blob(self) -> &'static [u8] {
        let psram = self.into_bytes();
        let len = total_len(psram).clamp(HEADER_LEN, PSRAM_LEN);
        &psram[..len]
    }
}

/// Ends QEMU, with exit status 0 or 1.
pub fn exit(success: bool) -> ! {
    loop {
        debug::exit(if success { debug::EXIT_SUCCESS } else { debug::EXIT_FAILURE });
    }
}

#[exception]
// SAFETY: it relies on nothing of the processor's state; cortex-m-rt asks for `unsafe`.
unsafe fn HardFault(_: &ExceptionFrame) -> ! {
    exit(false)
}

/// Says nothing: text would pull the formatting of every panic message into flash.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    exit(false)
}
