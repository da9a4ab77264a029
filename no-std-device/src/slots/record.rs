//! What a slot says about its blob.

use crate::link::{Identity, READ, WRITE_ALIGN};
use embedded_storage::nor_flash::NorFlash;
use no_std_infer::CRC32;
use no_std_infer::bounded::Bounded;

use super::record_space;
use crate::board::MappedFlash;

/// Length of a record in bytes.
pub const RECORD_LEN: usize = 64;
/// The first bytes of a record, which tell it from those of other versions.
const MAGIC: [u8; 4] = *b"slt2";

/// What a slot says about its blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Record {
    /// The [newer](Self::is_newer) one runs.
    pub sequence: u32,
    /// Which blob it is.
    pub blob: Identity,
    /// The model's number, if it has one.
    pub number: Option<u32>,
    /// The greatest number that the device had taken, or had built in, before this one.
    pub floor: Option<u32>,
}

impl Record {
    /// The magic, three fields of little-endian numbers around the digest, and the CRC-32 of all of that. A number that may
    /// be missing is one more in eight bytes, or 0.
    pub(super) fn to_bytes(self) -> [u8; RECORD_LEN] {
        let optional = |number: Option<u32>| number.map_or(0, |number| u64::from(number) + 1).to_le_bytes();
        let mut bytes = [0; RECORD_LEN];
        let fields: [&[u8]; 6] = [
            &MAGIC,
            &self.sequence.to_le_bytes(),
            &self.blob.len.to_le_bytes(),
            &self.blob.sha256,
            &optional(self.number),
            &optional(self.floor),
        ];
        bytes.iter_mut().zip(fields.into_iter().flatten()).for_each(|(slot, &byte)| *slot = byte);
        let crc = checksum(&bytes);
        bytes.last_chunk_mut().into_iter().for_each(|slot| *slot = crc.to_le_bytes());
        bytes
    }

    /// The other direction; `None` for other bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; RECORD_LEN]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        let (len, rest) = rest.split_first_chunk()?;
        let (sha256, rest) = rest.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (floor, own) = rest.split_first_chunk()?;
        let optional = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes).checked_sub(1).map(|number| number as u32);
        let intact = *magic == MAGIC && checksum(bytes).to_le_bytes() == *own;
        intact.then_some(Self {
            sequence: u32::from_le_bytes(*sequence),
            blob: Identity { len: u32::from_le_bytes(*len), sha256: *sha256 },
            number: optional(number),
            floor: optional(floor),
        })
    }

    /// The record of a slot; `None` when nothing was written there, or not to its end.
    ///
    /// Nothing else of a slot is read before its record says that it is whole: some flashes fail to read what power left
    /// half-written, and such an error counts as no record.
    pub fn read<F: NorFlash>(slot: &mut F) -> Option<Self> {
        let mut bytes = [0; RECORD_LEN];
        slot.read(0, &mut bytes).ok()?;
        let record = Self::from_bytes(&bytes)?;
        let end = (record.blob.len as usize).checked_add(record_space::<F>())?;
        (end <= slot.capacity()).then_some(record)
    }

    /// Whether the blob is there and can be read. The flash's driver reads it, as it does the record: where the processor itself
    /// reads a word that the flash has lost, it may stop. Calls `feed` after each [`PIECE`](crate::PIECE) bytes.
    pub fn is_whole<F: NorFlash>(&self, slot: &mut F, feed: &dyn Fn()) -> bool {
        const { assert!(READ.is_multiple_of(F::READ_SIZE) && F::READ_SIZE <= WRITE_ALIGN) };
        let start = record_space::<F>() as u32;
        let read = |offset: u32, bytes: &mut [u8]| {
            let whole = bytes.len() - bytes.len() % F::READ_SIZE;
            let (whole, rest) = bytes.split_at_mut_checked(whole).unwrap_or_default();
            slot.read(start.plus(offset), whole)?;
            if rest.is_empty() {
                return Ok(());
            }
            let mut word = [0; WRITE_ALIGN];
            let word = word.get_mut(..F::READ_SIZE).unwrap_or_default();
            slot.read(start.plus(offset).plus(whole.len() as u32), word)?;
            rest.iter_mut().zip(word).for_each(|(byte, &mut read)| *byte = read);
            Ok::<(), F::Error>(())
        };
        Identity::read(self.blob.len, read, feed).is_ok_and(|found| found == self.blob)
    }

    /// The bytes where its blob lies. They are mapped: to be read when the blob [is whole](Self::is_whole).
    pub fn bytes<'f, F: MappedFlash>(&self, slot: &'f F) -> &'f [u8] {
        let blob = slot.bytes().get(record_space::<F>()..).and_then(|bytes| bytes.get(..self.blob.len as usize));
        blob.unwrap_or_default()
    }

    /// The greatest number that the device has taken by this record, where its blob has proved itself.
    #[must_use]
    pub fn highest(&self) -> Option<u32> {
        self.number.max(self.floor)
    }

    /// Whether it was written after the other one. Numbers go round as serial numbers do: of two records of a device the one
    /// was written with the sequence number that follows the other's, so that any difference below half of all numbers tells
    /// which is which.
    #[must_use]
    pub fn is_newer(&self, other: &Self) -> bool {
        (self.sequence.wrapping_sub(other.sequence) as i32) > 0
    }
}

/// CRC-32 of all bytes of a record but its own.
fn checksum(bytes: &[u8; RECORD_LEN]) -> u32 {
    CRC32.checksum(bytes.split_last_chunk::<4>().map_or(&[], |(fields, _)| fields))
}
