//! What a board offers, simulated.

use std::cell::Cell;
use std::collections::VecDeque;
use std::convert::Infallible;

use embedded_io::{ErrorType, Read, ReadReady, Write};
use fastrand::Rng;
use no_std_device::Clock;
use no_std_device::link::Unit;

/// A link whose bytes arrive in pieces of any length.
pub struct Wire {
    /// Bytes for the device.
    pub to_device: VecDeque<u8>,
    /// Bytes that the device has sent.
    pub to_host: Vec<u8>,
    /// Chooses the pieces.
    pub rng: Rng,
}

impl ErrorType for Wire {
    type Error = Infallible;
}

impl ReadReady for Wire {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(!self.to_device.is_empty())
    }
}

impl Read for Wire {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
        let most = bytes.len().min(self.to_device.len());
        let len = if self.rng.bool() { most } else { self.rng.usize(..=most) };
        bytes.iter_mut().zip(self.to_device.drain(..len)).for_each(|(slot, byte)| *slot = byte);
        Ok(len)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.to_host.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Goes on at each look.
#[derive(Default)]
pub struct Steps(Cell<u64>);

impl Clock for Steps {
    const UNIT: Unit = Unit::Cycles;
    // Each look takes seconds, so that rewriting a slot is now allowed and now not.
    const HZ: u32 = 1;

    fn now(&self) -> u64 {
        self.0.set(self.0.get() + 7);
        self.0.get()
    }

    fn stack_used(&self) -> u32 {
        0
    }
}
