//! What a board offers, simulated.

use std::cell::Cell;
use std::collections::VecDeque;
use std::convert::Infallible;

use embedded_io::{ErrorType, Read, ReadReady, Write};
use fastrand::Rng;
use no_std_device::link::Unit;
use no_std_device::{Camera, CameraFault, Clock, TRIAL_FRAMES};
use no_std_infer::image::{Frame, PixelFormat};

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

/// Has a few small frames, now and then: too few for a model to prove itself.
pub struct Eye {
    left: u32,
    rng: Rng,
    shown: Option<(PixelFormat, [u8; SIDE * SIDE * 3])>,
}

/// Pixels across and down.
const SIDE: usize = 6;

impl Eye {
    /// It has shown nothing yet.
    pub fn new(rng: Rng) -> Self {
        Self { left: TRIAL_FRAMES - 1, rng, shown: None }
    }
}

impl Camera for Eye {
    fn frame(&mut self) -> Option<Frame<'_>> {
        self.shown = None;
        if self.left == 0 || self.rng.u8(..4) > 0 {
            return None;
        }
        self.left -= 1;
        let formats = [PixelFormat::Rgb888, PixelFormat::Rgb565Le, PixelFormat::Uyvy422, PixelFormat::Grey8];
        self.shown = Some((self.rng.choice(formats)?, std::array::from_fn(|_| self.rng.u8(..))));
        self.last()
    }

    fn last(&mut self) -> Option<Frame<'_>> {
        let (format, bytes) = self.shown.as_ref()?;
        // Rows may have gaps between them.
        Frame::with_stride(*format, SIDE as u32, SIDE as u32, SIDE * 3, bytes).ok()
    }

    fn fault(&mut self) -> Option<CameraFault> {
        self.rng.choice([None, Some(CameraFault::Silent), Some(CameraFault::Short), Some(CameraFault::Damaged)])?
    }
}

/// Goes on now and then, by much.
#[derive(Default)]
pub struct Steps(Cell<u64>);

impl Clock for Steps {
    const UNIT: Unit = Unit::Cycles;
    // A look takes seconds on the average, so that rewriting a slot is now allowed and now not; and no time at all mostly, so that
    // frames are kept.
    const HZ: u32 = 1;

    fn now(&self) -> u64 {
        self.0.set(self.0.get() + 1);
        self.0.get() / 32 * (32 * 7)
    }

    fn stack_used(&self) -> u32 {
        0
    }
}
