//! Two slots for blobs in flash: one runs while the other is written, and power may be lost at any moment.
//!
//! A slot begins with its record in [`record_space`] bytes; its blob follows. The record is written last, when everything
//! about the blob has been checked, and it is the switch: the slot with the newer of two valid records runs.
//! An update erases the other slot sector by sector, from its record on. So whatever an interruption leaves behind, either
//! the new record is there and its blob complete, or the old slot is untouched and still the one that runs.

mod record;
mod trial;
mod wear;

use crate::link::{Identity, UpdateError, WRITE_ALIGN};
use no_std_infer::bounded::Bounded;

use crate::board::MappedFlash;
use crate::update::PIECE;

pub use record::{RECORD_LEN, Record};
pub use trial::{ATTEMPTS, Standing, record_space};
pub use trial::{confirm, reject};
pub(crate) use wear::Wear;

/// Two slots, of which one may run.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SlotPair<'s, F> {
    /// The slot whose blob is to run, or any where there is none.
    pub running: &'s mut F,
    /// What it says about its blob; `None` when neither slot holds one that is usable.
    pub record: Option<Record>,
    /// True while that blob has not proved itself.
    pub tentative: bool,
    /// The slot that an update goes to.
    pub idle: Idle<'s, F>,
}

impl<'s, F: MappedFlash> SlotPair<'s, F> {
    /// Chooses the newest blob that is whole and `usable`. The older blob is looked at only when the newer one cannot be used: an update
    /// may have erased half of it. A blob that has not proved itself has so many [`ATTEMPTS`], of which this notes one. Calls `feed`
    /// after each [`PIECE`] bytes that it reads.
    pub fn open(slots: [&'s mut F; 2], feed: &dyn Fn(), usable: impl Fn(&[u8]) -> bool) -> Self {
        let [mut newer, mut older] = slots.map(Held::read);
        let swapped = match (&newer.record, &older.record) {
            (Some(first), Some(second)) => second.is_newer(first),
            (first, _) => first.is_none(),
        };
        if swapped {
            core::mem::swap(&mut newer, &mut older);
        }
        let floor = newer.highest().max(older.highest());
        let (runs, kept, idle) = if newer.starts(feed, &usable) {
            (true, newer, older)
        } else if older.starts(feed, &usable) {
            (true, older, newer)
        } else {
            (false, newer, older)
        };
        // The record of the idle slot is gone before another one is written.
        let sequence = kept.record.map_or(0, |record| record.sequence).wrapping_add(1);
        let tentative = runs && kept.standing != Standing::Confirmed;
        let record = kept.record.filter(|_| runs);
        Self { running: kept.slot, record, tentative, idle: Idle::new(idle.slot, sequence, floor) }
    }

    /// The blob that is to run.
    #[must_use]
    pub fn blob(&self) -> Option<&[u8]> {
        self.record.map(|record| record.bytes(self.running))
    }
}

/// What a slot says about itself.
struct Held<'s, F> {
    slot: &'s mut F,
    record: Option<Record>,
    standing: Standing,
}

impl<'s, F: MappedFlash> Held<'s, F> {
    fn read(slot: &'s mut F) -> Self {
        let record = Record::read(slot);
        let standing = if record.is_some() { Standing::read(slot) } else { Standing::Rejected };
        Self { slot, record, standing }
    }

    /// The greatest number that counts: a blob's own only when it has proved itself.
    fn highest(&self) -> Option<u32> {
        let record = self.record?;
        if self.standing == Standing::Confirmed { record.highest() } else { record.floor }
    }

    /// Whether the blob is to run. An attempt is noted before anything of it is read, so that it counts whatever happens then.
    fn starts(&mut self, feed: &dyn Fn(), usable: impl Fn(&[u8]) -> bool) -> bool {
        let Some(record) = self.record else { return false };
        let allowed = match self.standing {
            Standing::Tentative { attempts } => trial::attempt(self.slot, attempts),
            Standing::Confirmed => true,
            Standing::Rejected => false,
        };
        allowed && record.is_whole(self.slot, feed) && usable(record.bytes(self.slot))
    }
}

/// The slot that does not run, and what has been written to it.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Idle<'s, F> {
    slot: &'s mut F,
    // Goes round: see `Record::is_newer`.
    sequence: u32,
    floor: Option<u32>,
    progress: Option<Progress>,
}

/// How far an update has come.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Progress {
    blob: Identity,
    // Both are at most the slot's capacity, whose bytes a `NorFlash` counts in 32 bits: `begin` takes no longer blob.
    /// Bytes of the blob that have been written.
    received: u32,
    /// Bytes of the slot that have been erased.
    erased: u32,
}

impl Progress {
    /// How many of these bytes are to be written there.
    fn counting(&self, offset: u32, bytes: &[u8]) -> usize {
        let missing = self.blob.len.minus(self.received) as usize;
        match bytes.len() {
            _ if offset != self.received => 0,
            len if len < missing => len - len % WRITE_ALIGN,
            _ => missing,
        }
    }
}

impl<'s, F: MappedFlash> Idle<'s, F> {
    /// The slot, the sequence number of the record that it will get, which follows that of the other slot's, and the
    /// greatest number that a model had so far.
    pub fn new(slot: &'s mut F, sequence: u32, floor: Option<u32>) -> Self {
        const { assert!(WRITE_ALIGN.is_multiple_of(F::WRITE_SIZE) && RECORD_LEN.is_multiple_of(F::READ_SIZE)) };
        Self { slot, sequence, floor, progress: None }
    }

    /// The greatest number that a model of the device had so far.
    pub fn floor(&self) -> Option<u32> {
        self.floor
    }

    /// A model that is in no slot has this number as well.
    pub fn raise_floor(&mut self, number: Option<u32>) {
        self.floor = self.floor.max(number);
    }

    /// Longest blob in bytes.
    pub fn blob_max(&self) -> u32 {
        self.slot.capacity().saturating_sub(record_space::<F>()) as u32
    }

    /// Announces a blob. Gives how many bytes have arrived: 0, or more when it has been announced before.
    ///
    /// # Errors
    /// [`UpdateError::Length`].
    pub fn begin(&mut self, blob: Identity) -> Result<u32, UpdateError> {
        if blob.len == 0 || blob.len > self.blob_max() {
            return Err(UpdateError::Length { slot: self.blob_max() });
        }
        match self.progress {
            Some(progress) if progress.blob == blob => Ok(progress.received),
            _ => {
                self.progress = Some(Progress { blob, received: 0, erased: 0 });
                Ok(0)
            }
        }
    }

    /// Whether writing these bytes there would erase the slot's first sector, and so begin to rewrite it.
    pub fn would_rewrite(&self, offset: u32, bytes: &[u8]) -> bool {
        self.progress.is_some_and(|progress| progress.erased == 0 && progress.counting(offset, bytes) > 0)
    }

    /// Writes bytes when `offset` is how many have arrived, of a multiple of [`WRITE_ALIGN`] as many as there are unless
    /// they end the blob. Gives how many have arrived now. Erases no sector but those that the bytes need. Calls `feed`
    /// after each sector that it erases, and after each [`PIECE`] bytes that it programs.
    ///
    /// # Errors
    /// [`UpdateError::NotBegun`]; [`UpdateError::Flash`], after which the update has to begin anew.
    pub fn write(&mut self, offset: u32, bytes: &[u8], feed: &dyn Fn()) -> Result<u32, UpdateError> {
        let mut progress = self.progress.ok_or(UpdateError::NotBegun)?;
        let len = progress.counting(offset, bytes);
        if len == 0 {
            return Ok(progress.received);
        }
        let bytes = bytes.get(..len).unwrap_or_default();
        // Half an update is none until all of this has worked.
        self.progress = None;
        let start = (record_space::<F>() as u32).plus(offset);
        let end = start.plus(len as u32);
        while progress.erased < end {
            let sector = progress.erased..progress.erased.plus(F::ERASE_SIZE as u32);
            self.slot.erase(sector.start, sector.end).map_err(|_| UpdateError::Flash)?;
            progress.erased = sector.end;
            feed();
        }
        self.program(start, bytes, feed)?;
        progress.received = progress.received.plus(len as u32);
        self.progress = Some(progress);
        Ok(progress.received)
    }

    /// Whether all of the blob has been written.
    ///
    /// # Errors
    /// [`UpdateError::NotBegun`] also when another blob was announced; [`UpdateError::Incomplete`].
    pub fn complete(&self, blob: &Identity) -> Result<(), UpdateError> {
        let progress = self.progress.filter(|progress| progress.blob == *blob).ok_or(UpdateError::NotBegun)?;
        if progress.received < progress.blob.len {
            return Err(UpdateError::Incomplete { received: progress.received });
        }
        Ok(())
    }

    /// The complete blob, once the flash has given it back. Calls `feed` after each [`PIECE`] bytes that it reads.
    ///
    /// # Errors
    /// Those of [`Self::complete`]; [`UpdateError::Digest`] when the slot holds other bytes than those of the blob, or they cannot be
    /// read.
    pub fn whole(&mut self, blob: &Identity, feed: &dyn Fn()) -> Result<&[u8], UpdateError> {
        self.complete(blob)?;
        let record = self.record(*blob, None);
        if record.is_whole(self.slot, feed) { Ok(record.bytes(self.slot)) } else { Err(UpdateError::Digest) }
    }

    /// Forgets what has been written: the update has to begin anew.
    pub fn abandon(&mut self) {
        self.progress = None;
    }

    /// Writes the record: from now on, this is the slot that runs. To be called when the complete blob has been checked; its
    /// model has this number.
    ///
    /// # Errors
    /// Those of [`Self::complete`]; [`UpdateError::Flash`].
    pub fn switch(&mut self, blob: &Identity, number: Option<u32>, feed: &dyn Fn()) -> Result<(), UpdateError> {
        self.complete(blob)?;
        self.progress = None;
        let record = self.record(*blob, number);
        self.program(0, &record.to_bytes(), feed)?;
        if Record::read(self.slot) == Some(record) { Ok(()) } else { Err(UpdateError::Flash) }
    }

    /// The slot. What has been written to it is forgotten.
    pub fn into_slot(self) -> &'s mut F {
        self.slot
    }

    fn record(&self, blob: Identity, number: Option<u32>) -> Record {
        Record { sequence: self.sequence, blob, number, floor: self.floor }
    }

    /// Writes to erased flash, and calls `feed` after each write; what is missing to a whole word stays erased.
    fn program(&mut self, offset: u32, bytes: &[u8], feed: &dyn Fn()) -> Result<(), UpdateError> {
        let whole = bytes.len() - bytes.len() % F::WRITE_SIZE;
        let (whole, rest) = bytes.split_at_checked(whole).unwrap_or_default();
        let mut word = [0xFF; WRITE_ALIGN];
        word.iter_mut().zip(rest).for_each(|(slot, &byte)| *slot = byte);
        let word = word.get(..rest.len().next_multiple_of(F::WRITE_SIZE)).unwrap_or_default();
        let pieces = (offset..u32::MAX).step_by(PIECE).zip(whole.chunks(PIECE));
        let last = (offset.plus(whole.len() as u32), word);
        for (offset, bytes) in pieces.chain([last].into_iter().filter(|(_, word)| !word.is_empty())) {
            self.slot.write(offset, bytes).map_err(|_| UpdateError::Flash)?;
            feed();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
