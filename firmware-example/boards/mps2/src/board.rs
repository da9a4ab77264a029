//! Arm's MPS2 board as QEMU has it: with image AN386 (Cortex-M4F), and with AN385 (Cortex-M3) and AN500 (Cortex-M7), whose
//! memory and devices are the same but for the PSRAM's address; with AN505 (Cortex-M33), and the MPS3 with AN547
//! (Cortex-M55), whose devices are the same at other addresses.

use core::convert::Infallible;
use core::fmt;
use core::hint::black_box;
use core::panic::PanicInfo;
use core::ptr;
use core::slice;
use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::Peripherals;
use cortex_m::asm;
use cortex_m::interrupt::{self, InterruptNumber};
use cortex_m::peripheral::{CPUID, NVIC, SYST, syst::SystClkSource};
use cortex_m_rt::{ExceptionFrame, exception};
use cortex_m_semihosting::debug;
use embedded_io::{ErrorType, Read, ReadReady, Write};
use no_std_device::Clock;
use no_std_device::link::Unit;
use no_std_infer::format::{HEADER_LEN, total_len};

/// What differs from board to board, AN500 apart.
struct Board {
    /// Address of the first UART.
    uarts: usize,
    /// Number of the first UART's interrupt for a byte that it received.
    receive_interrupt: u16,
    /// The clock's MHz.
    clock: u64,
    /// Address of the PSRAM, or the DDR.
    psram: usize,
}

const BOARD: Board = if cfg!(an547) {
    Board { uarts: 0x4930_3000, receive_interrupt: 34, clock: 32, psram: 0x6100_0000 }
} else if cfg!(an505) {
    Board { uarts: 0x5020_0000, receive_interrupt: 33, clock: 20, psram: 0x8000_0000 }
} else {
    Board { uarts: 0x4000_4000, receive_interrupt: 0, clock: 25, psram: 0x2100_0000 }
};

/// The first of the boards' CMSDK APB UARTs; the others follow.
const UARTS: usize = BOARD.uarts;
const UART_LEN: usize = 0x1000;
const DATA: usize = 0x0;
const STATE: usize = 0x4;
const CONTROL: usize = 0x8;
const INTERRUPT: usize = 0xC;
const BAUD_DIVIDER: usize = 0x10;
const SEND_FULL: u32 = 1;
const RECEIVE_FULL: u32 = 2;
const SEND_AND_RECEIVE: u32 = 3;
const RECEIVE_INTERRUPT: u32 = 8;
const SMALLEST_DIVIDER: u32 = 16;

/// The clock's MHz. `-icount shift=0` lets an instruction take a nanosecond.
const CLOCK: u64 = BOARD.clock;
/// SysTick has 24 bits.
const TICKS_PER_WRAP: u32 = 1 << 24;
static WRAPS: AtomicU32 = AtomicU32::new(0);

/// Where the PSRAM of AN500 is.
const AN500_PSRAM: usize = 0x6000_0000;
const CORTEX_M3: u32 = 0xC23;
const CORTEX_M7: u32 = 0xC27;
const CORTEX_M33: u32 = 0xD21;
const CORTEX_M55: u32 = 0xD22;
const PSRAM_LEN: usize = 16 << 20;

/// What cortex-m-rt's `paint-stack` writes to the stack at reset.
const PAINT: u32 = 0xCCCC_CCCC;

unsafe extern "C" {
    /// Upper end of the stack; from the linker.
    static _stack_start: u32;
    /// Lower end of the stack's reserve; from the linker.
    static _stack_end: u32;
}

/// What a board has; there is one of each.
#[derive(Debug)]
pub struct Mps2 {
    /// Three UARTs.
    pub uarts: (Uart<0>, Uart<1>, Uart<2>),
    /// The clock.
    pub clock: Ticks,
    /// Memory that the firmware's own data does not use.
    pub psram: Psram,
}

impl Mps2 {
    /// Starts UARTs and clock. To be called once; a second call ends QEMU.
    #[must_use]
    pub fn start() -> Self {
        let Some(peripherals) = Peripherals::take() else { exit(false) };
        let uarts = (Uart::start(), Uart::start(), Uart::start());
        Self { uarts, clock: Ticks::start(peripherals.SYST), psram: Psram(()) }
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

/// The interrupt for a byte that a UART received.
#[derive(Clone, Copy)]
struct ReceiveInterrupt(u16);

// SAFETY: the boards have more interrupt lines than three UARTs use, and these are theirs.
unsafe impl InterruptNumber for ReceiveInterrupt {
    fn number(self) -> u16 {
        BOARD.receive_interrupt + 2 * self.0
    }
}

/// The UART of this number: a link, a console, or a camera's line.
#[derive(Debug)]
pub struct Uart<const NUMBER: usize>(());

impl<const NUMBER: usize> Uart<NUMBER> {
    fn start() -> Self {
        set(NUMBER, BAUD_DIVIDER, SMALLEST_DIVIDER);
        set(NUMBER, CONTROL, SEND_AND_RECEIVE | RECEIVE_INTERRUPT);
        Self(())
    }
}

fn holds_a_byte(uart: usize) -> bool {
    get(uart, STATE) & RECEIVE_FULL != 0
}

fn get(uart: usize, register: usize) -> u32 {
    // SAFETY: the address is a register of one of the board's UARTs, which only this module uses.
    unsafe { ptr::read_volatile((UARTS + uart * UART_LEN + register) as *const u32) }
}

fn set(uart: usize, register: usize, value: u32) {
    // SAFETY: the address is a register of one of the board's UARTs, which only this module uses; none of them affects
    // memory.
    unsafe { ptr::write_volatile((UARTS + uart * UART_LEN + register) as *mut u32, value) }
}

impl<const NUMBER: usize> ErrorType for Uart<NUMBER> {
    type Error = Infallible;
}

impl<const NUMBER: usize> ReadReady for Uart<NUMBER> {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(holds_a_byte(NUMBER))
    }
}

impl<const NUMBER: usize> Read for Uart<NUMBER> {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
        let mut len = 0;
        for slot in bytes {
            while len == 0 && !holds_a_byte(NUMBER) {}
            if !holds_a_byte(NUMBER) {
                break;
            }
            *slot = get(NUMBER, DATA) as u8;
            len += 1;
        }
        Ok(len)
    }
}

impl<const NUMBER: usize> Write for Uart<NUMBER> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        for &byte in bytes {
            while get(NUMBER, STATE) & SEND_FULL != 0 {}
            set(NUMBER, DATA, u32::from(byte));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl<const NUMBER: usize> fmt::Write for Uart<NUMBER> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write_all(text.as_bytes()).map_err(|_| fmt::Error)
    }
}

/// The clock: SysTick, which it owns.
#[derive(Debug)]
pub struct Ticks(());

impl Ticks {
    fn start(mut clock: SYST) -> Self {
        clock.set_clock_source(SystClkSource::Core);
        clock.set_reload(TICKS_PER_WRAP - 1);
        clock.clear_current();
        clock.enable_interrupt();
        clock.enable_counter();
        Self(())
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
        self.0 * 1000 / CLOCK
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
        interrupt::free(|_| sleep_until_a_byte_arrives());
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

/// To be called with interrupts masked: then the one that wakes the core is not taken, and one that comes before the core
/// sleeps wakes it all the same. Another interrupt wakes it too.
fn sleep_until_a_byte_arrives() {
    let uarts = [0, 1, 2];
    for uart in uarts {
        set(uart, INTERRUPT, RECEIVE_FULL);
        NVIC::unpend(ReceiveInterrupt(uart as u16));
        // SAFETY: the interrupt is never taken, since it is enabled only here, where interrupts are masked.
        unsafe { NVIC::unmask(ReceiveInterrupt(uart as u16)) };
    }
    if !uarts.into_iter().any(holds_a_byte) {
        asm::wfi();
    }
    uarts.into_iter().for_each(|uart| NVIC::mask(ReceiveInterrupt(uart as u16)));
}

/// Ends QEMU, with exit status 0 or 1.
pub fn exit(success: bool) -> ! {
    loop {
        debug::exit(if success { debug::EXIT_SUCCESS } else { debug::EXIT_FAILURE });
    }
}

// Nothing else writes the number, and a Cortex-M0+ can add to it in no other way.
#[exception]
fn SysTick() {
    WRAPS.store(WRAPS.load(Ordering::SeqCst) + 1, Ordering::SeqCst);
}

// `unsafe` because cortex-m-rt asks for it; nothing here relies on the processor's state.
#[exception]
unsafe fn HardFault(_: &ExceptionFrame) -> ! {
    exit(false)
}

/// Says nothing: text would pull the formatting of every panic message into flash.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    exit(false)
}
