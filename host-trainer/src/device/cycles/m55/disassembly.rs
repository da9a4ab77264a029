//! The text of instructions, which QEMU 7's own disassembler does not know of vectors.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Code;
use super::instruction::Instruction;

/// LLVM's disassembler.
const OBJDUMP: &str = "llvm-objdump";

/// What must be installed before instructions can be read; `None` when nothing is missing.
pub fn missing() -> Option<String> {
    let found = Command::new(OBJDUMP).arg("--version").output().is_ok_and(|output| output.status.success());
    (!found).then(|| format!("{OBJDUMP} is not installed (Debian: `apt-get install llvm`)"))
}

/// Reads the instructions that ran.
///
/// # Errors
/// When the disassembler cannot be run, or an instruction is unknown.
pub fn read(elf: &Path, ran: &BTreeMap<u32, ()>) -> Result<Code> {
    let mut command = Command::new(OBJDUMP);
    command.args(["--disassemble", "--triple=thumbv8.1m.main", "--mattr=+mve.fp,+lob,+dsp,+fp64"]).arg(elf);
    let output = command.output().with_context(|| missing().unwrap_or_else(|| format!("cannot run {OBJDUMP}")))?;
    ensure!(output.status.success(), "{OBJDUMP} fails: {}", String::from_utf8_lossy(&output.stderr));
    let code = code(&String::from_utf8_lossy(&output.stdout), ran)?;
    let unread = ran.keys().find(|address| !code.contains_key(address));
    ensure!(unread.is_none(), "{OBJDUMP} shows no instruction at {:#x}", unread.unwrap_or(&0));
    Ok(code)
}

fn code(text: &str, ran: &BTreeMap<u32, ()>) -> Result<Code> {
    let mut code = Code::new();
    for (address, text) in text.lines().filter_map(line).filter(|(address, _)| ran.contains_key(address)) {
        code.insert(address, Instruction::read(text).with_context(|| format!("the instruction at {address:#x}"))?);
    }
    Ok(code)
}

/// Address and text of a line: they are separated by a colon, bytes and a tab.
fn line(line: &str) -> Option<(u32, &str)> {
    let (address, rest) = line.trim_start().split_once(": ")?;
    let (_, text) = rest.split_once('\t')?;
    Some((u32::from_str_radix(address, 16).ok()?, text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_what_did_not_run_is_left_out() {
        let text = "a.elf:\tfile format elf32-littlearm\n\n00000100 <main>:\n     100: 01 20        \tmovs\tr0, #1\n     \
                    102: f1 ee 04 0f  \tvmladav.s8\tr0, q0, q2\n     106: de ad        \t<unknown>\n";
        let ran = [(0x100, ()), (0x102, ())].into();
        assert_eq!(code(text, &ran).unwrap().keys().copied().collect::<Vec<_>>(), [0x100, 0x102]);
        let error = format!("{:#}", code(text, &[(0x106, ())].into()).unwrap_err());
        assert!(error.contains("0x106") && error.contains("<unknown>"), "{error}");
    }
}
