//! `quantize`: quantises a trained run again.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Args;
use model_compiler::quantise::Method;
use model_training::config::Config;
use model_training::data::progress;
use model_training::data::record::Record;
use model_training::measure::confidence::{Confidence, WANTED};
use model_training::measure::evaluate::read_blob;
use model_training::run::cross_validation::CvDir;
use model_training::run::folder::RunDir;
use model_training::system::log;

use super::arguments::{CacheArgs, LimitArgs};
use super::{BOUND_MISSED, named};
use crate::report::export::{Choices, export, reading};

/// The methods by their names, and what they do.
const METHODS: [(Method, &str, &str); 3] = [
    (Method::MinMax, Method::MinMax.name(), "Smallest and largest value seen"),
    (Method::Percentile, Method::Percentile.name(), "The range that leaves 0.05 % of the values out on each side"),
    (Method::Mse, Method::Mse.name(), "The range with the least mean squared quantisation error"),
];

#[derive(Debug, Args)]
pub(super) struct QuantizeArgs {
    /// Folder that `train` made.
    run_dir: PathBuf,
    /// Where the images are now, if they moved.
    #[arg(long)]
    data: Option<PathBuf>,
    /// How activation ranges are chosen, in place of the run's configuration.
    #[arg(long, value_parser = named(METHODS))]
    method: Option<Method>,
    /// Take temperature and abstention from the folds that `cv` made in this folder with the run's configuration.
    #[arg(long, value_name = "CV_DIR")]
    calibration: Option<PathBuf>,
    /// Of 100 answers, how many are to be right: the model does not answer where it is too unsure for that.
    #[arg(long, value_name = "PERCENT", default_value_t = 100.0 * WANTED, requires = "calibration")]
    answers_right: f64,
    #[command(flatten)]
    cache: CacheArgs,
    #[command(flatten)]
    limits: LimitArgs,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &QuantizeArgs) -> Result<ExitCode> {
    let run = RunDir::new(&args.run_dir);
    let config = run.config()?;
    let record = run.record()?;
    let root = args.data.as_deref().map_or_else(|| Ok(record.root.clone()), |dir| record.root_in(dir))?;
    ensure!(root.is_dir(), "there is no folder {}: say with --data where the run's images are now", root.display());
    let _claim = run.claim()?;
    let mut dataset = record.dataset(&root)?;
    dataset.cache.clone_from(&args.cache.cache);
    let images = progress::load(&mut dataset, &reading(&record, &config))?;
    record.check_same(&dataset, &images)?;
    let record = record.moved(&root)?;
    run.save_record(&record)?;
    let choices = Choices {
        method: args.method.or(config.quantize.method),
        limits: args.limits.given(),
        confidence: confidence(args, &config, &record)?,
        ..Choices::of(&config)?
    };
    let report = log::stage("quantising and comparing", || export(&run, &config, &record, &images, &choices))?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report.to_text());
        println!("\nwrote {}", run.blob().display());
    }
    if let Some(missed) = report.target.filter(|target| !target.fits()) {
        eprintln!("error: {}", missed.sentence());
        return Ok(BOUND_MISSED.into());
    }
    Ok(args.limits.verdict(&read_blob(&run.blob())?))
}

/// What the cross-validation says about the probabilities, where one is given.
fn confidence(args: &QuantizeArgs, config: &Config, record: &Record) -> Result<Option<Confidence>> {
    let Some(dir) = &args.calibration else { return Ok(None) };
    let wanted = args.answers_right / 100.0;
    ensure!((0.0..=1.0).contains(&wanted), "--answers-right {} is not in 0 to 100", args.answers_right);
    let (plan, predictions) = CvDir::new(dir).join()?;
    let (run, shown) = (args.run_dir.display(), dir.display());
    let changes = plan.config()?.changes(config);
    let same = changes.is_empty() && plan.classes == record.classes;
    let differing = if changes.is_empty() { "the classes".to_owned() } else { changes.join(", ") };
    ensure!(
        same,
        "{shown} cross-validated other classes or another configuration than {run} was trained with, so it says nothing \
         about its probabilities: run `cv` with {run}/config.toml (what differs: {differing})"
    );
    Confidence::new(&predictions, wanted).with_context(|| format!("{shown} cannot be used for calibration")).map(Some)
}
