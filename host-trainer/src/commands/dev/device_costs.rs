//! `dev device-costs`: fits the tables by which costs are modelled where nothing can be counted.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use model_compiler::aligned::Aligned;
use model_training::system::atomic;
use no_std_infer::Model;
use serde::{Deserialize, Serialize};

use crate::device::Core;
use crate::device::boards::all;
use crate::device::costs::{Count, Sample, Work, count, fit, layers};
use crate::device::cycles::Caches;
use crate::device::measure::Bench;

#[derive(Debug, Args)]
pub(super) struct DeviceCostsArgs {
    /// File for the tables, such as `host-trainer/src/device/costs/table.toml`.
    #[arg(long, value_name = "FILE.toml")]
    out: PathBuf,
    /// File that keeps the counts: those that are there are not counted again, as long as layers, caches and compiler are the
    /// same.
    #[arg(long, value_name = "FILE.json")]
    counts: Option<PathBuf>,
}

/// What was counted: for each blob, behind each of the caches, each operator.
#[derive(Default, PartialEq, Serialize, Deserialize)]
struct Counted {
    /// What compiled the code.
    compiler: String,
    caches: Vec<Caches>,
    blobs: Vec<(u32, Vec<Vec<Count>>)>,
}

pub(super) fn run(args: &DeviceCostsArgs) -> Result<ExitCode> {
    let mut caches: Vec<Caches> = Vec::new();
    for board in all()? {
        if !caches.contains(&board.caches) {
            caches.push(board.caches);
        }
    }
    let bench = Bench::build(Core::M4)?;
    let compiler = bench.elf()?.compiler;
    let kept = args.counts.as_ref().and_then(|path| std::fs::read(path).ok());
    let kept = kept.and_then(|bytes| serde_json::from_slice::<Counted>(&bytes).ok());
    let kept = kept.filter(|kept| kept.compiler == compiler && kept.caches == caches);
    let mut counted = kept.unwrap_or_else(|| Counted { compiler, caches: caches.clone(), blobs: Vec::new() });
    let mut samples = Vec::new();
    for blob in layers::blobs()? {
        let model = Model::parse(&blob)?;
        let found = counted.blobs.iter().find(|(crc, _)| *crc == model.crc()).map(|(_, counts)| counts.clone());
        let counts = found.map_or_else(|| count_behind(&bench, &blob, &caches), Ok)?;
        for (index, op) in model.ops().enumerate() {
            let counts = counts.iter().filter_map(|operators| operators.get(index).copied()).collect();
            samples.push(Sample { work: Work::of(&op), counts });
        }
        if counted.blobs.iter().all(|(crc, _)| *crc != model.crc()) {
            tracing::info!("{} operators are counted", samples.len());
            counted.blobs.push((model.crc(), counts));
            if let Some(path) = &args.counts {
                atomic::write(path, &serde_json::to_vec(&counted)?)?;
            }
        }
    }
    let costs = fit(&counted.compiler, &caches, &samples)?;
    let text = format!(
        "# What each turn of a kernel's loops takes; device/costs/mod.rs explains it. Written by `dev device-costs`.\n\n{}",
        toml::to_string(&costs).context("the tables cannot be written")?
    );
    atomic::write(&args.out, text.as_bytes())?;
    println!("{} operators are counted; the largest error is {:.1} %", samples.len(), 100.0 * costs.error);
    Ok(ExitCode::SUCCESS)
}

/// Counts a blob's operators behind each of the caches.
fn count_behind(bench: &Bench, blob: &Aligned<u8>, caches: &[Caches]) -> Result<Vec<Vec<Count>>> {
    let behind = |&caches| Ok(bench.count(blob, caches)?.operators.iter().map(count).collect());
    caches.iter().map(behind).collect()
}
