//! `eval`: accuracy of a blob on a folder of images.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::ImageArgs;
use crate::comparison::{Comparison, Split};
use crate::dataset::Dataset;
use crate::evaluate::{class_names, input_config, int8_classes, int8_outputs, parse, read_blob};
use crate::progress;

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

pub(super) fn run(args: &EvalArgs) -> Result<ExitCode> {
    let blob = read_blob(&args.blob)?;
    let model = parse(&blob, &args.blob)?;
    let input = input_config(&model, &args.blob)?;
    let labels = class_names(&model);
    let mut dataset = Dataset::open_for(&args.images.data, &labels, args.images.skip_bad)?;
    let loaded = progress::load(&mut dataset, &input, args.images.view)?;
    let mut comparison = Comparison { labels, splits: Vec::new() };
    for (name, images) in loaded.splits().filter(|(_, images)| !images.is_empty()) {
        let classes = int8_classes(&int8_outputs(&model, images));
        comparison.splits.push(Split::new(name, comparison.labels.len(), &images.labels, &[("int8", &classes)]));
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&comparison)?);
    } else {
        print!("{}", comparison.to_text());
    }
    Ok(ExitCode::SUCCESS)
}
