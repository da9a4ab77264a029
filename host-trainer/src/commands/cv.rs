//! `cv`: cross-validation, fold by fold or all at once; and the folds joined.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use model_training::config::Recipe;
use model_training::data::dataset::Dataset;
use model_training::measure::confidence::{Confidence, WANTED};
use model_training::measure::predictions::Predictions;
use model_training::measure::scores::Scores;
use model_training::run::cross_validation::CvDir;
use model_training::system::atomic;
use model_training::system::hints::{program, quoted};
use serde::Serialize;

use super::arguments::{CacheArgs, ComputeArgs, GroupArgs};
use super::refuse_among_pictures;
use super::settings::ConfigurationArgs;
use crate::report::plan::check_target;
use crate::report::train::Folds;
use crate::report::{pages, verdict};

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
