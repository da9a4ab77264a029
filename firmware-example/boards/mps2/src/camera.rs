//! A camera that is a UART: the host plays frames that were recorded.

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
