//! `dev train-parity`: trains here and in PyTorch, step for step on the same, and compares the accuracy.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Args;
use model_training::config::Config;
use model_training::data::bootstrap::{self, Estimate};
use model_training::data::dataset::{Dataset, Options, Reading};
use model_training::data::progress;
use model_training::data::record::Record;
use model_training::measure::comparison::text_table;
use model_training::measure::evaluate::{float_classes, float_logits};
use model_training::run::folder::{RunDir, load_config};
use model_training::run::recipe::training_data;
use model_training::system::{atomic, read};
use model_training::training;
use serde::{Deserialize, Serialize};

use crate::beside::torch::{self, Beside};
use crate::commands::arguments::GroupArgs;

/// What a seed's run leaves in its folder.
const ANSWERS_FILE: &str = "parity.json";

#[derive(Debug, Args)]
pub(super) struct TrainParityArgs {
    /// Folder of images; its test images are scored, or the validation images where there are no others.
    #[arg(long)]
    data: PathBuf,
    /// Configuration; its seed and the next ones are used.
    #[arg(long, value_name = "FILE.toml")]
    config: PathBuf,
    /// Folder for the runs, one a seed. Seeds that it has already are not trained again.
    #[arg(long)]
    out: PathBuf,
    /// Number of seeds, 1 or more.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    seeds: u16,
    #[command(flatten)]
    groups: GroupArgs,
    /// Python interpreter that has `torch` and `numpy`.
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What both networks of a seed said.
#[derive(Serialize, Deserialize)]
struct Answers {
    seed: u64,
    /// Images' classes.
    labels: Vec<usize>,
    /// Images that are drawn together: of one photograph.
    groups: Vec<String>,
    ours: Vec<usize>,
    pytorch: Vec<usize>,
}

/// How the accuracies compare.
#[derive(Serialize)]
struct TrainParity {
    images: usize,
    seeds: Vec<Accuracies>,
    /// Mean over the seeds of our accuracy less PyTorch's.
    difference: Estimate,
}

/// Shares of the images that a seed's networks have right.
#[derive(Serialize)]
struct Accuracies {
    seed: u64,
    ours: f64,
    pytorch: f64,
}

pub(super) fn run(args: &TrainParityArgs) -> Result<ExitCode> {
    ensure!(
        torch::is_installed(&args.python),
        "{} has no PyTorch to train beside: `pip install torch numpy`, or name a Python with --python",
        args.python.display()
    );
    let config = load_config(&args.config)?;
    let seeds = (0..u64::from(args.seeds)).map(|seed| seed_answers(args, &config, config.seed + seed));
    let parity = TrainParity::new(&seeds.collect::<Result<Vec<_>>>()?);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&parity)?);
    } else {
        print!("{}", parity.to_text());
    }
    Ok(ExitCode::SUCCESS)
}

/// What a seed's networks say, trained now where they are not there yet.
fn seed_answers(args: &TrainParityArgs, config: &Config, seed: u64) -> Result<Answers> {
    let run = RunDir::new(&args.out.join(format!("seed-{seed}")));
    let path = run.file(ANSWERS_FILE);
    if path.exists() {
        return read(&path);
    }
    let config = Config { seed, ..config.clone() };
    let options =
        Options { data: config.data.clone(), seed, groups: args.groups.grouping(), allow_leak: false, skip_bad: false };
    let mut dataset = Dataset::open(&args.data, &options)?;
    let loaded = progress::load(&mut dataset, &Reading::of_run(&config))?;
    let record = Record::new(&dataset, &loaded)?;
    let (images, samples) = match loaded.test.is_empty() {
        true => (&loaded.valid, &record.valid),
        false => (&loaded.test, &record.test),
    };
    let beside = Beside::start(&args.python, &config)?;
    tracing::info!("seed {seed}: training on {} images here and in PyTorch", loaded.train.len());
    let data = training_data(&config, &record, &loaded);
    let outcome = training::train(&data, &config, run.path(), training::Options::default(), &beside)?;
    let answers = Answers {
        seed,
        labels: images.labels.clone(),
        groups: samples.iter().map(|sample| sample.cluster().to_owned()).collect(),
        ours: float_classes(&float_logits(&outcome.graph, images)),
        pytorch: beside.classes(images)?,
    };
    atomic::write(&path, serde_json::to_string(&answers)?.as_bytes())?;
    Ok(answers)
}

fn read(path: &Path) -> Result<Answers> {
    let text = read::text(path, read::DATA).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is damaged: remove its folder", path.display()))
}

impl TrainParity {
    /// The interval is over groups of images, with the networks as they are.
    fn new(seeds: &[Answers]) -> Self {
        let right =
            |said: &[usize], answers: &Answers, image: usize| f64::from(u8::from(said[image] == answers.labels[image]));
        let difference =
            |answers: &Answers, image| right(&answers.ours, answers, image) - right(&answers.pytorch, answers, image);
        let images = seeds.first().map_or(0, |answers| answers.labels.len());
        let differences: Vec<f64> = (0..images)
            .map(|image| seeds.iter().map(|answers| difference(answers, image)).sum::<f64>() / seeds.len() as f64)
            .collect();
        let groups: Vec<&str> = seeds.iter().take(1).flat_map(|answers| &answers.groups).map(String::as_str).collect();
        let accuracies = |answers: &Answers| {
            let share =
                |said: &[usize]| (0..images).map(|image| right(said, answers, image)).sum::<f64>() / images as f64;
            Accuracies { seed: answers.seed, ours: share(&answers.ours), pytorch: share(&answers.pytorch) }
        };
        let difference = bootstrap::mean(&groups, &differences);
        Self { images, seeds: seeds.iter().map(accuracies).collect(), difference }
    }

    fn to_text(&self) -> String {
        let mut table = text_table(&["seed", "ours", "PyTorch", "difference"], 1);
        for Accuracies { seed, ours, pytorch } in &self.seeds {
            let values = [*ours, *pytorch, ours - pytorch].map(|value| format!("{value:.4}"));
            table.add_row([vec![seed.to_string()], values.to_vec()].concat());
        }
        let Self { images, seeds, difference } = self;
        format!(
            "{}\n\nOurs less PyTorch's on {images} images, mean of {} seeds: {difference:.4} (95 %, by drawing images)\n",
            table.trim_fmt(),
            seeds.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_those_of_the_same_images() {
        let answers = |seed, ours: [usize; 4], pytorch: [usize; 4]| Answers {
            seed,
            labels: vec![0, 1, 2, 3],
            groups: ["a", "b", "c", "d"].map(str::to_owned).to_vec(),
            ours: ours.to_vec(),
            pytorch: pytorch.to_vec(),
        };
        let seeds = [answers(1, [0, 1, 2, 0], [0, 1, 0, 0]), answers(2, [0, 0, 0, 3], [0, 1, 2, 3])];
        let parity = TrainParity::new(&seeds);
        assert_eq!((parity.images, parity.seeds[0].ours, parity.seeds[0].pytorch), (4, 0.75, 0.5));
        assert_eq!(parity.difference.value, (0.25 - 0.5) / 2.0);
        // Image b alone differs on the mean: half a right answer less.
        assert_eq!((parity.difference.low, parity.difference.high), (-0.375, 0.0));
        assert!(parity.to_text().contains("-0.1250 [-0.3750, 0.0000]"), "{}", parity.to_text());
    }
}
