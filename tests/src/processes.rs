//! Processes: the program, which a test starts itself again as, and the emulators that it starts.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use host_trainer::commands::{Cli, run};
use host_trainer::device::QEMU;
use model_training::system::interrupt;

/// The variable that is set where a test is [the program](as_program).
pub const IS_PROGRAM: &str = "TEST_IS_HOST_TRAINER";

/// Does what the program does with these arguments, in this process.
///
/// # Errors
/// When it does not do it, or misses a bound.
pub fn call<S: AsRef<OsStr>>(arguments: &[S]) -> Result<()> {
    let all = [OsStr::new("host-trainer")].into_iter().chain(arguments.iter().map(AsRef::as_ref));
    let code = run(Cli::try_parse_from(all)?)?;
    ensure!(code == ExitCode::SUCCESS, "it ends with {code:?}");
    Ok(())
}

/// This test as the program, with these arguments: its `main` asks [`as_program`] first.
///
/// # Errors
/// When the test does not find itself.
pub fn program<S: AsRef<OsStr>>(arguments: &[S]) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(arguments).env(IS_PROGRAM, "1");
    Ok(command)
}

/// Where this process was started [to be the program](program): is it, and gives the exit code.
pub fn as_program() -> Option<ExitCode> {
    std::env::var_os(IS_PROGRAM)?;
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let done = interrupt::watch().context("signals are not heard").and_then(|()| call(&arguments));
    let Err(error) = done else { return Some(ExitCode::SUCCESS) };
    interrupt::wait_when_leaving();
    eprintln!("error: {error:#}");
    Some(ExitCode::FAILURE)
}

/// The numbers of the emulators whose flash is this file.
///
/// # Errors
/// When the system does not tell: Linux does.
pub fn emulators(flash: &Path) -> Result<Vec<u32>> {
    let flash = flash.display().to_string();
    let is_one = |line: &[u8]| line.starts_with(QEMU.as_bytes()) && String::from_utf8_lossy(line).contains(&flash);
    let processes = fs::read_dir("/proc")?.flatten().filter_map(|entry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        is_one(&fs::read(entry.path().join("cmdline")).ok()?).then_some(number)
    });
    Ok(processes.collect())
}

/// Sends a process a signal, by that one's name: `TERM`, `KILL`.
///
/// # Errors
/// When there is no such process.
pub fn signal(process: u32, name: &str) -> Result<()> {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(process.to_string()).status()?;
    ensure!(sent.success(), "process {process} is not there to get {name}");
    Ok(())
}
