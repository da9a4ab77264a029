//! Arm's MPS2 board with image AN386 (Cortex-M4F), as QEMU has it.

use core::panic::PanicInfo;
use core::ptr;
use core::slice;
use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::asm;
use cortex_m::interrupt::{self, InterruptNumber};
use cortex_m::peripheral::{NVIC, SYST, syst::SystClkSource};
use cortex_m_rt::{ExceptionFrame, exception};
use cortex_m_semihosting::debug;
use no_std_infer::format::{HEADER_LEN, total_len};
use no_std_infer::link::Unit;

use crate::Board;

/// UART 0, a CMSDK APB UART.
const UART: usize = 0x4000_4000;
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

/// The clock runs at 25 MHz, and `-icount shift=0` lets an instruction take a nanosecond.
const INSTRUCTIONS_PER_TICK: u64 = 40;
/// SysTick has 24 bits.
const TICKS_PER_WRAP: u32 = 1 << 24;
static WRAPS: AtomicU32 = AtomicU32::new(0);

/// The board's PSRAM, which nothing of the firmware uses: QEMU's loader can put a blob there.
const PSRAM: usize = 0x2100_0000;
const PSRAM_LEN: usize = 16 << 20;

/// What cortex-m-rt's `paint-stack` writes to the stack at reset.
const PAINT: u32 = 0xCCCC_CCCC;

unsafe extern "C" {
    /// Upper end of the stack; from the linker.
    static _stack_start: u32;
    /// Lower end of the stack's reserve; from the linker.
    static _stack_end: u32;
}

/// UART 0's interrupt for a received byte.
#[derive(Clone, Copy)]
struct ReceiveInterrupt;

// SAFETY: the board has more than one interrupt line, and this one is number 0.
unsafe impl InterruptNumber for ReceiveInterrupt {
    fn number(self) -> u16 {
        0
    }
}

/// The board; it owns UART 0 and SysTick.
pub struct Mps2(());

impl Mps2 {
    /// Starts UART and clock.
    #[must_use]
    pub fn start(mut clock: SYST) -> Self {
        clock.set_clock_source(SystClkSource::Core);
        clock.set_reload(TICKS_PER_WRAP - 1);
        clock.clear_current();
        clock.enable_interrupt();
        clock.enable_counter();
        write(BAUD_DIVIDER, SMALLEST_DIVIDER);
        write(CONTROL, SEND_AND_RECEIVE | RECEIVE_INTERRUPT);
        Self(())
    }
}

impl Board for Mps2 {
    const NAME: &'static str = "mps2-an386 (Cortex-M4F)";
    const UNIT: Unit = Unit::Instructions;

    fn receive(&mut self) -> u8 {
        while read(STATE) & RECEIVE_FULL == 0 {
            interrupt::free(|_| sleep_until_a_byte_arrives());
        }
        read(DATA) as u8
    }

    fn send(&mut self, byte: u8) {
        while read(STATE) & SEND_FULL != 0 {}
        write(DATA, u32::from(byte));
    }

    fn now(&self) -> u64 {
        loop {
            let wraps = WRAPS.load(Ordering::SeqCst);
            let ticks = TICKS_PER_WRAP - 1 - SYST::get_current();
            if WRAPS.load(Ordering::SeqCst) == wraps {
                return (u64::from(wraps) * u64::from(TICKS_PER_WRAP) + u64::from(ticks)) * INSTRUCTIONS_PER_TICK;
            }
        }
    }

    fn stack_used(&self) -> u32 {
        let (low, high) = (&raw const _stack_end, &raw const _stack_start);
        let words = (high as usize - low as usize) / size_of::<u32>();
        // SAFETY: every word of the reserve is RAM that nothing but the stack uses; reading is volatile because the
        // compiler does not know of the paint.
        let painted = (0..words).take_while(|&word| unsafe { ptr::read_volatile(low.add(word)) } == PAINT).count();
        ((words - painted) * size_of::<u32>()) as u32
    }
}

/// The PSRAM with what QEMU's loader put there.
#[must_use]
pub fn loaded() -> &'static [u8] {
    // SAFETY: the PSRAM is memory that nothing ever writes once the firmware runs, and any bytes are a `u8` slice.
    unsafe { slice::from_raw_parts(PSRAM as *const u8, PSRAM_LEN) }
}

/// The blob that QEMU's loader put at the start of the PSRAM, as long as its header says but not longer than the PSRAM;
/// nothing but a header where there is no blob.
#[must_use]
pub fn loaded_blob() -> &'static [u8] {
    let psram = loaded();
    let (header, _) = psram.split_at(HEADER_LEN);
    &psram[..total_len(header).clamp(HEADER_LEN, PSRAM_LEN)]
}

/// To be called with interrupts masked: then the one that wakes the core is not taken, and one that comes before the core
/// sleeps wakes it all the same. Another interrupt wakes it too.
fn sleep_until_a_byte_arrives() {
    write(INTERRUPT, RECEIVE_FULL);
    NVIC::unpend(ReceiveInterrupt);
    // SAFETY: the interrupt is never taken, since it is enabled only here.
    unsafe { NVIC::unmask(ReceiveInterrupt) };
    if read(STATE) & RECEIVE_FULL == 0 {
        asm::wfi();
    }
    NVIC::mask(ReceiveInterrupt);
}

fn read(register: usize) -> u32 {
    // SAFETY: the address is a register of UART 0, which only this module uses.
    unsafe { ptr::read_volatile((UART + register) as *const u32) }
}

fn write(register: usize, value: u32) {
    // SAFETY: the address is a register of UART 0, which only this module uses; none of them affects memory.
    unsafe { ptr::write_volatile((UART + register) as *mut u32, value) }
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
