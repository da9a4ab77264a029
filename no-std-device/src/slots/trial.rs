//! Whether a slot's model has proved itself: words of flash behind its record, of which each is written once.

use embedded_storage::nor_flash::NorFlash;

use super::RECORD_LEN;

/// So many starts a model has in which to prove itself; then the one before it runs again.
pub const ATTEMPTS: u32 = 3;
/// Most bytes of a flash's word.
const WORD_MAX: usize = 256;
/// Fewest bytes of a mark.
const MARK_MIN: usize = RECORD_LEN / 2;
/// Marks before a blob, the record's place included.
const PLACES: usize = 8;
/// What a mark is written with: anything but erased flash is one.
static MARK: [u8; WORD_MAX] = [0; WORD_MAX];

/// What has become of a slot's model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Standing {
    /// It has been started so often, and has not proved itself.
    Tentative {
        /// Starts so far; no more than [`ATTEMPTS`], which is how many marks a slot has for them.
        attempts: u32,
    },
    /// It has proved itself.
    Confirmed,
    /// Somebody asked for the one before.
    Rejected,
}

/// The marks of a slot, by their place behind the record, which takes two.
const FIRST_ATTEMPT: usize = 2;
const CONFIRMED: usize = FIRST_ATTEMPT + ATTEMPTS as usize;
const REJECTED: usize = CONFIRMED + 1;

/// Bytes of a mark: a word of the flash or more.
const fn mark_len<F: NorFlash>() -> usize {
    const { assert!(F::WRITE_SIZE <= WORD_MAX && WORD_MAX.is_multiple_of(F::WRITE_SIZE) && REJECTED < PLACES) };
    if F::WRITE_SIZE > MARK_MIN { F::WRITE_SIZE } else { MARK_MIN }
}

/// Bytes of a slot before its blob: 256, or more where the flash's words are longer than 32 bytes.
#[must_use]
pub const fn record_space<F: NorFlash>() -> usize {
    PLACES * mark_len::<F>()
}

impl Standing {
    /// What the marks of a slot say. A mark that cannot be read, or was written in part, counts as one.
    pub(super) fn read<F: NorFlash>(slot: &mut F) -> Self {
        let mut marked = |place| {
            let mut bytes = [0; MARK_MIN];
            let read = slot.read((place * mark_len::<F>()) as u32, &mut bytes);
            read.is_err() || bytes != [0xFF; MARK_MIN]
        };
        if marked(REJECTED) {
            Self::Rejected
        } else if marked(CONFIRMED) {
            Self::Confirmed
        } else {
            // The last one that is marked counts, whatever has become of those before.
            let last = (1..=ATTEMPTS).rev().find(|&attempt| marked(FIRST_ATTEMPT + attempt as usize - 1));
            Self::Tentative { attempts: last.unwrap_or(0) }
        }
    }
}

/// Notes that the model of a slot is started once more, of so many attempts so far; false when it had all of them, or when
/// that cannot be written.
pub(super) fn attempt<F: NorFlash>(slot: &mut F, attempts: u32) -> bool {
    attempts < ATTEMPTS && mark(slot, FIRST_ATTEMPT + attempts as usize)
}

/// Notes that the model of a slot has proved itself; false when that cannot be written.
pub fn confirm<F: NorFlash>(slot: &mut F) -> bool {
    mark(slot, CONFIRMED)
}

/// Notes that the model of a slot is not to run any more; false when that cannot be written.
pub fn reject<F: NorFlash>(slot: &mut F) -> bool {
    mark(slot, REJECTED)
}

fn mark<F: NorFlash>(slot: &mut F, place: usize) -> bool {
    let bytes = MARK.get(..mark_len::<F>()).unwrap_or_default();
    slot.write((place * mark_len::<F>()) as u32, bytes).is_ok()
}
