//! `learning-curve`: whether more pictures would help.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Args;
use model_training::data::dataset::{Dataset, Sample};
use model_training::measure::comparison::text_table;
use model_training::measure::learning::{LearningCurve, Point};
use model_training::measure::predictions::Predictions;
use model_training::run::cross_validation::CvDir;
use model_training::system::atomic;
use model_training::system::hints::quoted;

use super::arguments::{CacheArgs, ComputeArgs, GroupArgs};

use super::refuse_among_pictures;
use super::settings::ConfigurationArgs;
use crate::report::plots;
use crate::report::train::Folds;

/// Name of the picture.
const PLOT_FILE: &str = "learning-curve.svg";
/// Name of the figures.
const FIGURES_FILE: &str = "learning-curve.json";

#[derive(Debug, Args)]
pub(super) struct LearningCurveArgs {
    /// Folder of images; all of them take part, whatever split they are in.
    #[arg(long)]
    data: PathBuf,
    #[command(flatten)]
    configuration: ConfigurationArgs,
    /// Folder for the points, each a cross-validation. What was interrupted goes on, what is there stays.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    groups: GroupArgs,
    /// Weights that each network starts from, as in `train`.
    #[arg(long, value_name = "FILE")]
    pretrained: Option<PathBuf>,
    /// Number of folds; each learns from another draw of the photographs outside of it.
    #[arg(long, default_value_t = 3)]
    folds: usize,
    /// Number of points: of the photographs outside of a fold all, half, a quarter and so on are learnt from.
    #[arg(long, default_value_t = 4)]
    points: u32,
    #[command(flatten)]
    cache: CacheArgs,
    #[command(flatten)]
    compute: ComputeArgs,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &LearningCurveArgs) -> Result<ExitCode> {
    ensure!((2..=10).contains(&args.points), "--points is {}, but must be 2 to 10", args.points);
    args.compute.threads.run(|| curve(args))
}

fn curve(args: &LearningCurveArgs) -> Result<ExitCode> {
    let compute = args.compute.options(false)?;
    refuse_among_pictures(&args.data, &args.out)?;
    let config = args.configuration.load_or_choose(args.pretrained.as_deref())?;
    let whole = args.groups.open_whole(&args.data, &config, &args.cache)?;
    let mut folds = Folds::plan(whole, &config, args.folds, compute)?;
    let denominators = (0..args.points).rev().map(|halvings| 1_usize << halvings);
    let points: Vec<(usize, Vec<Dataset>)> = denominators
        .map(|denominator| Ok((denominator, splits(&folds, denominator, config.seed)?)))
        .collect::<Result<_>>()?;
    let mut said = Vec::new();
    for (denominator, splits) in points {
        let dir = CvDir::new(&args.out.join(format!("share-{denominator}")));
        let photographs = splits.iter().map(photographs).sum::<usize>() as f64 / splits.len() as f64;
        said.push((1.0 / denominator as f64, photographs, point(&mut folds, &dir, splits)?));
    }
    let found = LearningCurve::new(&said);
    let plot = args.out.join(PLOT_FILE);
    let text = serde_json::to_string_pretty(&found)?;
    atomic::write(&args.out.join(FIGURES_FILE), text.as_bytes())?;
    atomic::write(&plot, plots::learning_curve("Accuracy over photographs", &found)?.as_bytes())?;
    if args.json {
        println!("{text}");
    } else {
        print!("{}", to_text(&found));
        println!("See it:  {}", quoted(&plot));
    }
    Ok(ExitCode::SUCCESS)
}

/// The split of each fold with one of so many parts of its training and validation photographs.
fn splits(folds: &Folds, denominator: usize, seed: u64) -> Result<Vec<Dataset>> {
    let split = |fold: usize| {
        let thinned = folds.split(fold)?.thinned(1.0 / denominator as f64, seed.wrapping_add(fold as u64));
        thinned.with_context(|| format!("one {denominator}th of the photographs is too few: lower --points"))
    };
    (0..folds.plan.folds).map(split).collect()
}

/// Trains what is not there yet of one point, and joins it.
fn point(folds: &mut Folds, dir: &CvDir, splits: Vec<Dataset>) -> Result<Predictions> {
    dir.claim(&folds.plan)?;
    for (fold, split) in splits.into_iter().enumerate() {
        let run = dir.fold(fold);
        let shown = run.path().display();
        if dir.is_scored(fold) {
            tracing::info!("{shown} is there already");
            continue;
        }
        tracing::info!("{shown}: {} photographs to learn from", photographs(&split));
        folds.score(&run, split)?;
    }
    Ok(dir.join()?.1)
}

/// Photographs to learn from, those for validation included.
fn photographs(split: &Dataset) -> usize {
    split.train.iter().chain(&split.valid).map(Sample::cluster).collect::<BTreeSet<_>>().len()
}

fn to_text(found: &LearningCurve) -> String {
    let mut table = text_table(&["photographs", "share", "accuracy, int8", "lowest fold", "highest fold"], 0);
    for Point { share, photographs, accuracy, folds } in &found.points {
        let ends = [f64::min, f64::max].map(|end| folds.iter().copied().reduce(end).unwrap_or_default());
        let ends = ends.map(|accuracy| format!("{accuracy:.3}"));
        let row = [format!("{photographs:.0}"), format!("{share:.3}"), accuracy.to_string()];
        table.add_row(row.into_iter().chain(ends));
    }
    let law = found.law;
    format!(
        "{}\n\n{}\nerror = {:.3} · photographs^-{:.3} + {:.3}; intervals by drawing groups\n",
        table.trim_fmt(),
        found.verdict(),
        law.scale,
        law.exponent,
        law.floor
    )
}
