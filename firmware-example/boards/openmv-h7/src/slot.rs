//! The slots for models: halves of the flash's bank 2.

use core::arch::asm;
use core::slice;
use core::sync::atomic::{Ordering, compiler_fence};

use cortex_m::peripheral::SCB;
use embassy_stm32::Peri;
use embassy_stm32::flash::{Blocking, Error, FLASH_BASE, Flash};
use embassy_stm32::pac;
use embassy_stm32::peripherals::FLASH;
use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use no_std_device::MappedFlash;

use crate::cache;

/// Start of bank 2, from that of the flash.
const BANK_2: u32 = 1024 * 1024;
/// Length of a slot.
const LEN: usize = 512 * 1024;
/// Index of bank 2 in the controller's registers.
const BANK_2_INDEX: usize = 1;
/// Bytes that are read back at a time.
const LOOK: usize = 256;
/// Ignore faults of data accesses while faults are masked (BFHFNMIGN).
const IGNORE_DATA_FAULTS: u32 = 1 << 8;

/// One slot.
pub struct Slot {
    flash: Flash<'static, Blocking>,
    /// From the start of the flash.
    start: u32,
}

impl Slot {
    /// Both slots.
    pub fn both(flash: Peri<'static, FLASH>) -> [Self; 2] {
        // SAFETY: the two drivers are used by the same thread only, each operation ends before its function returns, and
        // the controller keeps no state between operations.
        let other = unsafe { flash.clone_unchecked() };
        [
            Self { flash: Flash::new_blocking(flash), start: BANK_2 },
            Self { flash: Flash::new_blocking(other), start: BANK_2 + LEN as u32 },
        ]
    }

    fn address(&self) -> *const u8 {
        (FLASH_BASE + self.start as usize) as *const u8
    }

    /// Whether the flash gives these bytes. This is what an operation is judged by: of the controller's flags some are set by what
    /// the core reads ahead, and say nothing of what was erased or written.
    fn holds<'b>(&mut self, offset: u32, pieces: impl Iterator<Item = &'b [u8]>) -> Result<bool, Error> {
        let (mut offset, mut found) = (offset, [0; LOOK]);
        for expected in pieces {
            let found = found.get_mut(..expected.len()).ok_or(Error::Size)?;
            self.read(offset, found)?;
            if found != expected {
                return Ok(false);
            }
            offset += expected.len() as u32;
        }
        Ok(true)
    }

    fn range(&self, offset: u32, len: usize) -> Result<(u32, *const u8), Error> {
        let start = offset as usize;
        if start.checked_add(len).is_none_or(|end| end > LEN) {
            return Err(Error::Size);
        }
        Ok((self.start + offset, self.address().wrapping_add(start)))
    }
}

impl ErrorType for Slot {
    type Error = Error;
}

impl ReadNorFlash for Slot {
    const READ_SIZE: usize = 1;

    /// Fails where power was lost while the flash was written: its check bits do not fit, which must not stop the core.
    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Error> {
        let (_, address) = self.range(offset, bytes.len())?;
        clear_flags();
        copy_ignoring_faults(address, bytes);
        let damaged = pac::FLASH.bank(BANK_2_INDEX).sr().read().dbeccerr();
        clear_flags();
        cache::forget(address, bytes.len());
        if damaged { Err(Error::Prog) } else { Ok(()) }
    }

    fn capacity(&self) -> usize {
        LEN
    }
}

impl NorFlash for Slot {
    const WRITE_SIZE: usize = 32;
    const ERASE_SIZE: usize = 128 * 1024;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Error> {
        let len = to.checked_sub(from).ok_or(Error::Size)? as usize;
        let (start, address) = self.range(from, len)?;
        clear_flags();
        let outcome = self.flash.blocking_erase(start, start + len as u32);
        cache::forget(address, len);
        let erased = core::iter::repeat_n(&[0xFF; LOOK][..], len / LOOK);
        if self.holds(from, erased)? { Ok(()) } else { Err(outcome.err().unwrap_or(Error::Prog)) }
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Error> {
        let (start, address) = self.range(offset, bytes.len())?;
        clear_flags();
        let outcome = self.flash.blocking_write(start, bytes);
        cache::forget(address, bytes.len());
        if self.holds(offset, bytes.chunks(LOOK))? { Ok(()) } else { Err(outcome.err().unwrap_or(Error::Prog)) }
    }
}

impl MappedFlash for Slot {
    fn bytes(&self) -> &[u8] {
        // SAFETY: the slot is flash that nothing else uses, bytes are valid whatever they are, and only this value writes
        // there, through an exclusive reference.
        unsafe { slice::from_raw_parts(self.address(), LEN) }
    }
}

/// Clears every flag of the bank, a corrected bit's and a speculative read's among them. Each of them would make the driver's next
/// operation fail, and the driver clears them by the status register, which only shows them: they are cleared by a register of
/// their own (RM0433, FLASH_CCR).
fn clear_flags() {
    pac::FLASH.bank(BANK_2_INDEX).ccr().write(|clear| {
        clear.set_clr_eop(true);
        clear.set_clr_wrperr(true);
        clear.set_clr_pgserr(true);
        clear.set_clr_strberr(true);
        clear.set_clr_incerr(true);
        clear.set_clr_operr(true);
        clear.set_clr_rdperr(true);
        clear.set_clr_rdserr(true);
        clear.set_clr_sneccerr(true);
        clear.set_clr_dbeccerr(true);
        clear.set_clr_crcend(true);
    });
}

/// Copies from the flash with interrupts and faults masked.
fn copy_ignoring_faults(from: *const u8, to: &mut [u8]) {
    // SAFETY: the register's bit and the mask are set, and put back by the code that follows in this function; it calls
    // nothing that panics. The bytes that are read lie in a slot, as the caller has checked.
    unsafe {
        let control = &(*SCB::PTR).ccr;
        asm!("cpsid f");
        control.modify(|value| value | IGNORE_DATA_FAULTS);
        cortex_m::asm::dsb();
        for (index, byte) in to.iter_mut().enumerate() {
            *byte = from.add(index).read_volatile();
        }
        cortex_m::asm::dsb();
        compiler_fence(Ordering::SeqCst);
        control.modify(|value| value & !IGNORE_DATA_FAULTS);
        asm!("cpsie f");
    }
}
