//! `demo`: the whole path on the built-in drawings.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use model_training::config::Config;
use model_training::data::dataset::{Dataset, Grouping, Options};
use model_training::data::faces::{PerClass, generate};
use model_training::run::folder::RunDir;
use model_training::system::hints::{program, quoted};
use model_training::training;

use super::BOUND_MISSED;
use super::arguments::ThreadArgs;
use super::settings::SettingArgs;
use crate::report::train::train_new;

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Folder for the drawings and the run.
    #[arg(long, default_value = "runs/demo")]
    out: PathBuf,
    #[command(flatten)]
    settings: SettingArgs,
    #[command(flatten)]
    threads: ThreadArgs,
    /// Fail when fewer of 100 test drawings are classified right.
    #[arg(long, value_name = "PERCENT")]
    min_accuracy: Option<f64>,
}

/// Seed of the drawings.
const SEED: u64 = 1;
/// Drawings of each class.
const PER_CLASS: PerClass = PerClass { train: 1000, valid: 100, test: 150 };
/// Width and height of the drawings in pixels.
const SIZE: u32 = 64;
/// The configuration, a file that can be used with `train` as well.
const CONFIG: &str = include_str!("../../../data/faces.toml");

pub(super) fn run(args: &DemoArgs) -> Result<ExitCode> {
    let drawings = args.out.join("faces");
    let mut config = Config::from_toml(CONFIG)?;
    args.settings.apply(&mut config)?;
    let run = RunDir::new(&args.out.join(config.model.preset.name()));
    training::check_new(run.path())?;
    println!("Drawing {} faces in {}", 4 * (PER_CLASS.train + PER_CLASS.valid + PER_CLASS.test), drawings.display());
    generate(&drawings, SEED, &PER_CLASS, SIZE)?;

    let dataset = Dataset::open(&drawings, &Options { groups: Grouping::Ignored, ..Options::default() })?;
    let compute = training::Options { threads: args.threads.count(), ..training::Options::default() };
    let report = args.threads.run(|| train_new(&run, &config, dataset, compute))?;
    print!("{}", report.to_text());

    let (blob, image) = (run.blob(), drawings.join("test/happy/0000.png"));
    println!("\nThe drawings are in {}, the run in {}.", drawings.display(), run.path().display());
    println!("See what is in the blob:        {program} inspect {}", quoted(&blob), program = program());
    println!(
        "Classify a drawing:             {program} predict {} {}",
        quoted(&blob),
        quoted(&image),
        program = program()
    );
    println!(
        "Run it on a Cortex-M4 in QEMU:  {program} parity {} --data {} --link qemu --limit 200",
        quoted(run.path()),
        quoted(&drawings.join("test")),
        program = program()
    );
    Ok(args.min_accuracy.map_or(ExitCode::SUCCESS, |bound| check_accuracy(&report, bound)))
}

fn check_accuracy(report: &crate::report::export::Report, percent: f64) -> ExitCode {
    let test = report.comparison.splits.last();
    let lowest = test.into_iter().flat_map(|split| &split.engines).map(|engine| engine.accuracy.value);
    if lowest.fold(f64::INFINITY, f64::min) * 100.0 >= percent {
        return ExitCode::SUCCESS;
    }
    eprintln!("error: fewer than {percent} of 100 test drawings were classified right");
    BOUND_MISSED.into()
}
