//! A way to a device that loses, doubles, damages and delays, for tests.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::transport::Transport;

/// Does something to some of the frames in both directions, decided by a seed.
pub struct Faulty<T> {
    inner: T,
    requests: Mangler,
    answers: Mangler,
    /// What has arrived of a frame.
    partial: Vec<u8>,
    /// What the receiver gets next.
    ready: VecDeque<u8>,
}

impl<T: Transport> Faulty<T> {
    /// Lets `share` of all frames suffer, 0 to 1; also gives the number that did so far.
    #[must_use]
    pub fn new(inner: T, seed: u64, share: f64) -> (Self, Rc<Cell<u64>>) {
        let count = Rc::new(Cell::new(0));
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut mangler =
            || Mangler { rng: ChaCha8Rng::from_rng(&mut rng), share, held: Vec::new(), count: Rc::clone(&count) };
        let (requests, answers) = (mangler(), mangler());
        (Self { inner, requests, answers, partial: Vec::new(), ready: VecDeque::new() }, count)
    }
}

impl<T: Transport> Transport for Faulty<T> {
    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.inner.send(&self.requests.pass(bytes))
    }

    fn receive(&mut self, buffer: &mut [u8], patience: Duration) -> Result<usize> {
        if self.ready.is_empty() {
            let len = self.inner.receive(buffer, patience)?;
            for &byte in &buffer[..len] {
                self.partial.push(byte);
                if byte == 0 {
                    self.ready.extend(self.answers.pass(&std::mem::take(&mut self.partial)));
                }
            }
        }
        let len = self.ready.len().min(buffer.len());
        for (slot, byte) in buffer.iter_mut().zip(self.ready.drain(..len)) {
            *slot = byte;
        }
        Ok(len)
    }

    fn rate(&self) -> Option<u32> {
        self.inner.rate()
    }
}

/// What happens to frames in one direction.
struct Mangler {
    rng: ChaCha8Rng,
    share: f64,
    /// A frame that comes late: after the next one.
    held: Vec<u8>,
    count: Rc<Cell<u64>>,
}

impl Mangler {
    /// What arrives of a frame, and of one before.
    fn pass(&mut self, frame: &[u8]) -> Vec<u8> {
        let late = std::mem::take(&mut self.held);
        let mut arrives = self.suffer(frame);
        arrives.extend(late);
        arrives
    }

    fn suffer(&mut self, frame: &[u8]) -> Vec<u8> {
        let mut frame = frame.to_vec();
        if frame.is_empty() || !self.rng.random_bool(self.share) {
            return frame;
        }
        self.count.set(self.count.get() + 1);
        let at = self.rng.random_range(0..frame.len());
        match self.rng.random_range(0..8) {
            0 => frame.clear(),
            1 => frame.extend_from_within(..),
            2 => frame[at] ^= 1 << self.rng.random_range(0..8),
            3 => frame[at..].iter_mut().take(40).for_each(|byte| *byte = self.rng.random()),
            4 => frame.truncate(at),
            5 => drop(frame.remove(at)),
            6 => frame.insert(at, 0),
            _ => self.held = std::mem::take(&mut frame),
        }
        frame
    }
}
