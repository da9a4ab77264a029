//! The boards' UARTs (CMSDK APB). One holds a single received byte, so that an interrupt puts what arrives into a queue, also
//! while the network runs.

use core::cell::Cell;
use core::convert::Infallible;
use core::fmt;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

use cortex_m::asm;
use cortex_m::interrupt::{self, InterruptNumber, Mutex};
use cortex_m::peripheral::NVIC;
use cortex_m_rt::exception;
use embedded_io::{ErrorType, Read, ReadReady, Write};
use heapless::spsc::{Consumer, Producer, Queue};
use static_cell::ConstStaticCell;

use crate::board::{BOARD, exit};

/// The first of the UARTs; the others follow.
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

/// How many UARTs the firmware uses.
const COUNT: usize = 3;
/// One more than the bytes that may wait in a queue.
const QUEUE_LEN: usize = 256;

static QUEUES: ConstStaticCell<[Queue<u8, QUEUE_LEN>; COUNT]> = ConstStaticCell::new([const { Queue::new() }; COUNT]);
/// The interrupt's ends of the queues.
static RECEIVERS: [Mutex<Cell<Option<Producer<'static, u8>>>>; COUNT] = [const { Mutex::new(Cell::new(None)) }; COUNT];
/// Whether a byte has come since the core was last about to sleep.
static ARRIVED: AtomicBool = AtomicBool::new(false);

/// The UART of this number: a link, a console, or a camera's line.
pub struct Uart<const NUMBER: usize> {
    received: Consumer<'static, u8>,
}

/// Starts the UARTs. To be called once: a second call panics.
pub(crate) fn start() -> (Uart<0>, Uart<1>, Uart<2>) {
    let [first, second, third] = QUEUES.take();
    let [first, second, third] = [(0, first), (1, second), (2, third)].map(|(uart, queue)| switch_on(uart, queue));
    (Uart { received: first }, Uart { received: second }, Uart { received: third })
}

/// Switches a UART on; gives what it receives.
fn switch_on(uart: usize, queue: &'static mut Queue<u8, QUEUE_LEN>) -> Consumer<'static, u8> {
    let (sender, received) = queue.split();
    if let Some(receiver) = RECEIVERS.get(uart) {
        interrupt::free(|section| receiver.borrow(section).set(Some(sender)));
    }
    set(uart, BAUD_DIVIDER, SMALLEST_DIVIDER);
    set(uart, CONTROL, SEND_AND_RECEIVE | RECEIVE_INTERRUPT);
    // SAFETY: no critical section relies on this interrupt being masked.
    unsafe { NVIC::unmask(ReceiveInterrupt(uart as u16)) };
    received
}

impl<const NUMBER: usize> Uart<NUMBER> {
    /// Whether bytes wait. One that found the queue full waits in the UART: the interrupt is called for it once more.
    fn ready(&self) -> bool {
        if holds_a_byte(NUMBER) {
            NVIC::pend(ReceiveInterrupt(NUMBER as u16));
        }
        self.received.ready()
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

#[exception]
// SAFETY: it relies on nothing of the processor's state; cortex-m-rt asks for `unsafe`.
unsafe fn DefaultHandler(number: i16) {
    let line = (number as u16).wrapping_sub(BOARD.receive_interrupt);
    match RECEIVERS.get(usize::from(line / 2)) {
        Some(receiver) => receive(usize::from(line / 2), receiver),
        None => exit(false),
    }
}

/// Puts the byte that a UART holds into its queue, if there is room.
fn receive(uart: usize, receiver: &Mutex<Cell<Option<Producer<'static, u8>>>>) {
    set(uart, INTERRUPT, RECEIVE_FULL);
    ARRIVED.store(true, Ordering::Relaxed);
    interrupt::free(|section| {
        let cell = receiver.borrow(section);
        let mut sender = cell.take();
        if let Some(sender) = sender.as_mut().filter(|sender| sender.ready() && holds_a_byte(uart)) {
            let _ = sender.enqueue(get(uart, DATA) as u8);
        }
        cell.set(sender);
    });
}

/// Sleeps unless a byte has come since the last call; any interrupt wakes the core.
pub(crate) fn sleep_until_a_byte_arrives() {
    // With interrupts masked, one that comes before the core sleeps wakes it all the same.
    interrupt::free(|_| {
        if !ARRIVED.load(Ordering::Relaxed) {
            asm::wfi();
        }
        ARRIVED.store(false, Ordering::Relaxed);
    });
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
        Ok(self.ready())
    }
}

impl<const NUMBER: usize> Read for Uart<NUMBER> {
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
