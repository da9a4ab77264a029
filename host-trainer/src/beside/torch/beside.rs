//! PyTorch's training step for step beside ours: the same initial weights, batches, augmented images and learning rates.

use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context, Result, ensure};
use model_training::config::Config;
use model_training::data::dataset::Images;
use model_training::training::model::Net;
use model_training::training::{Batch, Console, Epoch, Moment, Observer, planes};
use serde_json::json;

use super::super::python::Script;
use super::{NETWORK, network};

/// Largest difference of the two losses of the first step, which are those of the same network on the same batch.
const FIRST_LOSS: f64 = 1e-3;
/// Images that run through the network at once.
const BATCH: usize = 64;

/// Watches a run, and has PyTorch do the same.
#[derive(Debug)]
pub struct Beside {
    script: Mutex<Script>,
    config: Config,
    first: Mutex<Losses>,
    console: Console,
}

/// Losses of the first step.
#[derive(Debug, Default)]
struct Losses {
    ours: Option<f64>,
    theirs: Option<f64>,
    /// Whether PyTorch has a step to answer.
    waiting: bool,
}

impl Beside {
    /// Starts PyTorch for a run of this configuration.
    ///
    /// # Errors
    /// When the configuration asks for something that is not built in PyTorch, or Python cannot be started.
    pub fn start(python: &Path, config: &Config) -> Result<Self> {
        let train = &config.train;
        let only_ours = [
            (train.ema > 0.0, "train.ema"),
            (train.frozen_batch_norm, "train.frozen_batch_norm"),
            (!train.frozen.is_empty(), "train.frozen"),
            (config.model.mlp().dropout > 0.0, "model.head.dropout"),
            (config.early_stopping.restore_best, "early_stopping.restore_best"),
        ];
        for (asked, name) in only_ours {
            ensure!(!asked, "{name} is not built for PyTorch, so that runs with it cannot be compared: switch it off");
        }
        let script = Script::start(python, &[NETWORK, include_str!("train.py")].concat(), &[])?;
        let config = config.clone();
        Ok(Self { script: Mutex::new(script), config, first: Mutex::default(), console: Console::new() })
    }

    /// The class that PyTorch's network, as it is after the run, gives each image.
    ///
    /// # Errors
    /// When the script has ended, or its first loss was another than ours.
    pub fn classes(&self, images: &Images) -> Result<Vec<usize>> {
        self.answered()?;
        let mut script = self.script.lock().expect("no holder has panicked");
        let mut classes = Vec::new();
        for first in (0..images.len()).step_by(BATCH) {
            let count = BATCH.min(images.len() - first);
            script.send(&json!({ "images": count }).to_string())?;
            script.send_floats(&planes(count, images.shape, |index| images.image(first + index)))?;
            let some: Vec<usize> = serde_json::from_str(&script.answer()?).context("PyTorch's answer is no list")?;
            classes.extend(some);
        }
        Ok(classes)
    }

    /// Waits for the loss of the step that PyTorch is doing.
    fn answered(&self) -> Result<()> {
        let mut first = self.first.lock().expect("no holder has panicked");
        if !std::mem::take(&mut first.waiting) {
            return Ok(());
        }
        let answer = self.script.lock().expect("no holder has panicked").answer()?;
        let loss: f64 = answer.trim().parse().with_context(|| format!("PyTorch's loss is `{}`", answer.trim()))?;
        let Losses { ours, theirs, .. } = &mut *first;
        let theirs = *theirs.get_or_insert(loss);
        if let Some(ours) = *ours {
            let same = (ours - theirs).abs() <= FIRST_LOSS * ours.abs();
            ensure!(same, "the first batch's loss is {ours} here and {theirs} in PyTorch: the networks differ");
        }
        Ok(())
    }
}

impl Observer for Beside {
    fn note(&self, note: &str) {
        self.console.note(note);
    }

    fn begin(&self, net: &Net) -> Result<()> {
        let mut description = network(&self.config, &net.task());
        description["optimizer"] = json!(self.config.train.optimizer);
        description["optimizer_epsilon"] = json!(self.config.train.epsilon);
        description["weight_decay"] = json!(self.config.train.weight_decay);
        let mut script = self.script.lock().expect("no holder has panicked");
        script.send(&description.to_string())?;
        script.send_floats(&net.parameters())
    }

    fn batch(&self, batch: &Batch<'_>) -> Result<()> {
        self.answered()?;
        let values = batch.pixels.to_data().try_to_vec().context("pixels are no f32")?;
        let mut script = self.script.lock().expect("no holder has panicked");
        let step = json!({ "images": batch.pixels.dims()[0], "learning_rate": batch.learning_rate });
        script.send(&step.to_string())?;
        script.send_floats(&values)?;
        script.send_floats(batch.targets)?;
        self.first.lock().expect("no holder has panicked").waiting = true;
        Ok(())
    }

    fn step(&self, moment: &Moment) {
        self.first.lock().expect("no holder has panicked").ours.get_or_insert(moment.loss);
        self.console.step(moment);
    }

    fn epoch(&self, epoch: &Epoch, epochs: usize) {
        self.console.epoch(epoch, epochs);
    }

    fn finish(&self) {
        self.console.finish();
    }
}
