//! A device in this process: the application that firmware runs, in a thread, over a board of memory.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::Result;
use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_write};
use host_trainer::device::Transport;
use model_compiler::aligned::Aligned;
use no_std_device::link::{Unit, max_frame_len};
use no_std_device::{Anyone, Application, Board, Buffers, Camera, Clock, MappedFlash, NoIndicator, Parts};
use no_std_infer::image::{Frame, PixelFormat};
use no_std_infer::kernels::Linked;

/// Longest request in bytes.
const REQUEST_LEN: usize = 8 * 1024;
/// Length of an answer's results in bytes.
const RESULTS_LEN: usize = 1024;
/// Length of the arena in bytes.
const ARENA_LEN: usize = 64 * 1024;
/// Length of a slot in bytes.
const SLOT_LEN: usize = 128 * 1024;

/// The device; it ends when this is dropped.
pub struct InProcess {
    wires: Arc<Wires>,
}

impl InProcess {
    /// A device with `blob` built in and empty slots.
    #[must_use]
    pub fn start(blob: &Aligned<u8>) -> Self {
        Self::start_with(blob, Linked::ALL, Vec::new())
    }

    /// The same with a camera that plays these frames of [`FRAME`] again and again.
    #[must_use]
    pub fn start_with_camera(blob: &Aligned<u8>, frames: Vec<Vec<u8>>) -> Self {
        Self::start_with(blob, Linked::ALL, frames)
    }

    /// The same, with kernels of the caller's choice.
    #[must_use]
    pub fn start_on(blob: &Aligned<u8>, linked: &'static Linked) -> Self {
        Self::start_with(blob, linked, Vec::new())
    }

    fn start_with(blob: &Aligned<u8>, linked: &'static Linked, frames: Vec<Vec<u8>>) -> Self {
        let wires = Arc::<Wires>::default();
        let device = Arc::clone(&wires);
        let blob: &'static Aligned<u8> = Box::leak(Box::new(blob.clone()));
        let camera = Reel { frames, calls: 0 };
        std::thread::spawn(move || run(&device, blob, linked, camera));
        Self { wires }
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        self.wires.state().closed = true;
        self.wires.changed.notify_all();
    }
}

fn run(wires: &Arc<Wires>, blob: &'static Aligned<u8>, linked: &'static Linked, camera: Reel) {
    let mut slots = [Flash(Aligned::new(SLOT_LEN)), Flash(Aligned::new(SLOT_LEN))];
    let (link, clock) = (Port(Arc::clone(wires)), Still(Arc::clone(wires)));
    let mut board = Board { name: "in this process", camera, link, indicator: NoIndicator, clock };
    let mut buffers = Buffers::<REQUEST_LEN, RESULTS_LEN, { max_frame_len(RESULTS_LEN + 64) }>::new();
    let (mut arena, mut averages) = (Aligned::new(ARENA_LEN), heapless::Vec::<_, 0>::new());
    let application = Application::new(Parts {
        factory: Some(blob),
        slots: slots.each_mut(),
        trust: Anyone,
        linked,
        arena: &mut arena,
        averages: &mut averages,
        smoothing: 0,
        memory: buffers.memory(),
    });
    application.run(&mut board, |_, _| ())
}

/// What the camera's frames are, and their width and height.
pub const FRAME: (PixelFormat, u16, u16) = (PixelFormat::Uyvy422, 40, 30);

/// A camera that has a frame at every second look.
struct Reel {
    frames: Vec<Vec<u8>>,
    calls: usize,
}

impl Camera for Reel {
    fn frame(&mut self) -> Option<Frame<'_>> {
        self.calls += 1;
        self.last()
    }

    fn last(&mut self) -> Option<Frame<'_>> {
        let bytes = self.frames.get(self.calls / 2 % self.frames.len().max(1)).filter(|_| self.calls.is_multiple_of(2));
        let (format, width, height) = FRAME;
        Frame::new(format, width.into(), height.into(), bytes?).ok()
    }
}

/// Between host and device.
#[derive(Default)]
struct Wires {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    requests: VecDeque<u8>,
    answers: VecDeque<u8>,
    /// The device has nothing to do.
    idle: bool,
    closed: bool,
}

impl Wires {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the lock")
    }
}

impl Transport for InProcess {
    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let mut state = self.wires.state();
        state.requests.extend(bytes);
        state.idle = false;
        self.wires.changed.notify_all();
        Ok(())
    }

    /// Time counts only while the device has nothing to do, so that a busy machine makes no answer late.
    fn receive(&mut self, buffer: &mut [u8], patience: Duration) -> Result<usize> {
        let busy = |state: &mut State| state.answers.is_empty() && !state.idle;
        let state = self.wires.changed.wait_while(self.wires.state(), busy);
        let mut state = state.expect("nothing panics while it holds the lock");
        let len = state.answers.len().min(buffer.len());
        buffer.iter_mut().zip(state.answers.drain(..len)).for_each(|(slot, byte)| *slot = byte);
        drop(state);
        if len == 0 {
            std::thread::sleep(patience);
        }
        Ok(len)
    }
}

/// A clock that stands still.
struct Still(Arc<Wires>);

impl Clock for Still {
    const UNIT: Unit = Unit::Cycles;
    const HZ: u32 = 1_000_000;

    fn now(&self) -> u64 {
        0
    }

    fn stack_used(&self) -> u32 {
        0
    }

    fn idle(&self) {
        let mut state = self.0.state();
        state.idle = state.requests.is_empty();
        self.0.changed.notify_all();
        let waiting = |state: &mut State| state.idle && !state.closed;
        let closed = self.0.changed.wait_while(state, waiting).is_ok_and(|state| state.closed);
        if closed {
            // Ends the thread; no message, since this is no failure.
            std::panic::resume_unwind(Box::new(()));
        }
    }
}

/// The device's end of the link.
struct Port(Arc<Wires>);

impl embedded_io::ErrorType for Port {
    type Error = Infallible;
}

impl embedded_io::Read for Port {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let mut state = self.0.state();
        let len = state.requests.len().min(buffer.len());
        buffer.iter_mut().zip(state.requests.drain(..len)).for_each(|(slot, byte)| *slot = byte);
        Ok(len)
    }
}

impl embedded_io::ReadReady for Port {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(!self.0.state().requests.is_empty())
    }
}

impl embedded_io::Write for Port {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.0.state().answers.extend(bytes);
        self.0.changed.notify_all();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// A slot in memory.
struct Flash(Aligned<u8>);

impl ErrorType for Flash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        let stored = self.0.get(offset as usize..offset as usize + bytes.len());
        bytes.copy_from_slice(stored.ok_or(NorFlashErrorKind::OutOfBounds)?);
        Ok(())
    }

    fn capacity(&self) -> usize {
        SLOT_LEN
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 16;
    const ERASE_SIZE: usize = 4096;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        self.0[from as usize..to as usize].fill(0xFF);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        self.0[offset as usize..][..bytes.len()].iter_mut().zip(bytes).for_each(|(slot, byte)| *slot &= byte);
        Ok(())
    }
}

impl MappedFlash for Flash {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}
