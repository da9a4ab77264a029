//! What firmware's flash and RAM are for, from its ELF file.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SectionKind, elf};
use rustc_demangle::demangle;
use serde::{Deserialize, Serialize};

/// The crate whose code is the engine, as it stands in the linker's names.
const ENGINE: &str = "no_std_infer";
/// The libraries of the application.
const APPLICATION: [&str; 3] = ["no_std_device", "4mps2", "5parts"];
/// The arena is a static of this name.
const ARENA: &str = "5ARENA";
/// What the names of functions that format text hold.
const FORMATTING: &str = "4core3fmt";
/// What messages of panics hold.
const MESSAGES: [&str; 8] = [
    "panicked at",
    "called `Option::unwrap",
    "called `Result::unwrap",
    "index out of bounds",
    "out of range for slice",
    "attempt to ",
    "entered unreachable code",
    "already borrowed",
];

/// Bytes of a memory, by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    /// `no-std-infer`: functions that begin there, or of libraries that were made for it.
    pub engine: u64,
    /// The blob.
    pub blob: u64,
    /// The arena.
    pub arena: u64,
    /// `no-std-device` and the board's own code and buffers.
    pub application: u64,
    /// Libraries, constants without a name, vectors, gaps.
    pub other: u64,
}

impl Parts {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.engine + self.blob + self.arena + self.application + self.other
    }

    /// With their names.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); 5] {
        let Self { engine, blob, arena, application, other } = *self;
        [("engine", engine), ("blob", blob), ("arena", arena), ("application", application), ("other", other)]
    }

    /// Takes a symbol into account; `program` is the program's crate as it stands in the linker's names.
    fn add(&mut self, name: &str, size: u64, program: &str) {
        if name.contains(ARENA) {
            self.arena += size;
            return;
        }
        // Of a function that one crate made out of another's, the maker comes first.
        let place = |of: &str| name.find(of).unwrap_or(usize::MAX);
        let application = APPLICATION.into_iter().map(place).fold(place(program), usize::min);
        match place(ENGINE).cmp(&application) {
            std::cmp::Ordering::Less => self.engine += size,
            std::cmp::Ordering::Greater => self.application += size,
            std::cmp::Ordering::Equal => self.other += size,
        }
    }
}

/// Where the bytes of firmware go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// What is programmed.
    pub flash: Parts,
    /// Variables and buffers, all but the stack.
    pub ram: Parts,
    /// Functions that format text, and messages of panics: none where a panic says nothing.
    pub formatting: Vec<String>,
}

impl Layout {
    /// Reads the ELF file of a program of this name, which holds `blob`.
    ///
    /// # Errors
    /// When it cannot be read, is no ELF file, or does not hold the blob.
    pub fn read(path: &Path, program: &str, blob: &[u8]) -> Result<Self> {
        let program = format!("{}{}", program.len(), program.replace('-', "_"));
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let file = object::File::parse(&*bytes).with_context(|| format!("{} is no firmware", path.display()))?;
        let mut layout = Self::default();
        let mut holds_blob = false;
        let (mut flash, mut ram) = (0, 0);
        for section in file.sections() {
            let Memory { in_flash, in_ram } = Memory::of(section.kind(), section.flags());
            if !in_flash && !in_ram {
                continue;
            }
            let mut symbols = BTreeMap::new();
            for symbol in file.symbols().filter(|symbol| symbol.section_index() == Some(section.index())) {
                // Marks of the linker's script have no size.
                let entry = (symbol.size(), symbol.name().unwrap_or_default());
                symbols.entry(symbol.address()).and_modify(|kept| *kept = entry.max(*kept)).or_insert(entry);
            }
            for (size, name) in symbols.into_values() {
                if in_flash {
                    layout.flash.add(name, size, &program);
                }
                if in_ram {
                    layout.ram.add(name, size, &program);
                }
            }
            if in_flash {
                flash += section.size();
                let data = section.data().context("a section of the firmware is damaged")?;
                holds_blob |= find(data, blob);
                let messages = MESSAGES.iter().filter(|message| find(data, message.as_bytes()));
                layout.formatting.extend(messages.map(|&message| message.to_owned()));
            }
            ram += if in_ram { section.size() } else { 0 };
        }
        ensure!(holds_blob, "{} does not hold the blob", path.display());
        layout.flash.blob = blob.len() as u64;
        let named = |parts: &Parts| parts.total() - parts.other;
        layout.flash.other = flash.checked_sub(named(&layout.flash)).context("symbols of the firmware overlap")?;
        layout.ram.other = ram.checked_sub(named(&layout.ram)).context("variables of the firmware overlap")?;
        let names = file.symbols().filter_map(|symbol| symbol.name().ok());
        let formatting = names.filter(|name| name.contains(FORMATTING));
        layout.formatting.extend(formatting.map(|name| format!("{:#}", demangle(name))));
        Ok(layout)
    }
}

/// Which memory a section takes.
pub(super) struct Memory {
    pub(super) in_flash: bool,
    in_ram: bool,
}

impl Memory {
    pub(super) fn of(kind: SectionKind, flags: SectionFlags) -> Self {
        let SectionFlags::Elf { sh_flags, .. } = flags else { return Self { in_flash: false, in_ram: false } };
        let allocated = sh_flags.0 & elf::SHF_ALLOC.0 != 0;
        let writable = sh_flags.0 & elf::SHF_WRITE.0 != 0;
        let cleared = kind == SectionKind::UninitializedData;
        Self { in_flash: allocated && !cleared, in_ram: allocated && (writable || cleared) }
    }
}

fn find(data: &[u8], wanted: &[u8]) -> bool {
    let Some(&first) = wanted.first() else { return true };
    let mut starts = data.iter().enumerate().filter(|&(_, &byte)| byte == first).map(|(start, _)| start);
    starts.any(|start| data.get(start..start + wanted.len()) == Some(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_belong_to_the_crate_that_comes_first() {
        let mut parts = Parts::default();
        for (size, name) in [
            (
                1,
                "_RINvMNtCs1_12no_std_infer11interpreterNtB_11Interpreter12run_profiledNCNvCs2_13no_std_device5infer0EB_",
            ),
            (2, "no_std_infer_gemm"),
            (4, "_RINvNtCs9_8postcard2de15take_from_bytesNtNtCs1_12no_std_infer6format4InfoEB_"),
            (8, "_RINvNtCs2_13no_std_device9inference5inferNtCs1_12no_std_infer5ModelEB_"),
            (16, "_RNvMNtCs3_16embassy_executor3rawINtB_11TaskStorageNCNvCs4_9openmv_h74mainE4poll"),
            (32, "_RNvNvCs4_9openmv_h727___cortex_m_rt_main5ARENA"),
            (64, "Reset"),
        ] {
            parts.add(name, size, "9openmv_h7");
        }
        assert_eq!(parts, Parts { engine: 7, blob: 0, arena: 32, application: 24, other: 64 });
        assert_eq!(parts.total(), 127);
    }

    #[test]
    fn bytes_are_found_where_they_are() {
        assert!(find(b"a message: index out of bounds", b"index out of bounds"));
        assert!(!find(b"index out of bound", b"index out of bounds") && !find(b"", b"x"));
    }
}
