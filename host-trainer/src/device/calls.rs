//! Functions that lie in RAM, because they run while the flash cannot be read, and what they call.

use std::path::Path;

use anyhow::{Context, Result};
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};
use serde::Serialize;

/// Where RAM begins on a Cortex-M: below it lies code in flash or ROM.
const RAM: u32 = 0x2000_0000;

/// A function in RAM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Resident {
    /// Its name as the linker knows it.
    pub name: String,
    /// Addresses outside of RAM to which its instructions branch; what it calls by pointers is not among them.
    pub leaves_to: Vec<u32>,
}

/// The functions in RAM of firmware for a Cortex-M.
///
/// # Errors
/// When the file cannot be read or is no ELF file.
pub fn residents(elf: &Path) -> Result<Vec<Resident>> {
    let bytes = std::fs::read(elf).with_context(|| format!("cannot read {}", elf.display()))?;
    let file = object::File::parse(&*bytes).with_context(|| format!("{} is no firmware", elf.display()))?;
    let functions = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0);
    let in_ram = functions.filter(|symbol| symbol.address() as u32 >= RAM);
    let resident = |symbol: object::Symbol<'_, '_>| {
        let start = symbol.address() & !1;
        let section = file.section_by_index(symbol.section_index().context("a function lies in no section")?)?;
        let code = section.data_range(start, symbol.size())?.context("a function leaves its section")?;
        let name = symbol.name()?.to_owned();
        Ok(Resident { name, leaves_to: branches(start as u32, code).filter(|&target| target < RAM).collect() })
    };
    in_ram.map(resident).collect()
}

/// Where the Thumb instructions from `start` on branch to with 32 bits, of which a shorter branch does not reach another memory: `BL`
/// and both forms of `B.W` (Armv7-M Architecture Reference Manual, A7.7.12 and A7.7.18).
fn branches(start: u32, code: &[u8]) -> impl Iterator<Item = u32> {
    let mut halfwords =
        (start..).step_by(2).zip(code.as_chunks::<2>().0.iter().map(|&bytes| u16::from_le_bytes(bytes)));
    let next = move || {
        let (address, first) = halfwords.next()?;
        if first >> 11 < 0b11101 {
            return Some(None);
        }
        let (_, second) = halfwords.next()?;
        Some(offset(u32::from(first), u32::from(second)).map(|offset| address.wrapping_add(4).wrapping_add(offset)))
    };
    std::iter::from_fn(next).flatten()
}

/// By how much a branch's target differs from the address that the processor counts from; `None` for another instruction.
fn offset(first: u32, second: u32) -> Option<u32> {
    if first >> 11 != 0b11110 || second >> 15 == 0 {
        return None;
    }
    let (sign, j1, j2, low) = (first >> 10 & 1, second >> 13 & 1, second >> 11 & 1, second & 0x7FF);
    let (value, bits) = if second >> 12 & 1 == 1 {
        // Both bits are inverted where the offset is not negative.
        let (i1, i2) = (!(j1 ^ sign) & 1, !(j2 ^ sign) & 1);
        (sign << 24 | i1 << 23 | i2 << 22 | (first & 0x3FF) << 12 | low << 1, 25)
    } else if second >> 14 & 1 == 0 && first >> 7 & 7 != 7 {
        (sign << 20 | j2 << 19 | j1 << 18 | (first & 0x3F) << 12 | low << 1, 21)
    } else {
        return None;
    };
    Some(((value << (32 - bits)) as i32 >> (32 - bits)) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As LLVM's assembler encodes them, from address 0x2000_0000 on.
    #[test]
    fn branches_are_found_wherever_they_go() {
        let code = [
            0x00, 0xBF, // nop
            0x00, 0xF0, 0x02, 0xF8, // bl 0x2000_000a
            0xFF, 0xF7, 0xFB, 0xFF, // bl 0x2000_0000
            0xFF, 0xF7, 0xF9, 0xBF, // b.w 0x2000_0000
            0x3F, 0xF4, 0xF7, 0xAF, // beq.w 0x2000_0000
            0x88, 0x47, // blx r1
            0x4F, 0xF0, 0x00, 0x42, // mov.w r2, #0x8000_0000
            0x00, 0xF5, 0x00, 0x30, // add.w r0, r0, #131072
            0xFF, 0xF4, 0xF0, 0xFF, // bl 0x1fd0_0000
        ];
        let found: Vec<u32> = branches(RAM, &code).collect();
        assert_eq!(found, [RAM + 10, RAM, RAM, RAM, RAM - 0x30_0000]);
    }
}
