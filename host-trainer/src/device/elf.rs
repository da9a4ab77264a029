//! What the host wants to know of firmware: its functions, its size, its compiler.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use object::{Object, ObjectSection, ObjectSymbol, Section, SymbolKind};
use serde::Serialize;

use super::parts::Memory;

/// Bytes of the engine's functions as they are linked; tables and what every program needs of the compiler's library (memory
/// copies, division) left out. Small functions are parts of those that call them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Engine {
    /// Reading and proving a blob, the self-test included.
    pub parsing: u64,
    /// Kernels: loops in assembly and what prepares them, and those for any target where these are the core's.
    pub kernels: u64,
    /// The interpreter, geometry and arithmetic.
    pub rest: u64,
}

impl Engine {
    /// All parts.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.parsing + self.kernels + self.rest
    }

    /// Takes a function into account whose name, as the linker knows it, tells its module.
    fn add(&mut self, name: &str, size: u64) {
        let of = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
        if of(&["6linked"]) && of(&["10run_kernel"]) {
            self.kernels += size;
        } else if of(&["postcard", "serde_core"])
            || of(&["no_std_infer"]) && of(&["5model", "5check", "6format", "6golden", "6linked"])
        {
            self.parsing += size;
        } else if name.starts_with("no_std_infer_") || of(&["7kernels"]) && !of(&["7generic"]) {
            self.kernels += size;
        } else if of(&["no_std_infer"]) {
            self.rest += size;
        }
    }
}

/// Firmware, as its ELF file describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Elf {
    /// First address and name of each function.
    pub functions: BTreeMap<u32, String>,
    /// Bytes that go into flash.
    pub flash: u64,
    /// Bytes of the engine's functions, by part of it.
    pub engine: Engine,
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
        let mut engine = Engine::default();
        for symbol in file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text) {
            engine.add(symbol.name().unwrap_or("?"), symbol.size());
        }
        let functions = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text);
        // The lowest bit says that the function is Thumb code.
        let functions = functions.map(|symbol| (symbol.address() as u32 & !1, symbol.name().unwrap_or("?").to_owned()));
        let functions = functions.filter(|(_, name)| !name.starts_with('$')).collect();
        let in_flash = |section: &Section<'_, '_>| Memory::of(section.kind(), section.flags()).in_flash;
        let flash = file.sections().filter(in_flash).map(|section| section.size()).sum();
        let comment = file.section_by_name(".comment").and_then(|section| section.data().ok()).unwrap_or_default();
        let comment = String::from_utf8_lossy(comment);
        let compiler = comment.split('\0').find(|text| text.starts_with("rustc")).unwrap_or("unknown").to_owned();
        Ok(Self { functions, flash, engine, compiler })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_told_apart_by_their_names() {
        let mut engine = Engine::default();
        for (size, name) in [
            (1, "_RNvMNtCs1_12no_std_infer5modelNtB2_5Model9check_ops"),
            (2, "_RINvNtCs9_8postcard2de15take_from_bytesNtNtCs1_12no_std_infer6format4InfoEB_"),
            (4, "no_std_infer_gemm"),
            (8, "_RNvMNtNtNtCs1_12no_std_infer7kernels3dsp4convNtB2_7Product3add"),
            (16, "_RNvMs_NtCs1_12no_std_infer3opsNtB4_5Strip3new"),
            (128, "_RINvNvMs_NtNtCs1_12no_std_infer7kernels6linkedNtB5_5Entry2of10run_kernelNtNtB9_3dsp3DspEB9_"),
            (256, "_RNvNvMs_NtNtCs1_12no_std_infer7kernels6linkedNtB5_5Entry2of14check_operator"),
            (32, "_RNvNtCs1_4mps25board4name"),
            (64, "main"),
        ] {
            engine.add(name, size);
        }
        assert_eq!(engine, Engine { parsing: 259, kernels: 140, rest: 16 });
    }
}
