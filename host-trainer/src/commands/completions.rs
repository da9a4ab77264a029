//! `completions`: what a shell needs to complete commands and options.

use std::io::stdout;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::Cli;

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs) -> Result<ExitCode> {
    generate(args.shell, &mut Cli::command(), "host-trainer", &mut stdout());
    Ok(ExitCode::SUCCESS)
}
