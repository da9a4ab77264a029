//! `flash`: sends a blob to a device.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use model_training::data::progress;
use model_training::measure::evaluate::{parse, read_blob};
use model_training::system::hexadecimal::hexadecimal;
use model_training::system::terminal::escaped;
use serde::Serialize;

use super::arguments::DeviceArgs;
use crate::device::{Faults, check_update, identity};

#[derive(Debug, Args)]
pub(super) struct FlashModelArgs {
    /// The blob.
    blob: PathBuf,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print the outcome as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Outcome {
    board: String,
    /// Name of the kernel set that its firmware runs on.
    kernel_set: String,
    /// SHA-256 of the blob that ran before, if there was one.
    before: Option<String>,
    /// SHA-256 of the blob that runs now: that of the blob that was given.
    now: String,
    /// Bytes that were sent; less than the blob's where an update was resumed, 0 where the device ran the blob already.
    sent_bytes: usize,
    seconds: f64,
    faults: Faults,
}

pub(super) fn run(args: &FlashModelArgs) -> Result<ExitCode> {
    let blob = read_blob(&args.blob)?;
    let model = parse(&blob, &args.blob)?;
    args.device.link.create_flash()?;
    let mut device = args.device.open(&blob)?;
    check_update(&blob, &model, device.description())?;
    let before = device.description().model.map(|model| hexadecimal(&model.blob.sha256));
    let start = Instant::now();
    let bar = progress::bar(blob.len(), "bytes");
    let sent_bytes = device.update(&blob, |received| bar.set_position(received as u64))?;
    bar.finish_and_clear();
    device.expect(&blob)?;
    let outcome = Outcome {
        board: device.description().board.clone(),
        kernel_set: device.description().kernel_set.clone(),
        before,
        now: hexadecimal(&identity(&blob).sha256),
        sent_bytes,
        seconds: start.elapsed().as_secs_f64(),
        faults: device.faults(),
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&outcome)?);
    } else {
        outcome.print();
    }
    Ok(ExitCode::SUCCESS)
}

impl Outcome {
    fn print(&self) {
        let Self { board, kernel_set, before, now, sent_bytes, seconds, faults } = self;
        let before = before.as_deref().unwrap_or("no model");
        println!(
            "{}, kernels {}\nmodel {now} runs and is confirmed, {before} ran before; {sent_bytes} bytes in {seconds:.1} s\nlink: {faults}",
            escaped(board),
            escaped(kernel_set)
        );
    }
}
