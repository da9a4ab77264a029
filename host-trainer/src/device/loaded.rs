//! Firmware that finds its input in memory, where QEMU's loader puts it, and prints what came of it.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::firmware::{build_for_kernels_of, build_without_blob};
use super::{Core, emulator, run_to_end};

/// A program of `firmware-example/rig`.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub(super) elf: PathBuf,
    pub(super) core: Core,
}

impl Loaded {
    /// Builds the program of this name for a core.
    ///
    /// # Errors
    /// Those of [`build`](super::build).
    pub fn build(program: &str, core: Core) -> Result<Self> {
        Ok(Self { elf: build_without_blob(program, core)?, core })
    }

    /// Builds it with only the kernels that a blob needs.
    ///
    /// # Errors
    /// Those of [`build`](super::build).
    pub(super) fn build_for(program: &str, core: Core, blob: &[u8]) -> Result<Self> {
        Ok(Self { elf: build_for_kernels_of(program, core, blob)?, core })
    }

    /// Runs the program with these bytes in memory, at most 16 MiB, and more options for QEMU; gives what it printed.
    ///
    /// # Errors
    /// When QEMU cannot be run, or the program fails.
    pub fn run(&self, bytes: &[u8], options: &[&str]) -> Result<String> {
        let mut file =
            tempfile::NamedTempFile::new().context("cannot create a temporary file for the firmware's input")?;
        file.write_all(bytes).context("cannot write the firmware's input to a temporary file")?;
        let mut command = emulator(self.core, &self.elf, "stdio");
        let address = self.core.load_address();
        let path = file.path().display().to_string().replace(',', ",,");
        command.args(["-device", &format!("loader,file={path},addr={address:#x},force-raw=on")]).args(options);
        run_to_end(command)
    }
}
