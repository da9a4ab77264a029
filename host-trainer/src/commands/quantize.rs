//! `quantize`: quantises a trained run again.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Args;

use super::FlashArgs;
use crate::config::Method;
use crate::dataset::{Loaded, View};
use crate::export::export;
use crate::progress;
use crate::run_dir::RunDir;

#[derive(Debug, Args)]
pub(super) struct QuantizeArgs {
    /// Folder that `train` made.
    run_dir: PathBuf,
    /// Where the images are now, if they moved.
    #[arg(long)]
    data: Option<PathBuf>,
    /// How activation ranges are chosen, in place of the run's configuration.
    #[arg(long, value_enum)]
    method: Option<Method>,
    #[command(flatten)]
    flash: FlashArgs,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &QuantizeArgs) -> Result<ExitCode> {
    let run = RunDir::new(&args.run_dir);
    let config = run.config()?;
    let record = run.record()?;
    let root = args.data.as_deref().unwrap_or(&record.root);
    ensure!(root.is_dir(), "there is no folder {}: say with --data where the run's images are now", root.display());
    let images: Loaded = progress::load(&mut record.dataset(root), &config.input, View::Rgb888)?;
    let method = args.method.or(config.quantize.method);
    let report = export(&run, &config, &record, &images, method, args.flash.bytes())?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report.to_text());
        println!("\nwrote {}", run.blob().display());
    }
    Ok(ExitCode::SUCCESS)
}
