//! From a data set to a run folder with all that a run leaves: trains, chooses a recipe where none is given, quantises, compares and
//! exports.

use std::path::Path;

use anyhow::Result;
use model_training::config::{Config, Recipe};
use model_training::data::dataset::{Dataset, Loaded, Reading};
use model_training::data::progress;
use model_training::data::record::Record;
use model_training::measure::predictions::PREDICTIONS_FILE;
use model_training::run::cross_validation::Plan;
use model_training::run::folder::RunDir;
use model_training::run::recipe::{self, CHOICE_FILE, Caller, Chooser, Pictures, Trained, training_data};
use model_training::system::hints::{program, quoted};
use model_training::system::interrupt::Hint;
use model_training::system::{atomic, log};
use model_training::training::{self, Console, Event, Lines, tell, train};

use super::export::{Choices, Report, export, report_of, tell_choice};
use super::pages::Unfinished;
use super::plan::check_target;

/// Trains on a data set in a new run folder and exports.
///
/// # Errors
/// When the folder holds a run, images cannot be read, and those of [`train`] and [`export`].
pub fn train_new(run: &RunDir, config: &Config, mut dataset: Dataset, compute: training::Options) -> Result<Report> {
    training::check_new(run.path())?;
    let images = progress::load(&mut dataset, &Reading::of_run(config))?;
    train_on(run, config, (&dataset, &images), compute)
}

/// Trains on a data set that was read, in a new run folder, and exports.
///
/// # Errors
/// When the folder holds a run or another process trains in it, and those of [`train`] and [`export`].
pub fn train_on(
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
///
/// # Errors
/// When the images are not those of the run, another process trains in it, and those of [`train`] and [`export`].
pub fn go_on(
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
    let choices = Choices { chosen: origin(config), ..Choices::of(config)? };
    log::stage("quantising and comparing", || export(run, config, record, images, &choices))
}

/// Whether the first network of a choice is exported, for a user who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// It is.
    Exported,
    /// It is not.
    Passed,
}

/// Chooses a recipe, trains by it and exports; the report says what was compared.
///
/// # Errors
/// When another process trains in the folder, and those of [`Chooser::choose`] and [`export`].
pub fn choose(run: &RunDir, mut chooser: Chooser, pictures: &mut Pictures, first: First) -> Result<Report> {
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

/// A sentence about the run that a configuration's network starts from, where there is one.
fn origin(config: &Config) -> Vec<String> {
    let run = config.model.pretrained.as_ref().and_then(|pretrained| pretrained.file.as_deref());
    run.filter(|file| file.is_dir())
        .map(|run| format!("It went on from the run in {}.", run.display()))
        .into_iter()
        .collect()
}

/// The folds of a data set, whose images are read when the first network is trained.
pub struct Folds {
    whole: Dataset,
    /// What the folds have in common.
    pub plan: Plan,
    compute: training::Options,
    pictures: Pictures,
}

impl Folds {
    /// So many folds of a data set opened by [`Dataset::open_whole`].
    ///
    /// # Errors
    /// Those of [`Plan::new`].
    pub fn plan(whole: Dataset, config: &Config, folds: usize, compute: training::Options) -> Result<Self> {
        let (plan, pictures) = (Plan::new(&whole, config, folds)?, Pictures::new(whole.clone()));
        Ok(Self { whole, plan, compute, pictures })
    }

    /// The split that scores one fold.
    ///
    /// # Errors
    /// Those of [`Plan::dataset`].
    pub fn split(&self, fold: usize) -> Result<Dataset> {
        self.plan.dataset(&self.whole, fold)
    }

    /// Trains on a split of these images and scores its test, in a run folder; goes on with what was interrupted there.
    ///
    /// # Errors
    /// Those of [`choose`] or [`train_split`].
    pub fn score(&mut self, run: &RunDir, split: Dataset) -> Result<()> {
        let config = self.plan.config()?;
        let report = match config.recipe {
            Recipe::Given => train_split(run, &config, split, &mut self.pictures, self.compute)?,
            Recipe::Automatic => self.choose(run, &config, split)?,
        };
        tracing::info!("{}", report.comparison.accuracy_text());
        Ok(())
    }

    /// By a recipe that is chosen by the other folds.
    fn choose(&mut self, run: &RunDir, config: &Config, split: Dataset) -> Result<Report> {
        let chooser = if recipe::is_begun(run) {
            Chooser::resume(run, Some(&split.root), self.compute)?
        } else {
            Chooser::new(run, config, split, self.compute)
        };
        choose(run, chooser, &mut self.pictures, First::Passed)
    }
}

/// Trains on a split in a run folder, or goes on there, and exports.
///
/// # Errors
/// Those of [`train_on`] or [`go_on`].
pub fn train_split(
    run: &RunDir,
    config: &Config,
    mut split: Dataset,
    pictures: &mut Pictures,
    compute: training::Options,
) -> Result<Report> {
    let resume = training::is_begun(run.path());
    let compute = training::Options { resume, ..compute };
    if resume {
        return go_on(run, &split.root, compute, |split, config| pictures.of(split, config));
    }
    let images = pictures.of(&mut split, config)?;
    train_on(run, config, (&split, &images), compute)
}
