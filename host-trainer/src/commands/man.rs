//! `man`: a manual page for each command.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, CommandFactory};

use super::Cli;

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Folder for the pages, such as `~/.local/share/man/man1`; made where it is missing.
    folder: PathBuf,
}

pub(super) fn run(args: &ManArgs) -> Result<ExitCode> {
    let shown = args.folder.display();
    std::fs::create_dir_all(&args.folder).with_context(|| format!("cannot make the folder {shown}"))?;
    clap_mangen::generate_to(Cli::command(), &args.folder).with_context(|| format!("cannot write to {shown}"))?;
    println!("manual pages are in {shown}, `man -l {}` shows the first", args.folder.join("host-trainer.1").display());
    Ok(ExitCode::SUCCESS)
}
