//! `eval`: accuracy of a blob on a folder of images.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use no_std_infer::Model;
use serde::Serialize;

use super::ImageArgs;
use crate::comparison::{Comparison, Split};
use crate::config::InputConfig;
use crate::dataset::{Dataset, Images, Loaded};
use crate::evaluate::{Int8Output, class_names, input_config, int8_classes, int8_outputs, parse, read_blob};
use crate::metrics::Share;
use crate::run_dir::{RECORD_FILE, Record};
use crate::{progress, seen};

#[derive(Debug, Args)]
pub(super) struct EvalArgs {
    /// The blob.
    blob: PathBuf,
    #[command(flatten)]
    images: ImageArgs,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Evaluation {
    #[serde(flatten)]
    comparison: Comparison,
    /// Of a model that need not answer, one a split.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    answers: Vec<Answers>,
}

#[derive(Serialize)]
struct Answers {
    split: &'static str,
    /// Share of the images that is answered.
    answered: Share,
    /// Share of the answers that is right.
    right: Share,
}

pub(super) fn run(args: &EvalArgs) -> Result<ExitCode> {
    let blob = read_blob(&args.blob)?;
    let model = parse(&blob, &args.blob)?;
    let input = input_config(&model, &args.blob)?;
    let labels = class_names(&model);
    let mut dataset = Dataset::open_for(&args.images.data, &labels, args.images.skip_bad)?;
    dataset.take_groups(&args.images.data)?;
    let loaded = load(args, &model, &mut dataset, &input)?;
    seen::note(&loaded).iter().for_each(|note| eprintln!("note: {note}"));
    let mut comparison = Comparison { labels, splits: Vec::new() };
    let mut answers = Vec::new();
    for ((name, images), groups) in
        loaded.splits().zip(dataset.clusters()).filter(|((_, images), _)| !images.is_empty())
    {
        let outputs = int8_outputs(&model, images);
        let classes = int8_classes(&outputs);
        answers.extend(Answers::new(&model, name, images, &outputs));
        let engines = [("int8", &classes[..])];
        comparison.splits.push(Split::new(name, comparison.labels.len(), &images.labels, &groups, &engines));
    }
    let evaluation = Evaluation { comparison, answers };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&evaluation)?);
    } else {
        print!("{}", evaluation.comparison.to_text());
        for Answers { split, answered, right } in &evaluation.answers {
            println!("\n{split}: answered {answered}\n{split}: answers that are right {right}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads the images and puts those that the model was made from on the sides of its run.
fn load(args: &EvalArgs, model: &Model<'_>, dataset: &mut Dataset, input: &InputConfig) -> Result<Loaded> {
    let of_model = model.info().provenance.dataset;
    let record = Record::beside(&args.blob, of_model)?;
    record.iter().for_each(|record| record.expect(dataset));
    let loaded = progress::load(dataset, input, args.images.view)?;
    if let Some(record) = record {
        return record.sort(dataset, loaded);
    }
    if loaded.hash == of_model && loaded.train.is_empty() {
        eprintln!(
            "note: the model was made from these images; which of them it was trained on is not known without the \
             {RECORD_FILE} of its run beside it, so none counts as unseen"
        );
    }
    Ok(loaded)
}

impl Answers {
    /// Counts, where the model need not answer.
    fn new(model: &Model<'_>, split: &'static str, images: &Images, outputs: &[Int8Output]) -> Option<Self> {
        model.calibration()?;
        let answered = outputs.iter().filter(|output| output.decision.is_some()).count();
        let pairs = outputs.iter().zip(&images.labels);
        let right = pairs.filter(|(output, label)| output.decision == Some(**label)).count();
        Some(Self { split, answered: Share::new(answered, images.len()), right: Share::new(right, answered) })
    }
}
