//! The link to the host: a UART, whose answers may leave in blocks instead.

use core::convert::Infallible;

use cortex_m_semihosting::{nr, syscall1};
use embedded_io::{ErrorType, Read, ReadReady, Write};

use crate::host_flash::is_told;
use crate::uart::Uart;

/// What the command line says where answers leave by semihosting.
const OPTION: &[u8] = b"answers=blocks";

/// A UART; where the command line has `answers=blocks`, what is sent goes to semihosting's console instead. QEMU takes that in one
/// piece, as hardware with DMA would, where the UART costs two accesses to registers and a system call for each byte.
pub struct HostLink<const NUMBER: usize> {
    uart: Uart<NUMBER>,
    blocks: bool,
}

impl<const NUMBER: usize> HostLink<NUMBER> {
    /// The link over this UART.
    #[must_use]
    pub fn new(uart: Uart<NUMBER>) -> Self {
        Self { uart, blocks: is_told(OPTION) }
    }
}

/// Sends bytes up to the first zero, which ends a frame of the link, and a text for semihosting; gives how many.
fn send_block(bytes: &[u8]) -> usize {
    let Some(len) = bytes.iter().position(|&byte| byte == 0) else {
        bytes.iter().for_each(send_byte);
        return bytes.len();
    };
    // SAFETY: semihosting's WRITE0 takes the address of bytes that a zero ends, as it does here, and only reads them.
    unsafe { syscall1(nr::WRITE0, bytes.as_ptr() as usize) };
    send_byte(&0);
    len + 1
}

fn send_byte(byte: &u8) {
    // SAFETY: semihosting's WRITEC takes the address of a byte, and only reads it.
    unsafe { syscall1(nr::WRITEC, core::ptr::from_ref(byte) as usize) };
}

impl<const NUMBER: usize> ErrorType for HostLink<NUMBER> {
    type Error = Infallible;
}

impl<const NUMBER: usize> ReadReady for HostLink<NUMBER> {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        self.uart.read_ready()
    }
}

impl<const NUMBER: usize> Read for HostLink<NUMBER> {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
        self.uart.read(bytes)
    }
}

impl<const NUMBER: usize> Write for HostLink<NUMBER> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        if self.blocks { Ok(send_block(bytes)) } else { self.uart.write(bytes) }
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
