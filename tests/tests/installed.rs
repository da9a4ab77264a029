//! A program outside the checkout, as `cargo install` leaves it: it builds firmware from the sources that it holds.
//!
//! This test is that program as well, when it is called with a first argument of its own.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use host_trainer::commands::{Cli, run};
use host_trainer::device::{identity, missing};
use host_trainer::system::hexadecimal::hexadecimal;
use libtest_mimic::{Arguments, Trial};
use tests::needing::trial;

/// The first argument of what is a command line of the program.
const PROGRAM: &str = "as-the-program";

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1).peekable();
    if arguments.next_if(|first| first == PROGRAM).is_some() {
        return program(arguments).unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        });
    }
    let trials: Vec<Trial> =
        vec![trial("an_installed_program_builds_firmware", &missing(), an_installed_program_builds_firmware)];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn program(arguments: impl Iterator<Item = String>) -> Result<ExitCode> {
    run(Cli::try_parse_from(["host-trainer".to_owned()].into_iter().chain(arguments))?)
}

fn an_installed_program_builds_firmware() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let [program, caches, blob] = ["program", "caches", "model.blob"].map(|name| dir.path().join(name));
    fs::copy(env::current_exe()?, &program)?;
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/faces.blob"), &blob)?;
    let output = Command::new(&program)
        .args([PROGRAM, "flash", "model.blob", "--link", "qemu:flash.bin", "--json"])
        .current_dir(dir.path())
        .env("XDG_CACHE_HOME", &caches)
        .env_remove("FIRMWARE_DIR")
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "it fails: {said}");
    let outcome: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let digest = hexadecimal(&identity(&fs::read(&blob)?).sha256);
    ensure!(outcome["now"] == digest.as_str(), "another model runs: {outcome}");
    let unpacked = fs::read_dir(caches.join("host-trainer"))?.next().context("nothing was unpacked")??.path();
    ensure!(unpacked.join("firmware-example/target").is_dir(), "it built somewhere else: {said}");
    Ok(())
}
