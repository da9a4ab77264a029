//! `eval`: accuracy of a blob on a folder of images.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use model_training::config::InputConfig;
use model_training::data::dataset::{Dataset, Loaded, Reading};
use model_training::data::record::Record;
use model_training::data::{progress, seen};
use model_training::measure::comparison::{Comparison, Split};
use model_training::measure::evaluate::{
    Int8Output, class_names, classifier_config, int8_classes, int8_outputs, parse, read_blob,
};
use model_training::measure::metrics::Share;
use model_training::system::files::RECORD_FILE;
use no_std_infer::Model;
use serde::Serialize;

use super::arguments::{CostArgs, ImageArgs};

#[derive(Debug, Args)]
pub(super) struct EvalArgs {
    /// The blob.
    blob: PathBuf,
    #[command(flatten)]
    pub images: ImageArgs,
    #[command(flatten)]
    cost: CostArgs,
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
    args.cost.check(&model)?;
    let input = classifier_config(&model, &args.blob)?;
    let labels = class_names(&model);
    let mut dataset = args.images.open(&labels)?;
    dataset.take_groups(&args.images.data)?;
    let (loaded, unseen) = load(args, &model, &mut dataset, &input)?;
    let mut comparison = Comparison { labels, splits: Vec::new() };
    let mut answers = Vec::new();
    for ((name, images), groups) in
        loaded.splits().zip(dataset.clusters()).filter(|((_, images), _)| !images.is_empty())
    {
        let name = if name == "test" { unseen } else { name };
        let outputs = int8_outputs(&model, images);
        let classes = int8_classes(&outputs);
        if model.calibration().is_some() {
            answers.push(Answers::new(name, &images.labels, &groups, &outputs));
        }
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

/// Reads the images, and puts those that the model was made from on the sides of its run where these are known. Images of
/// an unsplit folder that are all of these, in no known split, are given the name `all` in place of `test`.
fn load(
    args: &EvalArgs,
    model: &Model<'_>,
    dataset: &mut Dataset,
    input: &InputConfig,
) -> Result<(Loaded, &'static str)> {
    let of_model = model.info().provenance.dataset;
    let record = Record::beside(&args.blob, of_model)?;
    record.iter().for_each(|record| record.expect(dataset));
    let loaded = progress::load(dataset, &Reading::all(input, args.images.reading.view))?;
    if let Some(record) = record {
        let loaded = record.sort(dataset, loaded)?;
        seen::note(&loaded).iter().for_each(|note| tracing::warn!("{note}"));
        return Ok((loaded, "test"));
    }
    if loaded.hash != of_model || !loaded.train.is_empty() {
        return Ok((loaded, "test"));
    }
    tracing::warn!(
        "the model was made from these images; which of them it was trained on is not known without the {RECORD_FILE} \
         of its run beside it, so that the figures flatter"
    );
    Ok((loaded, "all"))
}

impl Answers {
    fn new(split: &'static str, labels: &[usize], groups: &[&str], outputs: &[Int8Output]) -> Self {
        let answered: Vec<bool> = outputs.iter().map(|output| output.decision.is_some()).collect();
        let of_answers = outputs
            .iter()
            .zip(labels)
            .zip(groups)
            .filter_map(|((output, label), group)| output.decision.map(|decision| (decision == *label, *group)));
        let (right, of): (Vec<bool>, Vec<&str>) = of_answers.unzip();
        Self { split, answered: Share::over(&answered, groups), right: Share::over(&right, &of) }
    }
}
