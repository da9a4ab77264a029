//! Ways to a device for bytes.

use std::io::{ErrorKind, Read};
use std::time::Duration;

use anyhow::Result;

/// A stream of bytes to a device and back, which may lose, double and change them.
pub trait Transport {
    /// Sends bytes.
    ///
    /// # Errors
    /// When this way to the device has ended.
    fn send(&mut self, bytes: &[u8]) -> Result<()>;

    /// Waits for bytes, puts them to the start of `buffer` and gives their number; 0 when none came within `patience`.
    ///
    /// # Errors
    /// When this way to the device has ended.
    fn receive(&mut self, buffer: &mut [u8], patience: Duration) -> Result<usize>;

    /// Bytes that pass in a second; `None` when their number takes no time worth mentioning.
    fn rate(&self) -> Option<u32> {
        None
    }
}

/// Reads what is there; `None` when the reader's own time limit has passed.
pub(super) fn read_within(reader: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<Option<usize>> {
    match reader.read(buffer) {
        Ok(len) => Ok(Some(len)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(None),
        Err(error) if error.kind() == ErrorKind::Interrupted => Ok(None),
        Err(error) => Err(error),
    }
}

impl<T: Transport + ?Sized> Transport for Box<T> {
    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        (**self).send(bytes)
    }

    fn receive(&mut self, buffer: &mut [u8], patience: Duration) -> Result<usize> {
        (**self).receive(buffer, patience)
    }

    fn rate(&self) -> Option<u32> {
        (**self).rate()
    }
}
