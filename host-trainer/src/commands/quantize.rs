//! `quantize`: quantises a trained run again.

use std::process::ExitCode;

use anyhow::{Result, ensure};

use super::QuantizeArgs;
use crate::dataset::{Loaded, View};
use crate::export::export;
use crate::progress;
use crate::run_dir::RunDir;

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
