//! Two slots for blobs in flash: one runs while the other is written, and power may be lost at any moment.
//!
//! A slot begins with its record in [`RECORD_SPACE`] bytes; its blob follows. The record is written last, when everything
//! about the blob has been checked, and it is the switch: the slot with the valid record of the higher sequence number runs.
//! An update erases the other slot sector by sector, from its record on. So whatever an interruption leaves behind, either
//! the new record is there and its blob complete, or the old slot is untouched and still the one that runs.

use crate::link::{UpdateError, WRITE_ALIGN};
use embedded_storage::nor_flash::ReadNorFlash;
use no_std_infer::CRC32;

use crate::board::MappedFlash;
use crate::update::PIECE;

/// Bytes of a slot before its blob.
pub const RECORD_SPACE: usize = WRITE_ALIGN;
/// Length of a record in bytes.
pub const RECORD_LEN: usize = 16;

/// What a slot says about its blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Record {
    /// The higher one runs.
    pub sequence: u32,
    /// Length of the blob in bytes.
    pub len: u32,
    /// CRC-32 in the blob's header.
    pub crc: u32,
}

impl Record {
    /// Three little-endian words and the CRC-32 of their bytes.
    fn to_bytes(self) -> [u8; RECORD_LEN] {
        let mut bytes = [0; RECORD_LEN];
        let (words, _) = bytes.as_chunks_mut();
        for (slot, word) in words.iter_mut().zip([self.sequence, self.len, self.crc]) {
            *slot = word.to_le_bytes();
        }
        let crc = checksum(&bytes);
        bytes.last_chunk_mut().into_iter().for_each(|slot| *slot = crc.to_le_bytes());
        bytes
    }

    /// The other direction; `None` for other bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; RECORD_LEN]) -> Option<Self> {
        let (words, _) = bytes.as_chunks();
        let &[sequence, len, crc, own] = words else { return None };
        let [sequence, len, crc, own] = [sequence, len, crc, own].map(u32::from_le_bytes);
        (checksum(bytes) == own).then_some(Self { sequence, len, crc })
    }

    /// The record of a slot; `None` when nothing was written there, or not to its end.
    ///
    /// Nothing else of a slot is read before its record says that it is whole: some flashes fail to read what power left
    /// half-written, and such an error counts as no record.
    pub fn read(slot: &mut impl ReadNorFlash) -> Option<Self> {
        let mut bytes = [0; RECORD_LEN];
        slot.read(0, &mut bytes).ok()?;
        let record = Self::from_bytes(&bytes)?;
        let end = (record.len as usize).checked_add(RECORD_SPACE)?;
        (end <= slot.capacity()).then_some(record)
    }

    /// The blob that it speaks of.
    pub fn blob<'f>(&self, slot: &'f impl MappedFlash) -> &'f [u8] {
        let blob = slot.bytes().get(RECORD_SPACE..).and_then(|bytes| bytes.get(..self.len as usize));
        blob.unwrap_or_default()
    }
}

/// CRC-32 of a record's words.
fn checksum(bytes: &[u8; RECORD_LEN]) -> u32 {
    CRC32.checksum(bytes.split_last_chunk::<4>().map_or(&[], |(words, _)| words))
}

/// Two slots, of which one may run.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SlotPair<'s, F> {
    /// The slot whose blob is to run, or any where there is none.
    pub running: &'s mut F,
    /// What it says about its blob; `None` when neither slot holds one that is usable.
    pub record: Option<Record>,
    /// The slot that an update goes to.
    pub idle: Idle<'s, F>,
}

impl<'s, F: MappedFlash> SlotPair<'s, F> {
    /// Chooses the newest blob that is `usable`. The older blob is looked at only when the newer one cannot be used: an update
    /// may have erased half of it.
    pub fn open(slots: [&'s mut F; 2], usable: impl Fn(&[u8]) -> bool) -> Self {
        let sequence = |record: &Option<Record>| record.map_or(0, |record| record.sequence);
        let [mut newer, mut older] = slots.map(|slot| (Record::read(slot), slot));
        if sequence(&older.0) > sequence(&newer.0) {
            core::mem::swap(&mut newer, &mut older);
        }
        let next = sequence(&newer.0).saturating_add(1);
        let works = |(record, slot): &(Option<Record>, &mut F)| record.is_some_and(|record| usable(record.blob(*slot)));
        let (record, running, idle) = if works(&newer) {
            (newer.0, newer.1, older.1)
        } else if works(&older) {
            (older.0, older.1, newer.1)
        } else {
            (None, newer.1, older.1)
        };
        Self { running, record, idle: Idle::new(idle, next) }
    }

    /// The blob that is to run.
    #[must_use]
    pub fn blob(&self) -> Option<&[u8]> {
        self.record.map(|record| record.blob(self.running))
    }
}

/// The slot that does not run, and what has been written to it.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Idle<'s, F> {
    slot: &'s mut F,
    sequence: u32,
    progress: Option<Progress>,
}

/// How far an update has come.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Progress {
    len: u32,
    crc: u32,
    /// Bytes of the blob that have been written.
    received: u32,
    /// Bytes of the slot that have been erased.
    erased: u32,
}

impl<'s, F: MappedFlash> Idle<'s, F> {
    /// The slot, and the sequence number of the record that it will get: greater than those of both records.
    pub fn new(slot: &'s mut F, sequence: u32) -> Self {
        const { assert!(WRITE_ALIGN.is_multiple_of(F::WRITE_SIZE) && RECORD_LEN.is_multiple_of(F::READ_SIZE)) };
        Self { slot, sequence, progress: None }
    }

    /// Longest blob in bytes.
    pub fn blob_max(&self) -> u32 {
        self.slot.capacity().saturating_sub(RECORD_SPACE) as u32
    }

    /// Announces a blob. Gives how many bytes have arrived: 0, or more when it has been announced before.
    ///
    /// # Errors
    /// [`UpdateError::Length`].
    pub fn begin(&mut self, len: u32, crc: u32) -> Result<u32, UpdateError> {
        if len == 0 || len > self.blob_max() {
            return Err(UpdateError::Length { slot: self.blob_max() });
        }
        match self.progress {
            Some(progress) if (progress.len, progress.crc) == (len, crc) => Ok(progress.received),
            _ => {
                self.progress = Some(Progress { len, crc, received: 0, erased: 0 });
                Ok(0)
            }
        }
    }

    /// Writes bytes when `offset` is how many have arrived, of a multiple of [`WRITE_ALIGN`] as many as there are unless
    /// they end the blob. Gives how many have arrived now. Calls `feed` after each sector that it erases, and after each
    /// [`PIECE`] bytes that it programs.
    ///
    /// # Errors
    /// [`UpdateError::NotBegun`]; [`UpdateError::Flash`], after which the update has to begin anew.
    pub fn write(&mut self, offset: u32, bytes: &[u8], feed: &dyn Fn()) -> Result<u32, UpdateError> {
        let mut progress = self.progress.ok_or(UpdateError::NotBegun)?;
        if offset != progress.received {
            return Ok(progress.received);
        }
        let missing = (progress.len - offset) as usize;
        let len = if bytes.len() < missing { bytes.len() - bytes.len() % WRITE_ALIGN } else { missing };
        let bytes = bytes.get(..len).unwrap_or_default();
        // Half an update is none until all of this has worked.
        self.progress = None;
        let start = RECORD_SPACE as u32 + offset;
        let end = start + len as u32;
        while progress.erased < end {
            let sector = progress.erased..progress.erased + F::ERASE_SIZE as u32;
            self.slot.erase(sector.start, sector.end).map_err(|_| UpdateError::Flash)?;
            progress.erased = sector.end;
            feed();
        }
        self.program(start, bytes, feed)?;
        progress.received += len as u32;
        self.progress = Some(progress);
        Ok(progress.received)
    }

    /// The complete blob.
    ///
    /// # Errors
    /// [`UpdateError::NotBegun`] also when another blob was announced; [`UpdateError::Incomplete`].
    pub fn complete(&self, crc: u32) -> Result<&[u8], UpdateError> {
        let progress = self.progress.filter(|progress| progress.crc == crc).ok_or(UpdateError::NotBegun)?;
        if progress.received < progress.len {
            return Err(UpdateError::Incomplete { received: progress.received });
        }
        Ok(self.record(&progress).blob(self.slot))
    }

    /// Forgets what has been written: the update has to begin anew.
    pub fn abandon(&mut self) {
        self.progress = None;
    }

    /// Writes the record: from now on, this is the slot that runs. To be called when the complete blob has been checked.
    ///
    /// # Errors
    /// Those of [`Self::complete`]; [`UpdateError::Flash`].
    pub fn switch(&mut self, crc: u32, feed: &dyn Fn()) -> Result<(), UpdateError> {
        self.complete(crc)?;
        let progress = self.progress.take().ok_or(UpdateError::NotBegun)?;
        let record = self.record(&progress);
        self.program(0, &record.to_bytes(), feed)?;
        if Record::read(self.slot) == Some(record) { Ok(()) } else { Err(UpdateError::Flash) }
    }

    /// The slot. What has been written to it is forgotten.
    pub fn into_slot(self) -> &'s mut F {
        self.slot
    }

    fn record(&self, progress: &Progress) -> Record {
        Record { sequence: self.sequence, len: progress.len, crc: progress.crc }
    }

    /// Writes to erased flash, and calls `feed` after each write; what is missing to a whole word stays erased.
    fn program(&mut self, offset: u32, bytes: &[u8], feed: &dyn Fn()) -> Result<(), UpdateError> {
        let whole = bytes.len() - bytes.len() % F::WRITE_SIZE;
        let (whole, rest) = bytes.split_at_checked(whole).unwrap_or_default();
        let mut word = [0xFF; WRITE_ALIGN];
        word.iter_mut().zip(rest).for_each(|(slot, &byte)| *slot = byte);
        let word = word.get(..rest.len().next_multiple_of(F::WRITE_SIZE)).unwrap_or_default();
        let pieces = (offset..).step_by(PIECE).zip(whole.chunks(PIECE));
        let last = (offset + whole.len() as u32, word);
        for (offset, bytes) in pieces.chain([last].into_iter().filter(|(_, word)| !word.is_empty())) {
            self.slot.write(offset, bytes).map_err(|_| UpdateError::Flash)?;
            feed();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
