//! LiteRT beside our engine, where the Python package `ai-edge-litert` is installed.

use std::path::Path;

use anyhow::{Context, Result};

use super::python::{self, Script};

/// How LiteRT computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernels {
    /// The reference kernels, without a delegate.
    Reference,
    /// XNNPACK, the default on processors.
    Xnnpack,
}

/// A process that runs one model.
#[derive(Debug)]
pub struct LiteRt(Script);

/// Whether the Python interpreter has LiteRT.
#[must_use]
pub fn is_installed(python: &Path) -> bool {
    python::has(python, "ai_edge_litert, numpy")
}

impl LiteRt {
    /// Starts LiteRT on a `.tflite` file; each measurement lasts at least `seconds`.
    ///
    /// # Errors
    /// When Python cannot be started.
    pub fn start(python: &Path, model: &Path, seconds: f64) -> Result<Self> {
        let path = model.to_str().with_context(|| format!("{} is no text", model.display()))?;
        Ok(Self(Script::start(python, include_str!("litert.py"), &[path, &seconds.to_string()])?))
    }

    /// Seconds of an inference on one thread, mean of one measurement.
    ///
    /// # Errors
    /// When LiteRT refuses the model.
    pub fn seconds(&mut self, kernels: Kernels) -> Result<f64> {
        self.0.seconds(match kernels {
            Kernels::Reference => "reference",
            Kernels::Xnnpack => "xnnpack",
        })
    }
}
