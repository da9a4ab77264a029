//! What a board offers, in parts, so that one can be borrowed while another is used.

use core::convert::Infallible;
use core::fmt;

use crate::link::{Reset, Unit};
use embedded_hal::digital::{self, OutputPin};
use embedded_io::{Read, ReadReady, Write};
use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};
use no_std_infer::image::Frame;

/// A board, but for its flash: models lie there while it is used. What it lacks is a [`NoCamera`] or [`NoIndicator`].
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Board<C, L, I, K> {
    /// Its name, for people.
    pub name: &'static str,
    /// Where frames come from.
    pub camera: C,
    /// The byte stream from and to the host.
    pub link: L,
    /// Lit while the application is sure of a class.
    pub indicator: I,
    /// The clock.
    pub clock: K,
}

/// A source of pictures.
pub trait Camera {
    /// False for what never has a frame: then firmware holds no code that classifies them.
    const HAS_FRAMES: bool = true;

    /// The latest whole frame; `None` when there has been no new one since the last call. Does not wait.
    fn frame(&mut self) -> Option<Frame<'_>>;

    /// The frame that the last call of [`frame`](Self::frame) gave, whose memory stays untouched until the next: so a host can read
    /// it. `None` where that gave none, or the camera cannot keep one.
    fn last(&mut self) -> Option<Frame<'_>> {
        None
    }

    /// What went wrong since the last call, the oldest first; `None` when nothing is left to tell. Called once at every
    /// [`poll`](crate::Application::poll), also while no frame is asked for. Whatever went wrong, the camera goes on with its next
    /// frame by itself.
    fn fault(&mut self) -> Option<CameraFault> {
        None
    }
}

/// Why a camera has lost a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum CameraFault {
    /// None came within the time that the board waits for one.
    Silent,
    /// One ended before all its pixels had come.
    Short,
    /// The interface to the sensor has lost bytes, or its step.
    Damaged,
}

/// A byte stream from and to the host. Writing may wait for a host that reads slowly, and fails when there is none.
pub trait Link: Read + ReadReady + Write {}

impl<T: Read + ReadReady + Write> Link for T {}

/// A clock that runs from the start and never back, a look at the stack, and a watchdog where there is one.
pub trait Clock {
    /// What it counts.
    const UNIT: Unit;
    /// How many of those pass in a second; where instructions are counted, about how many.
    const HZ: u32;

    /// [`Self::UNIT`]s since the board started.
    fn now(&self) -> u64;

    /// Most bytes of stack in use at any time since the board started.
    fn stack_used(&self) -> u32;

    /// Called when there is nothing to do: may sleep until a byte of the link or a frame arrives.
    fn idle(&self) {
        core::hint::spin_loop();
    }

    /// Feeds the watchdog; does nothing where there is none.
    ///
    /// Called at every [`poll`](crate::Application::poll), and within one after each piece of work that takes long: a step of
    /// the network, which is an operator or [so many rows](crate::Application::poll_rows) of one; erasing a sector of flash, or
    /// programming [`PIECE`](crate::PIECE) bytes; and of a blob that is to be taken, hashing that many bytes, the signature's
    /// arithmetic, `Model::parse`, and each operator of its self-test. The watchdog must bear the longest of these, and what a
    /// poll does without calling it: turning a frame into the network's input, and waiting for the link. It guards what lies
    /// between them: a firmware that never polls again is reset. [`WORK_UNFED`] and [`START_UNFED`] say how long the processor's part
    /// takes. A model of which one operator takes longer than the watchdog's time never proves itself, so that the model before
    /// it comes back.
    fn feed(&self) {}

    /// Why the board started, as far as it knows.
    fn reset(&self) -> Reset {
        Reset::Unknown
    }
}

/// Instructions between two calls of [`Clock::feed`] at most, on a Cortex-M4 with models of up to 256 KiB: the longest of all the work
/// named there that is the processor's alone. MLPerf Tiny's VWW of 259,120 bytes, signed, takes 5.9 million for `Model::parse`, the
/// model that ships 2.1 million; a signature's arithmetic takes 1.9 million. Flash that is erased, and a host that is waited for, come
/// on top, and an operator of a larger network may take longer.
pub const WORK_UNFED: u32 = 8_000_000;

/// The same for [`Application::new`](crate::Application::new), which feeds nothing: it hashes and parses what both slots hold. The
/// model that ships takes 9.8 million instructions where it is built in, VWW of 259,120 bytes in a slot 32.4 million beside a model of 218,944
/// bytes in the other.
pub const START_UNFED: u32 = 40_000_000;

/// A part of a NOR flash that the processor can read like memory. It owns its part: while it is borrowed, nothing writes
/// there. Its start is a multiple of 16 in memory and of [`NorFlash::ERASE_SIZE`] in the flash.
pub trait MappedFlash: NorFlash {
    /// All its bytes.
    fn bytes(&self) -> &[u8];
}

/// For boards without a camera.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NoCamera;

impl Camera for NoCamera {
    const HAS_FRAMES: bool = false;

    fn frame(&mut self) -> Option<Frame<'_>> {
        None
    }
}

/// For boards without an indicator.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NoIndicator;

impl digital::ErrorType for NoIndicator {
    type Error = Infallible;
}

impl OutputPin for NoIndicator {
    fn set_low(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// For boards without flash to write: a flash of no bytes.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NoFlash;

/// There is no flash at this place.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct OutOfBounds;

impl fmt::Display for OutOfBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no flash at this place")
    }
}

impl core::error::Error for OutOfBounds {}

impl NorFlashError for OutOfBounds {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::OutOfBounds
    }
}

impl ErrorType for NoFlash {
    type Error = OutOfBounds;
}

impl ReadNorFlash for NoFlash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, _: u32, _: &mut [u8]) -> Result<(), OutOfBounds> {
        Err(OutOfBounds)
    }

    fn capacity(&self) -> usize {
        0
    }
}

impl NorFlash for NoFlash {
    const WRITE_SIZE: usize = 1;
    const ERASE_SIZE: usize = 1;

    fn erase(&mut self, _: u32, _: u32) -> Result<(), OutOfBounds> {
        Err(OutOfBounds)
    }

    fn write(&mut self, _: u32, _: &[u8]) -> Result<(), OutOfBounds> {
        Err(OutOfBounds)
    }
}

impl MappedFlash for NoFlash {
    fn bytes(&self) -> &[u8] {
        &[]
    }
}
