//! Flash as unkind as the real one: it is written only where it was erased, and power fails in the middle of things.

use std::cell::Cell;
use std::ops::Range;
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};
use no_std_infer::format::ALIGN;

use crate::board::MappedFlash;

/// The power of several flashes, and their source of random numbers.
#[derive(Debug)]
pub struct Power {
    state: Cell<State>,
    operations: Cell<u32>,
    random: Cell<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    On,
    /// It fails in the operation after so many.
    FailsAfter(u32),
    Off,
}

impl Power {
    pub fn new(seed: u32) -> Rc<Self> {
        Rc::new(Self { state: Cell::new(State::On), operations: Cell::new(0), random: Cell::new(seed * 2 + 1) })
    }

    pub fn fail_after(&self, operations: u32) {
        self.state.set(State::FailsAfter(operations));
    }

    pub fn restore(&self) {
        self.state.set(State::On);
    }

    /// Operations that were completed since the start.
    pub fn operations(&self) -> u32 {
        self.operations.get()
    }

    /// A number below `limit`, by Marsaglia's xorshift32.
    fn random(&self, limit: usize) -> usize {
        let mut state = self.random.get();
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        self.random.set(state);
        state as usize % limit
    }

    /// Takes part in an operation that lasts `len` steps; gives how many of them are made.
    fn steps(&self, len: usize) -> usize {
        match self.state.get() {
            State::Off => return 0,
            State::FailsAfter(0) => {
                self.state.set(State::Off);
                return self.random(len + 1);
            }
            State::FailsAfter(left) => self.state.set(State::FailsAfter(left - 1)),
            State::On => {}
        }
        self.operations.set(self.operations.get() + 1);
        len
    }

    fn check(&self) -> Result<(), NorFlashErrorKind> {
        if self.state.get() == State::Off { Err(NorFlashErrorKind::Other) } else { Ok(()) }
    }
}

/// A flash that is written `WRITE` bytes at a time, each once, and erased `ERASE` bytes at a time.
#[derive(Debug)]
pub struct Simulated<const WRITE: usize, const ERASE: usize> {
    power: Rc<Power>,
    memory: Vec<u8>,
    /// Where the flash begins in `memory`.
    start: usize,
    /// Of each `WRITE` bytes, whether they may be written.
    erased: Vec<bool>,
}

impl<const WRITE: usize, const ERASE: usize> Simulated<WRITE, ERASE> {
    /// A flash full of random bytes.
    pub fn new(power: &Rc<Power>, len: usize) -> Self {
        assert!(len.is_multiple_of(ERASE) && ERASE.is_multiple_of(WRITE));
        let memory = vec![0; len + ALIGN];
        let start = memory.as_ptr().align_offset(ALIGN);
        let mut flash = Self { power: power.clone(), memory, start, erased: vec![false; len / WRITE] };
        flash.disturb(0..len);
        flash
    }

    fn at(&mut self, range: Range<usize>) -> &mut [u8] {
        &mut self.memory[self.start + range.start..self.start + range.end]
    }

    /// Leaves random bytes, as a write or an erasure does that does not end.
    fn disturb(&mut self, range: Range<usize>) {
        let power = self.power.clone();
        self.at(range.clone()).iter_mut().for_each(|byte| *byte = power.random(256) as u8);
        self.erased[range.start / WRITE..range.end / WRITE].fill(false);
    }
}

impl<const WRITE: usize, const ERASE: usize> ErrorType for Simulated<WRITE, ERASE> {
    type Error = NorFlashErrorKind;
}

impl<const WRITE: usize, const ERASE: usize> ReadNorFlash for Simulated<WRITE, ERASE> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        self.power.check()?;
        check_read(self, offset, bytes.len())?;
        bytes.copy_from_slice(self.at(offset as usize..offset as usize + bytes.len()));
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.erased.len() * WRITE
    }
}

impl<const WRITE: usize, const ERASE: usize> NorFlash for Simulated<WRITE, ERASE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        for sector in (from as usize..to as usize).step_by(ERASE) {
            self.power.check()?;
            // Before the first and after the last of three steps the bytes are what they should be.
            match self.power.steps(3) {
                0 => {}
                3 => {
                    self.at(sector..sector + ERASE).fill(0xFF);
                    self.erased[sector / WRITE..(sector + ERASE) / WRITE].fill(true);
                }
                _ => self.disturb(sector..sector + ERASE),
            }
            self.power.check()?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        self.power.check()?;
        let words = bytes.len() / WRITE;
        let made = self.power.steps(words * 2) / 2;
        for (index, word) in bytes.chunks(WRITE).enumerate().take(made) {
            let start = offset as usize + index * WRITE;
            assert!(self.erased[start / WRITE], "a word at {start} is written that was not erased");
            self.erased[start / WRITE] = false;
            self.at(start..start + WRITE).copy_from_slice(word);
        }
        if made < words && self.power.check().is_err() {
            // The word at which power failed has some of its bits written.
            let start = offset as usize + made * WRITE;
            let power = self.power.clone();
            let word = bytes[made * WRITE..(made + 1) * WRITE].iter();
            let torn: Vec<u8> = word.map(|&byte| byte | power.random(256) as u8).collect();
            self.at(start..start + WRITE).copy_from_slice(&torn);
            self.erased[start / WRITE] = false;
        }
        self.power.check()
    }
}

impl<const WRITE: usize, const ERASE: usize> MappedFlash for Simulated<WRITE, ERASE> {
    fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.capacity()]
    }
}
