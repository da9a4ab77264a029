//! The `host-trainer` program.

use std::process::ExitCode;

use clap::Parser;
use host_trainer::commands::Cli;

fn main() -> ExitCode {
    match host_trainer::commands::run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
