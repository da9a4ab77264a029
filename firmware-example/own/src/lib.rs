//! What the programs share: a camera, and the application with its memory.
#![no_std]

use mps2::{ARENA_LEN, LINKED, MODEL, Ticks, Uart};
use no_std_device::link::max_frame_len;
use no_std_device::{Anyone, Application, Average, Board, Buffers, Camera, NoFlash, NoIndicator, Parts};
use no_std_infer::Arena;
use no_std_infer::image::{Frame, PixelFormat};
use static_cell::ConstStaticCell;

/// How often the picture is classified before QEMU ends.
pub const FRAMES: u32 = 3;
/// Most classes whose scores are smoothed over time.
const CLASSES: usize = 64;
/// Longest request of a host: a frame of 96x96 RGB565 fits.
const REQUEST_LEN: usize = 32 * 1024;
/// Operators, classes and outputs of 2 KiB in all fit into an answer.
const RESULTS_LEN: usize = 2 * 1024;
const ANSWER_LEN: usize = max_frame_len(RESULTS_LEN + 64);

/// The board, in parts.
pub type OwnBoard = Board<Picture, Uart<1>, NoIndicator, Ticks>;

/// The application on it.
pub type Classifier = Application<'static, NoFlash, Anyone>;

/// The application with the memory that it works in. To be called once: a second call panics.
#[must_use]
pub fn classifier() -> Classifier {
    static ARENA: ConstStaticCell<Arena<ARENA_LEN>> = ConstStaticCell::new(Arena::new());
    static AVERAGES: ConstStaticCell<heapless::Vec<Average, CLASSES>> = ConstStaticCell::new(heapless::Vec::new());
    static BUFFERS: ConstStaticCell<Buffers<REQUEST_LEN, RESULTS_LEN, ANSWER_LEN>> =
        ConstStaticCell::new(Buffers::new());
    static SLOTS: ConstStaticCell<[NoFlash; 2]> = ConstStaticCell::new([NoFlash; 2]);

    Application::new(Parts {
        factory: Some(MODEL),
        slots: SLOTS.take().each_mut(),
        trust: Anyone,
        linked: LINKED,
        arena: ARENA.take(),
        averages: AVERAGES.take(),
        smoothing: 1,
        memory: BUFFERS.take().memory(),
    })
}

/// A board whose link to a host is this UART.
#[must_use]
pub fn board(link: Uart<1>, clock: Ticks) -> OwnBoard {
    Board { name: mps2::name(), camera: Picture::new(), link, indicator: NoIndicator, clock }
}

/// A camera that always sees the same picture: 96x96 pixels of 16 bits, the upper byte first.
#[derive(Debug, Default)]
pub struct Picture(());

impl Picture {
    /// There may be several.
    #[must_use]
    pub fn new() -> Self {
        Self(())
    }
}

impl Camera for Picture {
    fn frame(&mut self) -> Option<Frame<'_>> {
        Frame::new(PixelFormat::Rgb565Be, 96, 96, include_bytes!("../../boards/mps2/src/bin/demo.rgb565")).ok()
    }
}
