//! `train`: from a folder of images to the blob.

mod further;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::arguments::{CacheArgs, ComputeArgs, GroupArgs};
use super::refuse_among_pictures;
use super::settings::ConfigurationArgs;
use crate::config::{Config, Recipe};
use crate::data::dataset::{Dataset, Loaded, Options, Reading};
use crate::data::progress;
use crate::data::record::Record;
use crate::measure::comparison::Split;
use crate::measure::predictions::PREDICTIONS_FILE;
use crate::report::export::{Choices, Report, export, report_of, tell_choice};
use crate::report::pages::Unfinished;
use crate::report::plan::check_target;
use crate::run::folder::RunDir;
use crate::run::recipe::{self, CHOICE_FILE, Caller, Chooser, Pictures, Trained, training_data};
use crate::system::hints::{program, quoted};
use crate::system::interrupt::Hint;
use crate::system::{atomic, log};
use crate::training::{self, Accuracy, Console, Event, Lines, tell, train};

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

/// Trains on a data set in a new run folder and exports.
pub(super) fn train_new(
    run: &RunDir,
    config: &Config,
    mut dataset: Dataset,
    compute: training::Options,
) -> Result<Report> {
    training::check_new(run.path())?;
    let images = progress::load(&mut dataset, &Reading::of_run(config))?;
    train_on(run, config, (&dataset, &images), compute)
}

/// Trains on a data set that was read, in a new run folder, and exports.
pub(super) fn train_on(
    run: &RunDir,
    config: &Config,
    (dataset, images): (&Dataset, &Loaded),
    compute: training::Options,
) -> Result<Report> {
    let record = Record::new(dataset, images)?;
    let _claim = run.claim()?;
    training::check_new(run.path())?;
    run.save_record(&record)?;
    train_and_export(run, config, &record, images, compute)
}

/// Goes on with a run whose images are below `root`, and exports. `read` reads them.
pub(super) fn go_on(
    run: &RunDir,
    root: &Path,
    compute: training::Options,
    read: impl FnOnce(&mut Dataset, &Config) -> Result<Loaded>,
) -> Result<Report> {
    let config = run.config()?;
    let record = run.record()?;
    let _claim = run.claim()?;
    let mut dataset = record.dataset(root)?;
    let images = read(&mut dataset, &config)?;
    record.check_same(&dataset, &images)?;
    let record = record.moved(root)?;
    run.save_record(&record)?;
    train_and_export(run, &config, &record, &images, compute)
}

fn train_and_export(
    run: &RunDir,
    config: &Config,
    record: &Record,
    images: &Loaded,
    compute: training::Options,
) -> Result<Report> {
    tracing::info!(
        "training on {} images of {} classes, {} for validation, {} for the test, with {}",
        images.train.len(),
        record.classes.len(),
        images.valid.len(),
        images.test.len(),
        compute.device.describe()?
    );
    let data = training_data(config, record, images);
    let _hint = Hint::new(format!("go on by: {} train --resume {}", program(), quoted(run.path())));
    let page = Unfinished::new(run, config, record, images)?;
    if compute.json {
        let images = [images.train.len(), images.valid.len(), images.test.len()];
        let classes = record.classes.clone();
        tell(&Event::Training { run: run.path().to_owned(), epochs: config.epochs(), classes, images })?;
    }
    let observer = ((Console::new(), compute.json.then(Lines::default)), page);
    let outcome = log::stage("training", || train(&data, config, run.path(), compute, &observer))?;
    tracing::info!("epoch {} of {} is kept; quantising and comparing", outcome.best_epoch, outcome.epochs.len());
    if compute.json {
        tell(&Event::Exporting)?;
    }
    let choices = Choices { chosen: further::origin(config), ..Choices::of(config)? };
    log::stage("quantising and comparing", || export(run, config, record, images, &choices))
}

/// Whether the first network of a choice is exported, for a user who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum First {
    Exported,
    Passed,
}

/// Chooses a recipe, trains by it and exports.
pub(super) fn choose(run: &RunDir, mut chooser: Chooser, pictures: &mut Pictures, first: First) -> Result<Report> {
    let read = chooser.read(pictures)?;
    let _claim = run.claim()?;
    let exporter = Exporter { run, first, compute: chooser.options() };
    let (choice, trained) = chooser.choose(read, pictures, &exporter)?;
    let report = if trained.run.file(PREDICTIONS_FILE).exists() {
        tell_choice(&trained.run, &trained.record, &trained.images, choice.text())?
    } else {
        exporter.export(&trained, choice.text())?
    };
    run.adopt(&trained.run)?;
    atomic::write(&run.file(CHOICE_FILE), serde_json::to_string_pretty(&choice)?.as_bytes())?;
    Ok(report)
}

/// Trains candidates, and puts what is exported into the run folder.
struct Exporter<'a> {
    run: &'a RunDir,
    first: First,
    compute: training::Options,
}

impl Exporter<'_> {
    fn export(&self, trained: &Trained, chosen: Vec<String>) -> Result<Report> {
        let Trained { run, config, record, images } = trained;
        let choices = Choices { name: Some(self.run.name()), chosen, ..Choices::of(config)? };
        log::stage("quantising and comparing", || export(run, config, record, images, &choices))
    }
}

impl Caller for Exporter<'_> {
    fn fits(&self, config: &Config, classes: &[String]) -> Result<()> {
        check_target(config, classes)
    }

    fn train(&self, trained: &Trained) -> Result<()> {
        let Trained { run, config, record, images } = trained;
        let data = training_data(config, record, images);
        let _hint = Hint::new(format!("go on by: {} train --resume {}", program(), quoted(self.run.path())));
        let compute = training::Options { resume: training::is_begun(run.path()), ..self.compute };
        let observer = (Console::new(), compute.json.then(Lines::default));
        log::stage("training", || train(&data, config, run.path(), compute, &observer)).map(|_| ())
    }

    fn export(&self, trained: &Trained) -> Result<()> {
        let chosen = vec!["This is one of several recipes that were compared; better ones may follow.".to_owned()];
        self.export(trained, chosen).map(|_| ())
    }

    fn take_first(&self, trained: &Trained) -> Result<()> {
        if self.first == First::Passed || self.run.file(PREDICTIONS_FILE).exists() {
            return Ok(());
        }
        self.run.adopt(&trained.run)?;
        tracing::info!("{}", report_of(&trained.run)?.comparison.accuracy_text());
        tracing::info!("a first model is in {}; better ones may follow", self.run.blob().display());
        Ok(())
    }
}
