//! Slots in a file of the host, by semihosting: QEMU has no flash that is written. What was written survives a restart.

use cortex_m_semihosting::{nr, syscall};
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};
use no_std_device::MappedFlash;

use crate::board::Psram;

/// Length of a slot in bytes.
pub const SLOT_LEN: usize = 1 << 20;
const SECTOR_LEN: usize = 4096;
/// Before the file's path on the command line.
const OPTION: &[u8] = b"slots=";
const PATH_MAX: usize = 1024;

/// A part of the file, with a copy in memory that can be read.
#[derive(Debug)]
pub struct HostFlash {
    file: usize,
    /// Where the part begins in the file.
    start: usize,
    memory: &'static mut [u8],
}

impl HostFlash {
    /// Two slots in the file that the command line names by `slots=PATH`, its last argument; the file is created when
    /// there is none. Without that, or when it cannot be opened, slots without bytes. Besides them the memory behind the slots,
    /// with what QEMU's loader put there.
    #[must_use]
    pub fn open(psram: Psram) -> ([Self; 2], &'static [u8]) {
        let mut path = [0; PATH_MAX];
        let file = slots_path(&mut path).and_then(|()| open(&path));
        let len = if file.is_some() { SLOT_LEN } else { 0 };
        let (slots, behind) = psram.into_bytes().split_at_mut(2 * SLOT_LEN);
        let (first, rest) = slots.split_at_mut(len);
        let slots = [(0, first), (len, &mut rest[..len])];
        let slots = slots.map(|(start, memory)| {
            let mut slot = Self { file: file.unwrap_or_default(), start, memory };
            slot.load();
            slot
        });
        (slots, behind)
    }

    /// Reads the file; what it lacks is erased.
    fn load(&mut self) {
        self.memory.fill(0xFF);
        if self.seek(0) {
            // SAFETY: semihosting's READ takes a handle, an address and a length, and writes no further than into
            // `memory`, which is borrowed mutably. How much it read does not matter.
            unsafe { syscall(nr::READ, &[self.file, self.memory.as_mut_ptr() as usize, self.memory.len()]) };
        }
    }

    /// Writes a part of the memory to the file.
    fn store(&self, offset: usize, len: usize) -> Result<(), NorFlashErrorKind> {
        let bytes = self.memory.get(offset..offset + len).ok_or(NorFlashErrorKind::OutOfBounds)?;
        if !self.seek(offset) {
            return Err(NorFlashErrorKind::Other);
        }
        // SAFETY: semihosting's WRITE takes a handle, an address and a length, and only reads `bytes`.
        let left = unsafe { syscall(nr::WRITE, &[self.file, bytes.as_ptr() as usize, bytes.len()]) };
        if left == 0 { Ok(()) } else { Err(NorFlashErrorKind::Other) }
    }

    fn seek(&self, offset: usize) -> bool {
        // SAFETY: semihosting's SEEK takes a handle and a position, and touches no memory.
        unsafe { syscall(nr::SEEK, &[self.file, self.start + offset]) == 0 }
    }
}

/// True when the command line says this.
#[must_use]
pub fn is_told(word: &[u8]) -> bool {
    let mut line = [0; PATH_MAX];
    let len = command_line(&mut line).unwrap_or_default();
    (0..len).any(|start| line.get(start..len).is_some_and(|rest| rest.starts_with(word)))
}

/// Puts the slots' path to the start of `path`, and a zero behind it.
fn slots_path(path: &mut [u8; PATH_MAX]) -> Option<()> {
    let len = command_line(path)?;
    let start = path.windows(OPTION.len()).position(|window| window == OPTION)? + OPTION.len();
    if start >= len {
        return None;
    }
    path.copy_within(start..=len, 0);
    Some(())
}

/// Puts the command line to the start of `line`, and a zero behind it; gives its length.
fn command_line(line: &mut [u8; PATH_MAX]) -> Option<usize> {
    let mut block = [line.as_mut_ptr() as usize, line.len()];
    // SAFETY: semihosting's GET_CMDLINE takes an address and a length, writes text with a zero behind it, no further than
    // into `line`, and the text's length into `block`; both are borrowed mutably.
    let failed = unsafe { cortex_m_semihosting::syscall1(nr::GET_CMDLINE, block.as_mut_ptr() as usize) };
    let len = line.iter().position(|&byte| byte == 0)?;
    (failed == 0).then_some(len)
}

/// Opens a file to read and write, or creates it. `path` ends with a zero.
fn open(path: &[u8; PATH_MAX]) -> Option<usize> {
    let len = path.iter().position(|&byte| byte == 0)?;
    let modes = [nr::open::RW_BINARY, nr::open::RW_TRUNC_BINARY];
    modes.into_iter().find_map(|mode| {
        // SAFETY: semihosting's OPEN takes the address of a text with a zero behind it, a mode and the text's length, and
        // only reads the text.
        let file = unsafe { syscall(nr::OPEN, &[path.as_ptr() as usize, mode, len]) };
        (file != usize::MAX).then_some(file)
    })
}

impl ErrorType for HostFlash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for HostFlash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        bytes.iter_mut().zip(self.memory.iter().skip(offset as usize)).for_each(|(slot, &byte)| *slot = byte);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.memory.len()
    }
}

impl NorFlash for HostFlash {
    const WRITE_SIZE: usize = 1;
    const ERASE_SIZE: usize = SECTOR_LEN;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        let (from, to) = (from as usize, to as usize);
        self.memory.get_mut(from..to).ok_or(NorFlashErrorKind::OutOfBounds)?.fill(0xFF);
        self.store(from, to - from)
    }

    /// Bits that are 0 stay so, as in flash.
    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        self.memory.iter_mut().skip(offset as usize).zip(bytes).for_each(|(slot, &byte)| *slot &= byte);
        self.store(offset as usize, bytes.len())
    }
}

impl MappedFlash for HostFlash {
    fn bytes(&self) -> &[u8] {
        self.memory
    }
}
