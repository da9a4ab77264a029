//! The board: here one that QEMU emulates. Firmware for another board differs in this file, `memory.x` and
//! `.cargo/config.toml`.

use core::convert::Infallible;
use core::panic::PanicInfo;
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::Peripherals;
use cortex_m::peripheral::{SYST, syst::SystClkSource};
use cortex_m_rt::exception;
use cortex_m_semihosting::debug;
use embedded_io::{ErrorType, Read, ReadReady, Write};
use no_std_device::{Board, Camera, Clock, NoFlash, NoIndicator};
use no_std_infer::image::{Frame, PixelFormat};
use no_std_device::link::Unit;

/// The board's UARTs: the first is the console, the second the link to a host.
const CONSOLE: usize = 0x4000_4000;
const LINK: usize = 0x4000_5000;
const DATA: usize = 0x0;
const STATE: usize = 0x4;
const CONTROL: usize = 0x8;
const BAUD_DIVIDER: usize = 0x10;
const SEND_FULL: u32 = 1;
const RECEIVE_FULL: u32 = 2;
const SEND_AND_RECEIVE: u32 = 3;
const SMALLEST_DIVIDER: u32 = 16;

/// The clock's MHz; `-icount shift=0` lets an instruction take a nanosecond.
const CLOCK: u64 = 25;
/// The clock has 24 bits.
const TICKS_PER_WRAP: u32 = 1 << 24;
static WRAPS: AtomicU32 = AtomicU32::new(0);

/// Starts the board; gives its parts, and the console. A second call ends QEMU.
pub fn start() -> (Board<Picture, Uart, NoIndicator, NoFlash, Ticks>, Uart) {
    let Some(peripherals) = Peripherals::take() else { exit(false) };
    let board = Board {
        name: "{{project-name}} ({{machine}} in QEMU)",
        camera: Picture,
        link: Uart::start(LINK),
        indicator: NoIndicator,
        slots: [NoFlash, NoFlash],
        clock: Ticks::start(peripherals.SYST),
    };
    (board, Uart::start(CONSOLE))
}

/// A camera that always sees the same picture: 96x96 pixels of 16 bits, the upper byte first.
pub struct Picture;

impl Camera for Picture {
    fn frame(&mut self) -> Option<Frame<'_>> {
        Frame::new(PixelFormat::Rgb565Be, 96, 96, include_bytes!("frame.rgb565")).ok()
    }
}

/// A UART of the board.
pub struct Uart(usize);

impl Uart {
    fn start(address: usize) -> Self {
        let uart = Self(address);
        uart.set(BAUD_DIVIDER, SMALLEST_DIVIDER);
        uart.set(CONTROL, SEND_AND_RECEIVE);
        uart
    }

    fn holds_a_byte(&self) -> bool {
        self.get(STATE) & RECEIVE_FULL != 0
    }

    fn get(&self, register: usize) -> u32 {
        // SAFETY: the address is a register of one of the board's UARTs, which only this module uses.
        unsafe { ptr::read_volatile((self.0 + register) as *const u32) }
    }

    fn set(&self, register: usize, value: u32) {
        // SAFETY: the address is a register of one of the board's UARTs, which only this module uses; none of them affects
        // memory.
        unsafe { ptr::write_volatile((self.0 + register) as *mut u32, value) }
    }
}

impl ErrorType for Uart {
    type Error = Infallible;
}

impl ReadReady for Uart {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(self.holds_a_byte())
    }
}

impl Read for Uart {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
        let Some(first) = bytes.first_mut() else { return Ok(0) };
        while !self.holds_a_byte() {}
        *first = self.get(DATA) as u8;
        Ok(1)
    }
}

impl Write for Uart {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        for &byte in bytes {
            while self.get(STATE) & SEND_FULL != 0 {}
            self.set(DATA, u32::from(byte));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The core's timer, SysTick. A board with a real core counts cycles instead.
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

impl Clock for Ticks {
    const UNIT: Unit = Unit::Instructions;
    const HZ: u32 = 1_000_000_000;

    fn now(&self) -> u64 {
        loop {
            let wraps = WRAPS.load(Ordering::SeqCst);
            let ticks = TICKS_PER_WRAP - 1 - SYST::get_current();
            if WRAPS.load(Ordering::SeqCst) == wraps {
                return (u64::from(wraps) * u64::from(TICKS_PER_WRAP) + u64::from(ticks)) * 1000 / CLOCK;
            }
        }
    }

    /// Not measured here.
    fn stack_used(&self) -> u32 {
        0
    }
}

#[exception]
fn SysTick() {
    WRAPS.fetch_add(1, Ordering::SeqCst);
}

/// Ends QEMU.
pub fn exit(success: bool) -> ! {
    loop {
        debug::exit(if success { debug::EXIT_SUCCESS } else { debug::EXIT_FAILURE });
    }
}

/// Says nothing: text would pull the formatting of every panic's message into flash.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    exit(false)
}
