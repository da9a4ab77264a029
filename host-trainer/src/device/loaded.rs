//! Firmware that finds its input in memory, where QEMU's loader puts it, and prints what came of it.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::firmware::build_without_blob;
use super::{emulator, run_to_end};

/// Where the firmware looks for its input.
pub(super) const ADDRESS: u32 = 0x2100_0000;

/// A program of `firmware-example`.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub(super) elf: PathBuf,
}

impl Loaded {
    /// Builds the program of this name.
    ///
    /// # Errors
    /// Those of [`build`](super::build).
    pub fn build(program: &str) -> Result<Self> {
        Ok(Self { elf: build_without_blob(program)? })
    }

    /// Runs the program with these bytes in memory, at most 16 MiB, and more options for QEMU; gives what it printed.
    ///
    /// # Errors
    /// When QEMU cannot be run, or the program fails.
    pub fn run(&self, bytes: &[u8], options: &[&str]) -> Result<String> {
        let mut file =
            tempfile::NamedTempFile::new().context("cannot create a temporary file for the firmware's input")?;
        file.write_all(bytes).context("cannot write the firmware's input to a temporary file")?;
        let mut command = emulator(&self.elf, "stdio");
        let path = file.path().display().to_string().replace(',', ",,");
        command.args(["-device", &format!("loader,file={path},addr={ADDRESS:#x},force-raw=on")]).args(options);
        run_to_end(command)
    }
}
