//! Builds the counting plugin and runs QEMU with it.

use std::ffi::OsString;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::super::{Elf, QEMU, cargo, firmware, sources};
use super::Caches;

/// Versions of QEMU whose plugin interface is the one that the plugin speaks.
const VERSIONS: Range<u32> = 6..9;

/// Calls `run` with QEMU's option for the plugin; gives what that returned and the plugin's report.
pub fn counted<T>(
    elf: &Elf,
    caches: Caches,
    flash: &[Range<u32>],
    run: impl FnOnce(&str) -> Result<T>,
) -> Result<(T, String)> {
    let folder = tempfile::tempdir().context("cannot create a temporary folder for the counts")?;
    let report = folder.path().join("counts");
    let option = option(&build()?, elf, caches, flash, &report)?;
    let returned = run(&option)?;
    let text = std::fs::read_to_string(&report).context("the counting plugin wrote no report")?;
    Ok((returned, text))
}

fn option(plugin: &Path, elf: &Elf, caches: Caches, flash: &[Range<u32>], report: &Path) -> Result<String> {
    let Caches { instruction_lines, data_lines, line } = caches;
    let (begin, end) = (elf.function("region_begins")?, elf.function("region_ends")?);
    let flash: String = flash.iter().map(|range| format!(",flash={:#x}-{:#x}", range.start, range.end)).collect();
    Ok(format!(
        "{},begin={begin:#x},end={end:#x},instruction-lines={instruction_lines},data-lines={data_lines},\
         line={line}{flash},out={}",
        without_commas(plugin),
        without_commas(report)
    ))
}

/// A path in QEMU's options, where a comma is written twice.
fn without_commas(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

/// Compiles the plugin for this machine; gives the shared library.
fn build() -> Result<PathBuf> {
    check_version()?;
    let folder = sources::find("QEMU_PLUGIN_DIR", "qemu-plugin")?;
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.args(["build", "--release", "--target-dir"]).arg(folder.join("target")).current_dir(&folder);
    cargo::compile(&mut command, "of this machine", "qemu_plugin")
}

/// Fails when QEMU's plugin interface is another than the plugin's.
pub fn check_version() -> Result<()> {
    let output = Command::new(QEMU).arg("--version").output();
    let output = output.with_context(|| format!("{QEMU} cannot be run: {}", firmware::INSTALL_QEMU))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let major = major_version(&text).with_context(|| format!("{QEMU} does not say its version: {text}"))?;
    ensure!(
        VERSIONS.contains(&major),
        "cycles are counted by a plugin for QEMU {} to {}, and this is QEMU {major}: install one of those, or leave \
         the cycles out",
        VERSIONS.start,
        VERSIONS.end - 1
    );
    Ok(())
}

/// 7 of `QEMU emulator version 7.2.22 (Debian …)`.
fn major_version(text: &str) -> Option<u32> {
    text.split("version ").nth(1)?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_found() {
        assert_eq!(major_version("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\nCopyright"), Some(7));
        assert_eq!(major_version("QEMU emulator version 10.0.2\n"), Some(10));
        assert_eq!(major_version("nothing"), None);
    }

    #[test]
    fn the_option_names_everything() {
        let functions = [(0x100, "region_begins".to_owned()), (0x104, "region_ends".to_owned())].into();
        let elf = Elf { functions, ..Elf::default() };
        let made = option(Path::new("a,b.so"), &elf, Caches::default(), &[0..16, 32..48], Path::new("out")).unwrap();
        let expected = "a,,b.so,begin=0x100,end=0x104,instruction-lines=32,data-lines=8,line=32,flash=0x0-0x10,\
                        flash=0x20-0x30,out=out";
        assert_eq!(made, expected);
    }
}
