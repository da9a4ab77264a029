//! `cv`: cross-validation, fold by fold or all at once; and the folds joined.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;

use super::arguments::{CacheArgs, ComputeArgs, GroupArgs};
use super::settings::ConfigurationArgs;
use super::train::First;
use super::{refuse_among_pictures, train};
use crate::config::{Config, Recipe};
use crate::data::dataset::Dataset;
use crate::measure::confidence::{Confidence, WANTED};
use crate::measure::predictions::Predictions;
use crate::measure::scores::Scores;
use crate::report::plan::check_target;
use crate::report::{export, pages, verdict};
use crate::run::cross_validation::{CvDir, Plan};
use crate::run::folder::RunDir;
use crate::run::recipe::{self, Chooser, Pictures};
use crate::system::atomic;
use crate::system::hints::{program, quoted};
use crate::training;

#[derive(Debug, Args)]
pub(super) struct CvArgs {
    /// Folder of images; all of them take part, whatever split they are in.
    #[arg(long, required_unless_present = "collect")]
    data: Option<PathBuf>,
    #[command(flatten)]
    configuration: ConfigurationArgs,
    /// Folder for the folds; jobs for single folds share it. A fold that was interrupted goes on, one that is there stays.
    #[arg(long, value_name = "CV_DIR", required_unless_present = "collect")]
    out: Option<PathBuf>,
    #[command(flatten)]
    groups: GroupArgs,
    /// Weights that each fold starts from, as in `train`.
    #[arg(long, value_name = "FILE")]
    pretrained: Option<PathBuf>,
    /// Number of folds.
    #[arg(long, default_value_t = 5)]
    folds: usize,
    /// Do this fold only, from 0.
    #[arg(long, value_name = "K")]
    fold: Option<usize>,
    /// Join the folds in this folder.
    #[arg(long, value_name = "CV_DIR", conflicts_with_all = ["data", "ConfigurationArgs", "SettingArgs", "out", "groups", "pretrained", "folds", "fold"])]
    collect: Option<PathBuf>,
    #[command(flatten)]
    cache: CacheArgs,
    #[command(flatten)]
    compute: ComputeArgs,
    /// Print the joined scores as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &CvArgs) -> Result<ExitCode> {
    if let Some(dir) = &args.collect {
        return collect(&CvDir::new(dir), args.json);
    }
    args.compute.threads.run(|| folds(args))
}

fn folds(args: &CvArgs) -> Result<ExitCode> {
    let compute = args.compute.options(false)?;
    let data = args.data.as_deref().context("`--data DIR` is missing")?;
    let out = args.out.as_deref().context("`--out CV_DIR` is missing")?;
    refuse_among_pictures(data, out)?;
    let config = args.configuration.load_or_choose(args.pretrained.as_deref())?;
    let whole = args.groups.open_whole(data, &config, &args.cache)?;
    if config.recipe == Recipe::Given {
        check_target(&config, &whole.classes)?;
    }
    let mut folds = Folds::plan(whole, &config, args.folds, compute)?;
    let chosen = args.fold.map_or_else(|| (0..args.folds).collect(), |fold| vec![fold]);
    let splits: Vec<Dataset> = chosen.iter().map(|&fold| folds.split(fold)).collect::<Result<_>>()?;
    let dir = CvDir::new(out);
    dir.claim(&folds.plan)?;
    for (&fold, split) in chosen.iter().zip(splits) {
        let run = dir.fold(fold);
        let shown = run.path().display();
        if dir.is_scored(fold) {
            tracing::info!("fold {fold} is there already, in {shown}");
            continue;
        }
        tracing::info!("fold {fold} of {} (0 to {}), in {shown}", args.folds, args.folds - 1);
        folds.score(&run, split)?;
    }
    if args.fold.is_none() {
        return collect(&dir, args.json);
    }
    println!("when all {} folds are there:  {program} cv --collect {}", args.folds, quoted(out), program = program());
    Ok(ExitCode::SUCCESS)
}

/// The folds of a data set, whose images are read when the first network is trained.
pub(super) struct Folds {
    whole: Dataset,
    pub plan: Plan,
    compute: training::Options,
    pictures: Pictures,
}

impl Folds {
    /// So many folds of a data set opened by [`Dataset::open_whole`].
    pub fn plan(whole: Dataset, config: &Config, folds: usize, compute: training::Options) -> Result<Self> {
        let (plan, pictures) = (Plan::new(&whole, config, folds)?, Pictures::new(whole.clone()));
        Ok(Self { whole, plan, compute, pictures })
    }

    /// The split that scores one fold.
    pub fn split(&self, fold: usize) -> Result<Dataset> {
        self.plan.dataset(&self.whole, fold)
    }

    /// Trains on a split of these images and scores its test, in a run folder; goes on with what was interrupted there.
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
    fn choose(&mut self, run: &RunDir, config: &Config, split: Dataset) -> Result<export::Report> {
        let chooser = if recipe::is_begun(run) {
            Chooser::resume(run, Some(&split.root), self.compute)?
        } else {
            Chooser::new(run, config, split, self.compute)
        };
        train::choose(run, chooser, &mut self.pictures, First::Passed)
    }
}

/// Trains on a split in a run folder, or goes on there, and exports.
pub(super) fn train_split(
    run: &RunDir,
    config: &Config,
    mut split: Dataset,
    pictures: &mut Pictures,
    compute: training::Options,
) -> Result<export::Report> {
    let resume = training::is_begun(run.path());
    let compute = training::Options { resume, ..compute };
    if resume {
        return train::go_on(run, &split.root, compute, |split, config| pictures.of(split, config));
    }
    let images = pictures.of(&mut split, config)?;
    train::train_on(run, config, (&split, &images), compute)
}

/// What the joined folds say.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    scores: Scores,
    /// About the probabilities, where there are enough images.
    confidence: Option<Confidence>,
}

fn collect(dir: &CvDir, json: bool) -> Result<ExitCode> {
    let (plan, predictions) = dir.join()?;
    let report = Report::new(&predictions);
    let page = pages::cross_validation(dir, &plan, &predictions, &report.scores, report.confidence.as_ref())?;
    atomic::write(&dir.file(pages::REPORT_FILE), page.as_bytes())?;
    let text = serde_json::to_string_pretty(&report)?;
    atomic::write(&dir.file("report.json"), text.as_bytes())?;
    if json {
        println!("{text}");
    } else {
        verdict::of_folds(&report.scores).iter().for_each(|sentence| println!("{sentence}"));
        print!("\n{}", report.scores.to_text());
        if let Some(confidence) = &report.confidence {
            print!("\n{}", confidence.to_text());
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Report {
    fn new(predictions: &Predictions) -> Self {
        let confidence = Confidence::new(predictions, WANTED);
        if let Err(error) = &confidence {
            tracing::warn!("{error:#}");
        }
        Self { scores: Scores::new(predictions), confidence: confidence.ok() }
    }
}
