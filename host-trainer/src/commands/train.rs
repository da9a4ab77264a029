//! `train`: from a folder of images to the blob.

mod further;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Args;
use model_training::config::{Config, Recipe};
use model_training::data::dataset::{Dataset, Options, Reading};
use model_training::data::progress;
use model_training::measure::comparison::Split;
use model_training::run::folder::RunDir;
use model_training::run::recipe::{self, Chooser, Pictures};
use model_training::system::hints::{program, quoted};
use model_training::training::{self, Accuracy, Event, tell};

use super::arguments::{CacheArgs, ComputeArgs, GroupArgs};
use super::refuse_among_pictures;
use super::settings::ConfigurationArgs;
use crate::report::export::Report;
use crate::report::plan::check_target;
use crate::report::train::{First, choose, go_on, train_new};

#[derive(Debug, Args)]
pub(super) struct TrainArgs {
    /// Folder of images: `train`, `valid` and `test` folders of class folders, or class folders alone. With `--from`, those that are
    /// new; with `--resume`, where the run's images are now.
    #[arg(long, required_unless_present = "resume")]
    data: Option<PathBuf>,
    /// Go on from a run that has ended: its network learns its own images and those of `--data` in a few gentle epochs, or gets an
    /// output layer that is fitted to all of them where its other layers were frozen. Every image that it knows stays on its side of
    /// the split.
    #[arg(
        long,
        value_name = "RUN_DIR",
        conflicts_with_all = [
            "config", "preset", "input_width", "input_height", "input_color", "pretrained", "allow_leak", "resume"
        ]
    )]
    from: Option<PathBuf>,
    /// With `--from`, where that run's own images are now, if they moved.
    #[arg(long, value_name = "DIR", requires = "from")]
    from_data: Option<PathBuf>,
    #[command(flatten)]
    configuration: ConfigurationArgs,
    /// Folder for everything that the run makes.
    #[arg(long, value_name = "RUN_DIR", required_unless_present = "resume")]
    out: Option<PathBuf>,
    #[command(flatten)]
    groups: GroupArgs,
    /// Train although the given split has copies of one photograph on two sides.
    #[arg(long)]
    allow_leak: bool,
    /// Weights to start from: a `.safetensors` file, whose names the configuration's `model.pretrained.names` maps, or
    /// a float `.tflite` file with the same convolutions in the same order.
    #[arg(long, value_name = "FILE")]
    pretrained: Option<PathBuf>,
    /// Go on without files that cannot be read. A run that is resumed stays without those that it left out.
    #[arg(long)]
    skip_bad: bool,
    /// Go on with a run that was interrupted, from where it was saved last: at the end of an epoch, or two minutes ago.
    #[arg(
        long,
        value_name = "RUN_DIR",
        conflicts_with_all = ["ConfigurationArgs", "SettingArgs", "out", "groups", "allow_leak", "pretrained"]
    )]
    resume: Option<PathBuf>,
    #[command(flatten)]
    cache: CacheArgs,
    #[command(flatten)]
    compute: ComputeArgs,
    /// Tell a program what happens: a line of JSON for each event, and for the outcome.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &TrainArgs) -> Result<ExitCode> {
    args.compute.threads.run(|| train_or_go_on(args))
}

fn train_or_go_on(args: &TrainArgs) -> Result<ExitCode> {
    let compute = training::Options { json: args.json, ..args.compute.options(args.resume.is_some())? };
    let (run, report) = match &args.resume {
        Some(run_dir) => {
            let run = RunDir::new(run_dir);
            let report = if recipe::is_begun(&run) {
                let root = args.data.as_deref().map(Dataset::root).transpose()?;
                let chooser = Chooser::resume(&run, root.as_deref(), compute)?;
                let mut whole = chooser.whole();
                whole.cache.clone_from(&args.cache.cache);
                choose(&run, chooser, &mut Pictures::new(whole), First::Exported)?
            } else {
                let read = |dataset: &mut Dataset, config: &Config| {
                    dataset.cache.clone_from(&args.cache.cache);
                    progress::load(dataset, &Reading::of_run(config))
                };
                let record = run.record()?;
                let root = args.data.as_deref().map_or_else(|| Ok(record.root.clone()), |dir| record.root_in(dir))?;
                go_on(&run, &root, compute, read)?
            };
            (run, report)
        }
        None => match &args.from {
            Some(from) => further::start(args, from, compute)?,
            None => start(args, compute)?,
        },
    };
    if args.json {
        return tell_outcome(&run, &report);
    }
    print!("{}", report.to_text());
    println!(
        "\nThe run is in {}: report.html, model.blob, report.json, predictions.csv, metrics.csv, and pictures",
        run.path().display()
    );
    println!("See what is in the blob:  {program} inspect {}", quoted(&run.blob()), program = program());
    Ok(ExitCode::SUCCESS)
}

/// Tells a program how a run has ended.
fn tell_outcome(run: &RunDir, report: &Report) -> Result<ExitCode> {
    let accuracy = |split: &'_ Split| {
        let of = |engine: usize| split.engines.get(engine).map_or(0.0, |engine| engine.accuracy.value);
        let images = split.engines.first().map_or(0, |engine| engine.accuracy.total);
        Accuracy { split: split.name.clone(), images, float: of(0), int8: of(1) }
    };
    let splits = report.comparison.splits.iter().map(accuracy).collect();
    let verdict = report.verdict.clone();
    tell(&Event::Done { run: run.path().to_owned(), blob: run.blob(), verdict, splits })?;
    Ok(ExitCode::SUCCESS)
}

fn start(args: &TrainArgs, compute: training::Options) -> Result<(RunDir, Report)> {
    let data = args.data.as_deref().context("`--data DIR` is missing")?;
    let run = RunDir::new(args.out.as_deref().context("`--out RUN_DIR` is missing")?);
    let config = args.configuration.load_or_choose(args.pretrained.as_deref())?;
    refuse_among_pictures(data, run.path())?;
    let options = Options {
        data: config.data.clone(),
        seed: config.seed,
        groups: args.groups.grouping(),
        allow_leak: args.allow_leak,
        skip_bad: args.skip_bad,
    };
    let mut dataset = Dataset::open(data, &options)?;
    dataset.cache.clone_from(&args.cache.cache);
    let report = match config.recipe {
        Recipe::Given => {
            check_target(&config, &dataset.classes)?;
            train_new(&run, &config, dataset, compute)?
        }
        Recipe::Automatic => {
            training::check_new(run.path())?;
            ensure!(
                !recipe::is_begun(&run),
                "{} holds a run that was interrupted: go on with it by `{program} train --resume {}`, or choose another folder",
                run.path().display(),
                quoted(run.path()),
                program = program()
            );
            let mut pictures = Pictures::new(dataset.whole());
            let chooser = Chooser::new(&run, &config, dataset, compute);
            choose(&run, chooser, &mut pictures, First::Exported)?
        }
    };
    Ok((run, report))
}
