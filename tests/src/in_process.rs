//! A device in this process: the server that firmware runs, at the end of two queues of bytes.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use anyhow::{Context, Result};
use host_trainer::aligned::Aligned;
use host_trainer::device::Transport;
use no_std_device::{Clock, Device, Loaded, Memory, Server};
use no_std_infer::link::{Unit, max_frame_len};

/// Longest request in bytes.
const REQUEST_LEN: usize = 8 * 1024;
/// Length of an answer's results in bytes.
const RESULTS_LEN: usize = 1024;

/// The device; its memory is never given back.
pub struct InProcess {
    server: Server<'static>,
    loaded: &'static Loaded<'static>,
    arena: Aligned<i8>,
    queues: Queues,
}

impl InProcess {
    /// A device that runs `blob`.
    ///
    /// # Errors
    /// When the blob cannot be run.
    pub fn start(blob: &Aligned<u8>) -> Result<Self> {
        let blob: &'static Aligned<u8> = Box::leak(Box::new(blob.clone()));
        let loaded = Loaded::parse(blob).context("the device cannot run the blob")?;
        let memory = Memory {
            request: vec![0; REQUEST_LEN].leak(),
            results: vec![0; RESULTS_LEN].leak(),
            frame: vec![0; max_frame_len(RESULTS_LEN + 64)].leak(),
        };
        let arena = Aligned::new(loaded.model.arena_len());
        Ok(Self { server: Server::new(memory), loaded: Box::leak(Box::new(loaded)), arena, queues: Queues::default() })
    }
}

impl Transport for InProcess {
    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.queues.requests.extend(bytes);
        let mut device =
            Device { name: "in this process", clock: &Still, loaded: Some(self.loaded), arena: &mut self.arena };
        self.server.poll(&mut self.queues, &mut device);
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], patience: Duration) -> Result<usize> {
        let answers = &mut self.queues.answers;
        if answers.is_empty() {
            std::thread::sleep(patience);
        }
        let len = answers.len().min(buffer.len());
        buffer.iter_mut().zip(answers.drain(..len)).for_each(|(slot, byte)| *slot = byte);
        Ok(len)
    }
}

/// A clock that stands still.
struct Still;

impl Clock for Still {
    const UNIT: Unit = Unit::Cycles;
    const HZ: u32 = 1_000_000;

    fn now(&self) -> u64 {
        0
    }

    fn stack_used(&self) -> u32 {
        0
    }
}

/// The device's end of the link.
#[derive(Default)]
struct Queues {
    requests: VecDeque<u8>,
    answers: VecDeque<u8>,
}

impl embedded_io::ErrorType for Queues {
    type Error = Infallible;
}

impl embedded_io::Read for Queues {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let len = self.requests.len().min(buffer.len());
        buffer.iter_mut().zip(self.requests.drain(..len)).for_each(|(slot, byte)| *slot = byte);
        Ok(len)
    }
}

impl embedded_io::ReadReady for Queues {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(!self.requests.is_empty())
    }
}

impl embedded_io::Write for Queues {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.answers.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
