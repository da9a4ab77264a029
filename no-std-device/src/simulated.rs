//! Flash as unkind as the real one: it is written only where it was erased, power fails in the middle of things, and what it
//! holds may be damaged, unreadable or unsteady.

use std::cell::Cell;
use std::ops::Range;
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};
use no_std_infer::format::ALIGN;

use crate::{MappedFlash, PIECE, record_space};

/// The power of several flashes, and their source of random numbers.
#[derive(Debug)]
pub struct Power {
    state: Cell<State>,
    operations: Cell<u32>,
    /// Operations since the watchdog was fed last, and the most there have been.
    unfed: Cell<[u32; 2]>,
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
    /// Power that is on.
    pub fn new(seed: u32) -> Rc<Self> {
        Rc::new(Self {
            state: Cell::new(State::On),
            operations: Cell::new(0),
            unfed: Cell::default(),
            random: Cell::new(seed * 2 + 1),
        })
    }

    /// Lets it fail in the operation after so many.
    pub fn fail_after(&self, operations: u32) {
        self.state.set(State::FailsAfter(operations));
    }

    /// It is on again, whatever was to come.
    pub fn restore(&self) {
        self.state.set(State::On);
    }

    /// True from the operation on in which it fails.
    pub fn has_failed(&self) -> bool {
        self.state.get() == State::Off
    }

    /// Operations that were completed since the start.
    pub fn operations(&self) -> u32 {
        self.operations.get()
    }

    /// Tells that the watchdog is fed.
    pub fn feed(&self) {
        let [_, most] = self.unfed.get();
        self.unfed.set([0, most]);
    }

    /// Most operations that there have been between two feeds.
    pub fn most_unfed(&self) -> u32 {
        self.unfed.get()[1]
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
        let [unfed, most] = self.unfed.get();
        self.unfed.set([unfed + 1, most.max(unfed + 1)]);
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
    memory: Memory,
    /// What is read every other time, where that differs.
    second: Option<Memory>,
    /// Whether a read of the record fails every other time.
    unreadable: bool,
    /// State of each `WRITE` bytes.
    words: Vec<Word>,
    /// End of what was written since the first sector was erased.
    end: usize,
}

/// Bytes that begin at a multiple of 16.
#[derive(Debug)]
struct Memory {
    bytes: Vec<u8>,
    /// Where they begin.
    start: usize,
}

impl Memory {
    fn new(len: usize) -> Self {
        let bytes = vec![0; len + ALIGN];
        let start = bytes.as_ptr().align_offset(ALIGN);
        Self { bytes, start }
    }

    fn at(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[self.start + range.start..self.start + range.end]
    }

    fn at_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        &mut self.bytes[self.start + range.start..self.start + range.end]
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Word {
    Erased,
    Written,
    /// Power failed while it was erased or written: reading it may fail, or give anything.
    Torn,
    /// Its check bits do not fit: reading it fails.
    Lost,
}

impl<const WRITE: usize, const ERASE: usize> Simulated<WRITE, ERASE> {
    /// A flash full of random bytes.
    pub fn new(power: &Rc<Power>, len: usize) -> Self {
        assert!(len.is_multiple_of(ERASE) && ERASE.is_multiple_of(WRITE));
        let (memory, words) = (Memory::new(len), vec![Word::Torn; len / WRITE]);
        let mut flash = Self { power: power.clone(), memory, second: None, unreadable: false, words, end: 0 };
        flash.disturb(0..len);
        flash
    }

    /// Changes bits of the byte at this place, once and for all.
    pub fn damage(&mut self, at: usize, bits: u8) {
        self.memory.at_mut(at..at + 1)[0] ^= bits;
    }

    /// From now on every other look finds these bits of the byte at this place changed, whatever is written there; or none.
    pub fn unsettle(&mut self, at: usize, bits: u8) {
        let len = self.words.len() * WRITE;
        let mut second = Memory::new(len);
        second.at_mut(0..len).copy_from_slice(self.memory.at(0..len));
        second.at_mut(at..at + 1)[0] ^= bits;
        self.second = (bits > 0).then_some(second);
    }

    /// The flash loses the word at this place: no read of it succeeds any more.
    pub fn lose(&mut self, at: usize) {
        self.words[at / WRITE] = Word::Lost;
    }

    /// From now on every other read of the record fails; or none.
    pub fn make_unreadable(&mut self, unreadable: bool) {
        self.unreadable = unreadable;
    }

    /// What a look finds.
    fn seen(&self, range: Range<usize>) -> &[u8] {
        let second = self.second.as_ref().filter(|_| self.power.random(2) == 0);
        second.unwrap_or(&self.memory).at(range)
    }

    /// Puts bytes into both memories.
    fn put(&mut self, at: usize, bytes: &[u8]) {
        let range = at..at + bytes.len();
        if let Some(second) = &mut self.second {
            for (there, (first, new)) in
                second.at_mut(range.clone()).iter_mut().zip(self.memory.at(range.clone()).iter().zip(bytes))
            {
                *there ^= first ^ new;
            }
        }
        self.memory.at_mut(range).copy_from_slice(bytes);
    }

    /// The words that hold these bytes.
    fn words(&mut self, range: Range<usize>) -> &mut [Word] {
        &mut self.words[range.start / WRITE..range.end.div_ceil(WRITE)]
    }

    /// Leaves random bytes.
    fn disturb(&mut self, range: Range<usize>) {
        let bytes: Vec<u8> = range.clone().map(|_| self.power.random(256) as u8).collect();
        self.put(range.start, &bytes);
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
        let words = self.words(offset as usize..offset as usize + bytes.len());
        let (torn, lost) = (words.contains(&Word::Torn), words.contains(&Word::Lost));
        let unreadable = self.unreadable && (offset as usize) < record_space::<Self>();
        if lost || (torn || unreadable) && self.power.random(2) == 0 {
            return Err(NorFlashErrorKind::Other);
        }
        bytes.copy_from_slice(self.seen(offset as usize..offset as usize + bytes.len()));
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.words.len() * WRITE
    }
}

impl<const WRITE: usize, const ERASE: usize> NorFlash for Simulated<WRITE, ERASE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        for sector in (from as usize..to as usize).step_by(ERASE) {
            self.power.check()?;
            let range = sector..sector + ERASE;
            let steps = self.power.steps(4);
            let word = if steps == 4 { Word::Erased } else { Word::Torn };
            if steps > 0 {
                self.words(range.clone()).fill(word);
            }
            match steps {
                // What was there can still be read.
                0 | 1 => {}
                2 => self.disturb(range),
                // It reads as erased, whether it is or not.
                _ => self.put(sector, &[0xFF; ERASE]),
            }
            if sector == 0 && steps == 4 {
                self.end = 0;
            }
            self.power.check()?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        assert!(bytes.len() <= PIECE, "{} bytes at once", bytes.len());
        self.power.check()?;
        let words = bytes.len() / WRITE;
        let made = self.power.steps(words * 2) / 2;
        for (index, word) in bytes.chunks(WRITE).enumerate().take(made) {
            let start = offset as usize + index * WRITE;
            // Nobody can know of an erasure that was interrupted and reads as if it had ended.
            let seems_erased = self.memory.at(start..start + WRITE).iter().all(|&byte| byte == 0xFF);
            match self.words[start / WRITE] {
                Word::Erased => {
                    self.words[start / WRITE] = Word::Written;
                    self.put(start, word);
                }
                Word::Torn if seems_erased => self.disturb(start..start + WRITE),
                word => panic!("the word at {start} is {word:?}, and written"),
            }
        }
        if made < words && self.power.check().is_err() {
            // The word at which power failed has some of its bits written.
            let start = offset as usize + made * WRITE;
            let power = self.power.clone();
            let word = bytes[made * WRITE..(made + 1) * WRITE].iter();
            let torn: Vec<u8> = word.map(|&byte| byte | power.random(256) as u8).collect();
            self.put(start, &torn);
            self.words[start / WRITE] = Word::Torn;
        }
        self.end = self.end.max(offset as usize + bytes.len());
        self.power.check()
    }
}

impl<const WRITE: usize, const ERASE: usize> MappedFlash for Simulated<WRITE, ERASE> {
    /// Fails where a processor would: nothing of what was written behind the record may be torn or lost.
    fn bytes(&self) -> &[u8] {
        let blob = self.words.iter().take(self.end / WRITE).skip(record_space::<Self>() / WRITE);
        assert!(
            !blob.into_iter().any(|word| matches!(word, Word::Torn | Word::Lost)),
            "a word that stops the core is read"
        );
        self.seen(0..self.capacity())
    }
}
