//! PyTorch beside our training, where the Python package `torch` is installed.

use std::path::Path;

use anyhow::Result;
use serde_json::json;

use crate::config::Config;
use crate::python::{self, Script};

/// A process that trains one network on one batch of noise.
#[derive(Debug)]
pub struct Torch(Script);

/// Whether the Python interpreter has PyTorch.
#[must_use]
pub fn is_installed(python: &Path) -> bool {
    python::has(python, "torch")
}

impl Torch {
    /// Starts PyTorch with the configuration's network and batch size; each measurement lasts at least `seconds`.
    ///
    /// # Errors
    /// When Python cannot be started.
    pub fn start(python: &Path, config: &Config, classes: usize, seconds: f64) -> Result<Self> {
        let head = config.model.mlp();
        let network = json!({
            "height": config.input.height,
            "width": config.input.width,
            "channels": config.input.color.channels(),
            "blocks": config.model.blocks(),
            "hidden": head.hidden,
            "hidden_activation": head.activation,
            "classes": classes,
            "batch": config.train.batch_size,
            "seconds": seconds,
        });
        let mut script = Script::start(python, include_str!("torch.py"), &[])?;
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
