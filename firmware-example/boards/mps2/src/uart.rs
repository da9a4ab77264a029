//! The boards' UARTs.

use core::convert::Infallible;
use core::fmt;
use core::ptr;

use cortex_m::asm;
use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;
use embedded_io::{ErrorType, Read, ReadReady, Write};

use crate::board::BOARD;

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
    pub(crate) fn start() -> Self {
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

/// To be called with interrupts masked: then the one that wakes the core is not taken, and one that comes before the core
/// sleeps wakes it all the same. Another interrupt wakes it too.
pub(crate) fn sleep_until_a_byte_arrives() {
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
