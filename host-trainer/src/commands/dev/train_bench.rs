//! `dev train-bench`: time of a training step on one thread of this machine, beside PyTorch's.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use model_training::config::Config;
use model_training::measure::comparison::text_table;
use model_training::training::{DeviceKind, timing::Steps};
use serde::Serialize;

use crate::beside::torch::{self, Torch};
use crate::commands::bench::{Times, seconds_per_call, window};
use crate::commands::settings::ConfigurationArgs;

/// Classes of the network that is timed.
const CLASSES: usize = 4;

#[derive(Debug, Args)]
pub(super) struct TrainBenchArgs {
    #[command(flatten)]
    configuration: ConfigurationArgs,
    /// What computes.
    #[arg(long, value_enum, default_value = "flex")]
    device: DeviceKind,
    /// Rounds, 1 or more; the median counts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Length of a round in seconds.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Python interpreter that has `torch`.
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What was measured.
#[derive(Serialize)]
struct TrainBench {
    batch_size: usize,
    /// Multiply-accumulates of the forward pass of an image.
    macs: usize,
    /// Seconds of a step.
    ours: Times,
    pytorch: Option<Times>,
    /// Our images a second, as a share of PyTorch's.
    ratio: Option<f64>,
    /// Largest resident memory of our process in bytes, where the system tells.
    peak_memory: Option<u64>,
}

pub(super) fn run(args: &TrainBenchArgs) -> Result<ExitCode> {
    let window = window(args.seconds)?;
    let config = args.configuration.load()?;
    let installed = torch::is_installed(&args.python);
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let measured = one.install(|| measure(&config, args, window, installed))?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&measured)?);
    } else {
        print(&measured, args);
        if !installed {
            println!("PyTorch is not there to compare with: `pip install torch`, or name a Python with --python.");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Each round measures both, so that a busy moment hits both.
fn measure(config: &Config, args: &TrainBenchArgs, window: Duration, beside: bool) -> Result<TrainBench> {
    let mut steps = Steps::new(config, CLASSES, args.device)?;
    let start = || Torch::start(&args.python, config, &steps.task(), args.seconds);
    let mut pytorch = beside.then(start).transpose()?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        ours.push(seconds_per_call(window, || {
            steps.step();
        }));
        if let Some(pytorch) = &mut pytorch {
            theirs.push(pytorch.seconds()?);
        }
    }
    let mut ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| theirs / ours).collect();
    ratios.sort_by(f64::total_cmp);
    Ok(TrainBench {
        batch_size: config.train.batch_size,
        macs: steps.macs(),
        ours: Times::of(ours).context("no round was measured")?,
        pytorch: Times::of(theirs),
        ratio: ratios.get(ratios.len() / 2).copied(),
        peak_memory: peak_memory(),
    })
}

/// Linux' high-water mark of this process.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn print(measured: &TrainBench, args: &TrainBenchArgs) {
    let mut table = text_table(&["engine", "ms a step", "images a second"], 1);
    let rate = |times: &Times| format!("{:.1}", measured.batch_size as f64 / times.median);
    table.add_row(["ours".to_owned(), measured.ours.to_text(), rate(&measured.ours)]);
    if let Some(pytorch) = &measured.pytorch {
        table.add_row(["PyTorch".to_owned(), pytorch.to_text(), rate(pytorch)]);
    }
    println!("{}", table.trim_fmt());
    println!(
        "\nA step on {} images of {:.2} M MACs, one thread: median (shortest to longest) of {} rounds of {} s.",
        measured.batch_size,
        measured.macs as f64 / 1e6,
        args.rounds,
        args.seconds
    );
    if let Some(ratio) = measured.ratio {
        println!("Ours trains {ratio:.2} times as many images a second as PyTorch (median of the rounds).");
    }
    if let Some(bytes) = measured.peak_memory {
        println!("Peak memory: {:.0} MB", bytes as f64 / 1e6);
    }
}
