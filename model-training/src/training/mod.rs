//! Training: the network, what it starts from, the loop over epochs, its schedule, its checkpoints.
//!
//! A run is determined by configuration, images and back end: it is bit-identical from run to run, with any number
//! of threads, and when it is killed and resumed.

mod ahead;
mod average;
mod aware;
mod batch;
mod checkpoint;
pub mod cosine;
mod device;
mod events;
mod examples;
mod initial;
pub mod kmeans;
mod learner;
pub mod logistic;
mod loss;
pub mod model;
mod optimizer;
pub mod plateau;
pub mod pretrained;
pub mod probe;
mod progress;
mod record;
mod run;
mod start;
pub mod timing;

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use burn::tensor::Device;
use model_compiler::graph::Graph;

use crate::config::{Config, Normalization};
use crate::data::dataset::Images;
use crate::system::hints::{program, quoted};
use crate::system::interrupt::{Unsaved, is_leaving};

pub use crate::data::epochs::Epoch;
pub use batch::planes;
pub use device::DeviceKind;
pub use events::{Accuracy, Event, Lines, tell};
use model::{Net, Task};
pub use progress::{Batch, Console, Moment, Observer, Silent};

/// What a run learns from.
#[derive(Clone, Debug)]
pub struct TrainingData {
    /// To be learnt, at the network's input size.
    pub train: Images,
    /// What augmentation samples: the same images, at the network's input size or larger.
    pub source: Images,
    /// To watch how well, at the network's input size.
    pub valid: Images,
    /// Names of the classes in the order of the labels.
    pub classes: Vec<String>,
    /// Mean of the training pixels by channel, 0 to 1.
    pub mean: [f32; 3],
    /// Standard deviation of the training pixels by channel.
    pub std: [f32; 3],
}

/// How a run is computed, which does not change what it computes (up to the back end's rounding).
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What computes.
    pub device: DeviceKind,
    /// Number of threads; 0 is one for each core.
    pub threads: usize,
    /// Go on from where the run folder's previous run was saved last.
    pub resume: bool,
    /// How often a run is saved within an epoch; at its end it is saved anyway.
    pub save_every: Duration,
    /// Tell a program what the run does, as lines of JSON on the standard output.
    pub json: bool,
    /// Asked after each step: whether the run is to be saved and to end, since the program is told to.
    pub is_ending: fn() -> bool,
}

impl Default for Options {
    fn default() -> Self {
        let save_every = Duration::from_secs(120);
        Self {
            device: DeviceKind::default(),
            threads: 0,
            resume: false,
            save_every,
            json: false,
            is_ending: is_leaving,
        }
    }
}

/// What a run leaves.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The network that is kept: that of the best epoch, or of the last.
    pub graph: Graph,
    /// Its epoch, counted from 1.
    pub best_epoch: usize,
    /// What was measured in each epoch.
    pub epochs: Vec<Epoch>,
}

/// Whether a run in `run_dir` has been saved, so that it can be gone on with.
#[must_use]
pub fn is_begun(run_dir: &Path) -> bool {
    checkpoint::Checkpoint::exists(run_dir)
}

/// Refuses a folder that holds a run already.
///
/// # Errors
/// When it does.
pub fn check_new(run_dir: &Path) -> Result<()> {
    ensure!(
        !is_begun(run_dir),
        "{} holds a run already: go on with it by `{program} train --resume {}`, choose another folder, or remove it",
        run_dir.display(),
        quoted(run_dir),
        program = program()
    );
    Ok(())
}

/// Trains a network and leaves `config.toml`, `metrics.csv`, `graph.postcard` and a checkpoint in `run_dir`.
///
/// # Errors
/// When the device cannot be opened, the configuration is impossible, `run_dir` cannot be written, holds another run
/// (without `resume`) or one of other images or another configuration (with it), when the loss is no longer finite, or when the
/// program is told to end: then the run is saved.
pub fn train(
    data: &TrainingData,
    config: &Config,
    run_dir: &Path,
    options: Options,
    observer: &dyn Observer,
) -> Result<Outcome> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(options.threads).build()?;
    let outcome = pool.install(|| {
        let mut run = run::Run::start(data, config, run_dir, options, observer)?;
        let _unsaved = Unsaved::begin();
        while !run.finished() {
            observer.epoch(run.epoch(observer)?, config.epochs());
        }
        run.finish()
    });
    observer.finish();
    outcome
}

/// The network of a configuration with its initial weights, for so many classes: what a trained one costs, it costs too.
///
/// # Errors
/// When a block does not fit its input, or a size is out of range.
pub fn untrained(config: &Config, classes: usize) -> Result<Graph> {
    let normal = config.normalization.unwrap_or(Normalization { mean: [0.5; 3], std: [0.25; 3] });
    let task = Task { input: config.input.shape(), classes, mean: normal.mean, std: normal.std };
    Ok(Net::new(&config.model, task, config.seed, &Device::flex())?.graph())
}

#[cfg(test)]
mod tests;
