//! The slots for models: two megabytes of the flash, behind the firmware.

use core::slice;

use embassy_rp::Peri;
use embassy_rp::flash::{Blocking, ERASE_SIZE, Error, FLASH_BASE, Flash, PAGE_SIZE};
use embassy_rp::peripherals::FLASH;
use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use no_std_device::MappedFlash;

/// Length of the board's flash.
const FLASH_LEN: usize = 4 * 1024 * 1024;
/// Start of the first slot, from that of the flash: the length of what `memory.x` gives the firmware.
const START: u32 = 1024 * 1024;
/// Length of a slot.
const LEN: usize = 1024 * 1024;

/// One slot.
pub struct Slot {
    flash: Flash<'static, FLASH, Blocking, FLASH_LEN>,
    /// From the start of the flash.
    start: u32,
}

impl Slot {
    /// Both slots.
    pub fn both(flash: Peri<'static, FLASH>) -> [Self; 2] {
        // SAFETY: the two drivers have no state, are used by the same thread only, and end each operation before its
        // function returns.
        let other = unsafe { flash.clone_unchecked() };
        [
            Self { flash: Flash::new_blocking(flash), start: START },
            Self { flash: Flash::new_blocking(other), start: START + LEN as u32 },
        ]
    }

    fn offset(&self, offset: u32, len: usize) -> Result<u32, Error> {
        let end = (offset as usize).checked_add(len).filter(|&end| end <= LEN);
        end.map(|_| self.start + offset).ok_or(Error::OutOfBounds)
    }
}

impl ErrorType for Slot {
    type Error = Error;
}

impl ReadNorFlash for Slot {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Error> {
        self.flash.blocking_read(self.offset(offset, bytes.len())?, bytes)
    }

    fn capacity(&self) -> usize {
        LEN
    }
}

impl NorFlash for Slot {
    const WRITE_SIZE: usize = PAGE_SIZE;
    const ERASE_SIZE: usize = ERASE_SIZE;

    /// Interrupts wait while a sector of 4 KB is erased, but not from the first sector to the last.
    fn erase(&mut self, from: u32, to: u32) -> Result<(), Error> {
        let len = to.checked_sub(from).ok_or(Error::OutOfBounds)? as usize;
        let start = self.offset(from, len)?;
        let end = start + len as u32;
        (start..end).step_by(ERASE_SIZE).try_for_each(|sector| {
            let next = sector + ERASE_SIZE as u32;
            self.flash.blocking_erase(sector, next.min(end))
        })
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Error> {
        self.flash.blocking_write(self.offset(offset, bytes.len())?, bytes)
    }
}

impl MappedFlash for Slot {
    fn bytes(&self) -> &[u8] {
        let start = FLASH_BASE.cast::<u8>().wrapping_add(self.start as usize);
        // SAFETY: the slot is flash that nothing else uses, bytes are valid whatever they are, and only this value writes
        // there, through an exclusive reference; the driver empties the flash's cache when it has written.
        unsafe { slice::from_raw_parts(start, LEN) }
    }
}
