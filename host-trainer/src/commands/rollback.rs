//! `rollback`: the model before the one that runs on a device.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Args;
use model_training::system::hexadecimal::hexadecimal;
use serde::Serialize;

use super::arguments::DeviceArgs;
use crate::device::{Device, Link};

#[derive(Debug, Args)]
pub(super) struct RollbackArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// Print the outcome as JSON.
    #[arg(long)]
    json: bool,
}

/// SHA-256 of what ran and of what runs, where something does.
#[derive(Serialize)]
struct Outcome {
    before: Option<String>,
    now: Option<String>,
}

pub(super) fn run(args: &RollbackArgs) -> Result<ExitCode> {
    ensure!(
        !matches!(args.device.link, Link::Qemu(_)),
        "`qemu` has no model before the one that runs: name `qemu:FILE`"
    );
    let mut device = args.device.open(&[])?;
    let shown = |device: &Device| device.description().model.map(|model| hexadecimal(&model.blob.sha256));
    let before = shown(&device);
    device.rollback()?;
    let outcome = Outcome { before, now: shown(&device) };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&outcome)?);
    } else {
        let [now, before] = [outcome.now, outcome.before].map(|model| model.unwrap_or_else(|| "no model".to_owned()));
        println!("{now} runs; {before} ran before and is rolled back");
    }
    Ok(ExitCode::SUCCESS)
}
