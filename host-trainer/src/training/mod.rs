//! Training: the network, what it starts from, the loop over epochs, its schedule, its checkpoints.
//!
//! A run is determined by configuration, images and back end: it is bit-identical from run to run, with any number
//! of threads, and when it is killed and resumed.

mod average;
mod aware;
mod batch;
mod checkpoint;
pub mod cosine;
mod device;
mod initial;
pub mod kmeans;
mod learner;
pub mod logistic;
mod loss;
pub mod model;
mod optimizer;
pub mod plateau;
pub mod pretrained;
mod progress;
mod run;
pub mod timing;

use std::path::Path;

use anyhow::{Result, ensure};
use model_compiler::graph::{Graph, Shape};

use crate::config::Config;
use crate::system::hints::{program, quoted};

pub use crate::measure::metrics::Epoch;
pub(crate) use batch::planes;
pub use device::DeviceKind;
pub use progress::{Batch, Console, Moment, Observer, Silent};

/// Images at the network's input size and their classes.
#[derive(Clone, Copy, Debug)]
pub struct Labelled<'a> {
    /// HWC, one image after the other.
    pub pixels: &'a [u8],
    /// One a image.
    pub labels: &'a [usize],
}

impl<'a> Labelled<'a> {
    fn image(&self, index: usize, shape: Shape) -> &'a [u8] {
        Source { pixels: self.pixels, shape }.image(index)
    }
}

/// Images of any size.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// HWC, one image after the other.
    pub pixels: &'a [u8],
    /// Of one image.
    pub shape: Shape,
}

impl<'a> Source<'a> {
    fn image(&self, index: usize) -> &'a [u8] {
        &self.pixels[index * self.shape.len()..][..self.shape.len()]
    }
}

/// What a run learns from.
#[derive(Clone, Copy, Debug)]
pub struct TrainingData<'a> {
    /// To be learnt.
    pub train: Labelled<'a>,
    /// What augmentation samples: the same images, at the network's input size or larger.
    pub source: Source<'a>,
    /// To watch how well.
    pub valid: Labelled<'a>,
    /// Size of an image.
    pub shape: Shape,
    /// Number of classes.
    pub classes: usize,
    /// Mean of the training pixels by channel, 0 to 1.
    pub mean: [f32; 3],
    /// Standard deviation of the training pixels by channel.
    pub std: [f32; 3],
}

/// How a run is computed, which does not change what it computes (up to the back end's rounding).
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// What computes.
    pub device: DeviceKind,
    /// Number of threads; 0 is one for each core.
    pub threads: usize,
    /// Go on from the last epoch of the run folder's previous run.
    pub resume: bool,
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

/// Whether a run in `run_dir` has finished its first epoch.
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
/// (without `resume`) or one of other images or another configuration (with it), or when the loss is no longer finite.
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
        while !run.finished() {
            observer.epoch(run.epoch(observer)?, config.epochs());
        }
        run.finish()
    });
    observer.finish();
    outcome
}

#[cfg(test)]
mod tests;
