//! A device at a serial port.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serial2::SerialPort;

use super::ports::ports;
use super::transport::{Transport, read_within};

/// Longest time without room for another byte.
const WRITE_TIME: Duration = Duration::from_secs(10);
/// Bits that a byte takes on the line: one to start, eight, one to stop.
const BITS: u32 = 10;

/// A serial port, or a USB port that looks like one.
#[derive(Debug)]
pub struct Serial {
    port: SerialPort,
    name: String,
    baud: u32,
}

impl Serial {
    /// Opens a port: 8 data bits, no parity, one stop bit, no flow control.
    ///
    /// # Errors
    /// When it cannot be opened; names the ports that there are.
    pub fn open(name: &str, baud: u32) -> Result<Self> {
        let mut port = SerialPort::open(name, baud).with_context(|| {
            let ports: Vec<_> = ports().unwrap_or_default().into_iter().map(|port| port.name).collect();
            let ports = if ports.is_empty() { "none".to_owned() } else { ports.join(", ") };
            format!("cannot open the serial port {name} at {baud} baud; the ports of this machine: {ports}")
        })?;
        port.set_write_timeout(WRITE_TIME)?;
        // USB devices wait for it; other ports may not have the line.
        let _ = port.set_dtr(true);
        port.discard_input_buffer().with_context(|| format!("cannot use the serial port {name}"))?;
        Ok(Self { port, name: name.to_owned(), baud })
    }
}

impl Transport for Serial {
    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.port.write_all(bytes).with_context(|| format!("cannot send to {}", self.name))
    }

    fn receive(&mut self, buffer: &mut [u8], patience: Duration) -> Result<usize> {
        self.port.set_read_timeout(patience.max(Duration::from_millis(1)))?;
        match read_within(&mut self.port, buffer) {
            Ok(Some(0)) => bail!("the device at {} has gone", self.name),
            Ok(len) => Ok(len.unwrap_or(0)),
            Err(error) => Err(error).with_context(|| format!("cannot read from {}", self.name)),
        }
    }

    fn rate(&self) -> Option<u32> {
        Some((self.baud / BITS).max(1))
    }
}
