//! `config`: a configuration to start from, and what it may hold.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use model_training::config::reference;

#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Prints a configuration in which every entry has its default and is explained.
    Init,
    /// Prints the JSON schema of configurations, for editors that check TOML files by one.
    Schema,
}

pub(super) fn run(args: &ConfigArgs) -> Result<ExitCode> {
    match args.what {
        What::Init => print!("{}", reference::template()),
        What::Schema => println!("{}", serde_json::to_string_pretty(&reference::schema())?),
    }
    Ok(ExitCode::SUCCESS)
}
