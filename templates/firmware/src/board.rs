//! The board: here one that QEMU emulates. Firmware for another board differs in this file, `memory.x` and
//! `.cargo/config.toml`.

use core::cell::Cell;
use core::convert::Infallible;
use core::panic::PanicInfo;
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::Peripherals;
use cortex_m::interrupt::{self, InterruptNumber, Mutex};
use cortex_m::peripheral::{NVIC, SYST, syst::SystClkSource};
use cortex_m_rt::exception;
use cortex_m_semihosting::debug;
use embedded_io::{ErrorType, Read, ReadReady, Write};
use heapless::spsc::{Consumer, Producer, Queue};
use no_std_device::link::Unit;
use no_std_device::{Board, Camera, Clock, NoIndicator};
use no_std_infer::image::{Frame, PixelFormat};
use static_cell::ConstStaticCell;

/// The board's UARTs: the first is the console, the second the link to a host.
const CONSOLE: Uart = Uart(0x4000_4000);
const LINK: Uart = Uart(0x4000_5000);
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

/// What the link received and the application has not yet taken: an interrupt puts it there, also while the network runs.
/// One byte less than this fits.
static QUEUE: ConstStaticCell<Queue<u8, 256>> = ConstStaticCell::new(Queue::new());
/// The interrupt's end of the queue.
static RECEIVER: Mutex<Cell<Option<Producer<'static, u8>>>> = Mutex::new(Cell::new(None));

/// The clock's MHz; `-icount shift=0` lets an instruction take a nanosecond.
const CLOCK: u64 = 25;
/// The clock has 24 bits.
const TICKS_PER_WRAP: u32 = 1 << 24;
static WRAPS: AtomicU32 = AtomicU32::new(0);

/// Starts the board; gives its parts, and the console. A second call ends QEMU.
pub fn start() -> (Board<Picture, Link, NoIndicator, Ticks>, Console) {
    let Some(peripherals) = Peripherals::take() else { exit(false) };
    let board = Board {
        name: "{{project-name}} ({{machine}} in QEMU)",
        camera: Picture,
        link: Link::start(),
        indicator: NoIndicator,
        clock: Ticks::start(peripherals.SYST),
    };
    (board, Console::start())
}

/// A camera that always sees the same picture: 96x96 pixels of 16 bits, the upper byte first.
pub struct Picture;

impl Camera for Picture {
    fn frame(&mut self) -> Option<Frame<'_>> {
        Frame::new(PixelFormat::Rgb565Be, 96, 96, include_bytes!("frame.rgb565")).ok()
    }
}

/// A UART, by its address.
struct Uart(usize);

impl Uart {
    fn start(&self, interrupts: u32) {
        self.set(BAUD_DIVIDER, SMALLEST_DIVIDER);
        self.set(CONTROL, SEND_AND_RECEIVE | interrupts);
    }

    fn send(&self, byte: u8) {
        while self.get(STATE) & SEND_FULL != 0 {}
        self.set(DATA, u32::from(byte));
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

/// The console: lines of text for a person.
pub struct Console(());

impl Console {
    fn start() -> Self {
        CONSOLE.start(0);
        Self(())
    }
}

impl ErrorType for Console {
    type Error = Infallible;
}

impl Write for Console {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        bytes.iter().for_each(|&byte| CONSOLE.send(byte));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The interrupt for a byte that the link received.
#[derive(Clone, Copy)]
struct Received;

// SAFETY: this is the line of the second UART's receiver.
unsafe impl InterruptNumber for Received {
    fn number(self) -> u16 {
        2
    }
}

/// Puts the byte that the link's UART holds into the queue; where there is no room, it stays in the UART. The only interrupt
/// that is switched on.
// `unsafe` because cortex-m-rt asks for it; nothing here relies on the processor's state.
#[exception]
unsafe fn DefaultHandler(_: i16) {
    LINK.set(INTERRUPT, RECEIVE_FULL);
    interrupt::free(|section| {
        let cell = RECEIVER.borrow(section);
        let mut sender = cell.take();
        if let Some(sender) = sender.as_mut().filter(|sender| sender.ready() && LINK.holds_a_byte()) {
            let _ = sender.enqueue(LINK.get(DATA) as u8);
        }
        cell.set(sender);
    });
}

/// The link to a host.
pub struct Link {
    received: Consumer<'static, u8>,
}

impl Link {
    fn start() -> Self {
        let (sender, received) = QUEUE.take().split();
        interrupt::free(|section| RECEIVER.borrow(section).set(Some(sender)));
        LINK.start(RECEIVE_INTERRUPT);
        // SAFETY: no critical section relies on this interrupt being masked.
        unsafe { NVIC::unmask(Received) };
        Self { received }
    }

    /// Whether bytes wait. One that found the queue full waits in the UART: the interrupt is called for it once more.
    fn ready(&self) -> bool {
        if LINK.holds_a_byte() {
            NVIC::pend(Received);
        }
        self.received.ready()
    }
}

impl ErrorType for Link {
    type Error = Infallible;
}

impl ReadReady for Link {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(self.ready())
    }
}

impl Read for Link {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
        while !bytes.is_empty() && !self.ready() {}
        let mut len = 0;
        for (slot, byte) in bytes.iter_mut().zip(core::iter::from_fn(|| self.received.dequeue())) {
            *slot = byte;
            len += 1;
        }
        Ok(len)
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        bytes.iter().for_each(|&byte| LINK.send(byte));
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
