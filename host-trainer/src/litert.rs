//! LiteRT beside our engine: a Python process that times it, where the package `ai-edge-litert` is installed.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};

const SCRIPT: &str = include_str!("litert.py");

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
pub struct LiteRt {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// Whether the Python interpreter has LiteRT.
#[must_use]
pub fn is_installed(python: &Path) -> bool {
    let mut command = Command::new(python);
    command.args(["-c", "import ai_edge_litert, numpy"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

impl LiteRt {
    /// Starts LiteRT on a `.tflite` file; each measurement lasts at least `seconds`.
    ///
    /// # Errors
    /// When Python cannot be started.
    pub fn start(python: &Path, model: &Path, seconds: f64) -> Result<Self> {
        let mut command = Command::new(python);
        command.args(["-c", SCRIPT]).arg(model).arg(seconds.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().with_context(|| format!("cannot start {}", python.display()))?;
        let requests = process.stdin.take().context("Python has no input")?;
        let answers = process.stdout.take().context("Python has no output")?;
        Ok(Self { process, requests, answers: BufReader::new(answers) })
    }

    /// Seconds of an inference on one thread, mean of one measurement.
    ///
    /// # Errors
    /// When LiteRT refuses the model.
    pub fn seconds(&mut self, kernels: Kernels) -> Result<f64> {
        let name = match kernels {
            Kernels::Reference => "reference",
            Kernels::Xnnpack => "xnnpack",
        };
        writeln!(self.requests, "{name}").context("LiteRT has ended: it refuses the model")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        ensure!(!answer.is_empty(), "LiteRT has ended: it refuses the model");
        answer.trim().parse().with_context(|| format!("LiteRT answers `{}`, which is no time", answer.trim()))
    }
}

impl Drop for LiteRt {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
