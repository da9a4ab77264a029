//! `dev device-bench`: instructions on the emulated device, beside what others need.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Args;
use model_training::measure::evaluate::read_blob;

use crate::device::bench::{Benches, Case, Row, imported, print, seeded};
use crate::device::cycles::{Caches, disclaimer};
use crate::device::{Core, Engine};

#[derive(Debug, Args)]
pub(super) struct DeviceBenchArgs {
    /// Measure this blob, layer by layer, in place of the built-in layers and models; may be repeated.
    #[arg(long, value_name = "FILE.blob")]
    blob: Vec<PathBuf>,
    /// Folder of the MLPerf Tiny models, measured where they are there: `resnet8/*.tflite`, `vww`, `kws`. Without it
    /// $MLPERF_TINY, or else `../shared/data/mlperf-tiny`.
    #[arg(long, value_name = "DIR")]
    mlperf_tiny: Option<PathBuf>,
    /// The core whose code is counted.
    #[arg(long, value_enum, default_value = "m4")]
    core: Core,
    /// Model cycles too, of a Cortex-M4 or a Cortex-M55.
    #[arg(long)]
    cycles: bool,
    /// Wait states of the flash, behind the caches of an STM32L4.
    #[arg(long, default_value_t = 0, requires = "cycles")]
    wait_states: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &DeviceBenchArgs) -> Result<ExitCode> {
    ensure!(
        !args.cycles || disclaimer(args.core).is_some(),
        "cycles are modelled of a Cortex-M4 and a Cortex-M55 only: leave --core or --cycles out"
    );
    let cases = cases(args)?;
    let mut benches = Benches::build(args.core)?;
    let caches = args.cycles.then(Caches::default);
    let rows: Vec<Row> = cases.iter().map(|case| benches.measure(case, caches)).collect::<Result<_>>()?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        print(&rows, args.core, args.wait_states);
        let Engine { parsing, kernels, rest } = benches.all().elf()?.engine;
        println!(
            "Code for all operators and layouts: {} bytes, of which parsing {parsing}, kernels of the core {kernels}, the rest {rest}.",
            parsing + kernels + rest
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn cases(args: &DeviceBenchArgs) -> Result<Vec<Case>> {
    if !args.blob.is_empty() {
        return args.blob.iter().map(|path| Ok(Case::of_blob(path, read_blob(path)?))).collect();
    }
    let named = args.mlperf_tiny.clone().or_else(|| std::env::var_os("MLPERF_TINY").map(PathBuf::from));
    let folder = named.unwrap_or_else(|| PathBuf::from("../shared/data/mlperf-tiny"));
    let mut cases = seeded(args.core)?;
    cases.extend(imported(&folder, args.core)?);
    Ok(cases)
}
