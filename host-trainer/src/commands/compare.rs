//! `compare`: two runs on the same images, paired.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{ArgGroup, Args};
use model_training::data::record::Record;
use model_training::measure::evaluate::{parse, read_blob};
use model_training::measure::held_out::{Contender, HeldOut, held_out, known_classes};
use model_training::measure::predictions::{PREDICTIONS_FILE, Predictions};
use model_training::measure::scores::Paired;
use model_training::run::folder::RunDir;
use serde::Serialize;

use super::arguments::{CostArgs, ReadingArgs};

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("reading").args(["view", "skip_bad", "cache"]).multiple(true).requires("data"))]
pub(super) struct CompareArgs {
    /// Folder that `cv` or `train` made; with `--data` a blob will do.
    first: PathBuf,
    /// Another one; without `--data` of the same images and split.
    second: PathBuf,
    /// Folder of images: the int8 models are compared on those from which neither has learnt. They may have other classes, inputs
    /// and test images; an image whose class a model does not know counts as wrong.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    reading: ReadingArgs,
    #[command(flatten)]
    cost: CostArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &CompareArgs) -> Result<ExitCode> {
    match &args.data {
        Some(data) => on_held_out(args, data),
        None => {
            let paired = Paired::new(&predictions(&args.first)?, &predictions(&args.second)?)?;
            print(args.json, &paired, Paired::to_text)
        }
    }
}

fn print<T: Serialize>(json: bool, found: &T, text: impl FnOnce(&T) -> String) -> Result<ExitCode> {
    if json {
        println!("{}", serde_json::to_string_pretty(found)?);
    } else {
        print!("{}", text(found));
    }
    Ok(ExitCode::SUCCESS)
}

fn on_held_out(args: &CompareArgs, data: &Path) -> Result<ExitCode> {
    let paths = [&args.first, &args.second].map(|path| RunDir::or_blob(path).1);
    let [first, second] = &paths;
    let blobs = [read_blob(first)?, read_blob(second)?];
    let contender = |index: usize| -> Result<Contender<'_>> {
        let (path, named) = (&paths[index], [&args.first, &args.second][index]);
        let model = parse(&blobs[index], path)?;
        args.cost.check(&model)?;
        let record = Record::beside(path, model.info().provenance.dataset)?;
        if record.is_none() {
            tracing::warn!(
                "which images {} has learnt from is not known: if some of them are in {}, its figure flatters",
                path.display(),
                data.display()
            );
        }
        Contender::new(named.display().to_string(), model, path, record)
    };
    let contenders = [&contender(0)?, &contender(1)?];
    let mut dataset = args.reading.open(data, &known_classes(contenders))?;
    dataset.take_groups(data)?;
    print(args.json, &held_out(contenders, &dataset, args.reading.view)?, HeldOut::to_text)
}

fn predictions(dir: &Path) -> Result<Predictions> {
    Predictions::load(&dir.join(PREDICTIONS_FILE)).with_context(|| {
        format!(
            "{} cannot be compared: give a folder that `train` made, or `cv` when its folds are joined",
            dir.display()
        )
    })
}
