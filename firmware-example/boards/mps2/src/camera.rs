//! Cameras that play frames of the host: a UART, as a sensor would send them, and memory, where there are many.

use embedded_io::{Read, ReadReady};
use no_std_device::{Camera, CameraFault};
use no_std_infer::image::{Frame, PixelFormat};

/// Pixels across and down of the frames on a UART.
pub const SIDE: u16 = 96;
/// Length of a frame in bytes.
pub const FRAME_LEN: usize = SIDE as usize * SIDE as usize * FORMAT.bytes_per_pixel();
/// What most sensors send.
const FORMAT: PixelFormat = PixelFormat::Rgb565Be;
/// Bytes before the frames that QEMU's loader put into memory.
const HEADER_LEN: usize = 16;

/// Frames that follow each other on a byte stream without gaps. One is received while the other is looked at.
#[derive(Debug)]
pub struct Recording<U> {
    stream: U,
    buffers: [&'static mut [u8; FRAME_LEN]; 2],
    /// Bytes of the next frame that are in the second buffer.
    received: usize,
    /// Whether the first buffer holds a frame.
    shown: bool,
}

impl<U> Recording<U> {
    /// Nothing has been received.
    pub fn new(stream: U, buffers: [&'static mut [u8; FRAME_LEN]; 2]) -> Self {
        Self { stream, buffers, received: 0, shown: false }
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
        self.shown = self.received == FRAME_LEN;
        if self.shown {
            self.received = 0;
            let [shown, next] = &mut self.buffers;
            core::mem::swap(shown, next);
        }
        self.last()
    }

    fn last(&mut self) -> Option<Frame<'_>> {
        let bytes = self.shown.then_some(&self.buffers[0][..])?;
        Frame::new(FORMAT, SIDE.into(), SIDE.into(), bytes).ok()
    }
}

/// Frames that QEMU's loader put into memory, little-endian: their number (u64), pixels across and down (u16 each; 0 is [`SIDE`]),
/// and whether they are played again and again (u32; 0 is once); then one after the other.
#[derive(Debug)]
pub struct Loaded {
    all: &'static [u8],
    /// Those that were not shown yet.
    left: &'static [u8],
    shown: Option<&'static [u8]>,
    sides: [u16; 2],
    again: bool,
    losses: Option<Losses>,
}

/// A camera loses one frame before each that it shows, in one way after another.
#[derive(Debug, Default)]
struct Losses {
    count: usize,
    told: Option<CameraFault>,
}

impl Loaded {
    /// The frames at the start of `memory`.
    #[must_use]
    pub fn new(memory: &'static [u8]) -> Self {
        let Some((header, rest)) = memory.split_first_chunk::<HEADER_LEN>() else { return Self::default() };
        let number = |at: usize, len: usize| {
            header.iter().skip(at).take(len).rev().fold(0, |number, &byte| number << 8 | usize::from(byte))
        };
        let sides = [8, 10].map(|at| if number(at, 2) == 0 { SIDE } else { number(at, 2) as u16 });
        let all = number(0, 4).checked_mul(frame_len(sides)).and_then(|len| rest.get(..len)).unwrap_or_default();
        Self { all, left: all, shown: None, sides, again: number(12, 4) > 0, losses: None }
    }

    /// The same, of which one is lost before each that is shown.
    #[must_use]
    pub fn losing(self) -> Self {
        Self { losses: Some(Losses::default()), ..self }
    }
}

impl Default for Loaded {
    fn default() -> Self {
        Self { all: &[], left: &[], shown: None, sides: [SIDE; 2], again: false, losses: None }
    }
}

/// Length of a frame in bytes.
fn frame_len([width, height]: [u16; 2]) -> usize {
    usize::from(width) * usize::from(height) * FORMAT.bytes_per_pixel()
}

impl Camera for Loaded {
    fn frame(&mut self) -> Option<Frame<'_>> {
        if self.left.is_empty() && self.again {
            self.left = self.all;
        }
        if let Some(losses) = self.losses.as_mut().filter(|_| !self.left.is_empty()) {
            losses.count += 1;
            if !losses.count.is_multiple_of(2) {
                let ways = [CameraFault::Silent, CameraFault::Short, CameraFault::Damaged];
                losses.told = ways.get(losses.count / 2 % ways.len()).copied();
                self.shown = None;
                return None;
            }
        }
        let shown = self.left.split_at_checked(frame_len(self.sides));
        self.left = shown.map_or(&[], |(_, left)| left);
        self.shown = shown.map(|(shown, _)| shown);
        self.last()
    }

    fn last(&mut self) -> Option<Frame<'_>> {
        let [width, height] = self.sides;
        Frame::new(FORMAT, width.into(), height.into(), self.shown?).ok()
    }

    fn fault(&mut self) -> Option<CameraFault> {
        self.losses.as_mut()?.told.take()
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

    fn last(&mut self) -> Option<Frame<'_>> {
        match self {
            Source::Recording(camera) => camera.last(),
            Source::Loaded(camera) => camera.last(),
        }
    }

    fn fault(&mut self) -> Option<CameraFault> {
        match self {
            Source::Recording(_) => None,
            Source::Loaded(camera) => camera.fault(),
        }
    }
}
