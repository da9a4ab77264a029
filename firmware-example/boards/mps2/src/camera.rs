//! Cameras that play frames of the host: a UART, as a sensor would send them, and memory, where there are many.

use embedded_io::{Read, ReadReady};
use no_std_device::Camera;
use no_std_infer::image::{Frame, PixelFormat};

/// Pixels across and down.
pub const SIDE: u16 = 96;
/// Length of a frame in bytes.
pub const FRAME_LEN: usize = SIDE as usize * SIDE as usize * FORMAT.bytes_per_pixel();
/// What most sensors send.
const FORMAT: PixelFormat = PixelFormat::Rgb565Be;

/// Frames that follow each other on a byte stream without gaps. One is received while the other is looked at.
#[derive(Debug)]
pub struct Recording<U> {
    stream: U,
    buffers: [&'static mut [u8; FRAME_LEN]; 2],
    /// Bytes of the next frame that are in the second buffer.
    received: usize,
}

impl<U> Recording<U> {
    /// Nothing has been received.
    pub fn new(stream: U, buffers: [&'static mut [u8; FRAME_LEN]; 2]) -> Self {
        Self { stream, buffers, received: 0 }
    }
}

impl<U: Read + ReadReady> Camera for Recording<U> {
    fn frame(&mut self) -> Option<Frame<'_>> {
        while let (Ok(true), Some(rest)) = (self.stream.read_ready(), self.buffers[1].get_mut(self.received..)) {
            match self.stream.read(rest) {
                Ok(len) if len > 0 => self.received += len,
                _ => break,
            }
        }
        if self.received < FRAME_LEN {
            return None;
        }
        self.received = 0;
        let [shown, next] = &mut self.buffers;
        core::mem::swap(shown, next);
        Frame::new(FORMAT, SIDE.into(), SIDE.into(), &shown[..]).ok()
    }
}

/// Frames that QEMU's loader put into memory: their number (u64), and at the next multiple of 16 one after the other.
#[derive(Debug)]
pub struct Loaded(&'static [u8]);

impl Loaded {
    /// The frames at the start of `memory`.
    #[must_use]
    pub fn new(memory: &'static [u8]) -> Self {
        let count = memory.first_chunk().map_or(0, |&bytes| u64::from_le_bytes(bytes) as usize);
        let frames = memory.get(16..).and_then(|rest| rest.get(..count.checked_mul(FRAME_LEN)?));
        Self(frames.unwrap_or_default())
    }
}

impl Camera for Loaded {
    fn frame(&mut self) -> Option<Frame<'_>> {
        let (shown, rest) = self.0.split_at_checked(FRAME_LEN)?;
        self.0 = rest;
        Frame::new(FORMAT, SIDE.into(), SIDE.into(), shown).ok()
    }
}

/// Either of the two cameras.
#[derive(Debug)]
pub enum Source<U> {
    /// A UART.
    Recording(Recording<U>),
    /// Memory.
    Loaded(Loaded),
}

impl<U: Read + ReadReady> Camera for Source<U> {
    fn frame(&mut self) -> Option<Frame<'_>> {
        match self {
            Source::Recording(camera) => camera.frame(),
            Source::Loaded(camera) => camera.frame(),
        }
    }
}
