//! What the host wants to know of firmware: its functions, its size, its compiler.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use object::{Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};

/// Firmware, as its ELF file describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Elf {
    /// First address and name of each function.
    pub functions: BTreeMap<u32, String>,
    /// Bytes that go into flash.
    pub flash: u64,
    /// What compiled it, version and all.
    pub compiler: String,
}

impl Elf {
    /// Reads an ELF file.
    ///
    /// # Errors
    /// When it cannot be read or is no ELF file.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let file = object::File::parse(&*bytes).with_context(|| format!("{} is no firmware", path.display()))?;
        let functions = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text);
        // The lowest bit says that the function is Thumb code.
        let functions = functions.map(|symbol| (symbol.address() as u32 & !1, symbol.name().unwrap_or("?").to_owned()));
        let functions = functions.filter(|(_, name)| !name.starts_with('$')).collect();
        let in_flash = |kind| matches!(kind, SectionKind::Text | SectionKind::ReadOnlyData | SectionKind::Data);
        let flash = file.sections().filter(|section| in_flash(section.kind())).map(|section| section.size()).sum();
        let comment = file.section_by_name(".comment").and_then(|section| section.data().ok()).unwrap_or_default();
        let comment = String::from_utf8_lossy(comment);
        let compiler = comment.split('\0').find(|text| text.starts_with("rustc")).unwrap_or("unknown").to_owned();
        Ok(Self { functions, flash, compiler })
    }

    /// Address of a function.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn function(&self, name: &str) -> Result<u32> {
        let found = self.functions.iter().find(|(_, function)| *function == name);
        found.map(|(&address, _)| address).with_context(|| format!("the firmware has no function {name}"))
    }
}
