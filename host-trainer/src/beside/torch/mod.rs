//! PyTorch beside our training, where the Python package `torch` is installed.

mod beside;

use std::path::Path;

use anyhow::Result;
use model_training::config::Config;
use model_training::training::model::Task;
use serde_json::{Value, json};

use super::python::{self, Script};

pub use beside::Beside;

/// Builds a network in PyTorch; what uses it follows.
const NETWORK: &str = include_str!("network.py");

/// A process that trains one network on one batch of noise.
#[derive(Debug)]
pub struct Torch(Script);

/// Whether the Python interpreter has PyTorch.
#[must_use]
pub fn is_installed(python: &Path) -> bool {
    python::has(python, "torch, numpy")
}

impl Torch {
    /// Starts PyTorch with the configuration's network and batch size; each measurement lasts at least `seconds`.
    ///
    /// # Errors
    /// When Python cannot be started.
    pub fn start(python: &Path, config: &Config, task: &Task, seconds: f64) -> Result<Self> {
        let mut network = network(config, task);
        network["batch"] = json!(config.train.batch_size);
        network["seconds"] = json!(seconds);
        let mut script = Script::start(python, &[NETWORK, include_str!("bench.py")].concat(), &[])?;
        script.send(&network.to_string())?;
        Ok(Self(script))
    }

    /// Seconds of a training step on one thread, mean of one measurement.
    ///
    /// # Errors
    /// When PyTorch cannot build the network.
    pub fn seconds(&mut self) -> Result<f64> {
        self.0.seconds("step")
    }
}

/// What `network.py` reads.
fn network(config: &Config, task: &Task) -> Value {
    let (head, input) = (config.model.mlp(), task.input);
    json!({
        "height": input.height,
        "width": input.width,
        "channels": input.channels,
        "mean": task.mean[..input.channels],
        "std": task.std[..input.channels],
        "epsilon": config.model.epsilon(),
        "blocks": config.model.blocks(),
        "hidden": head.hidden,
        "hidden_activation": head.activation,
        "classes": task.classes,
    })
}
