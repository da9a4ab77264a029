//! Other engines beside ours: Python processes that run them, where their packages are installed.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};

const ENDED: &str = "the Python script has ended: it refuses the model";

/// A script that answers lines with lines.
#[derive(Debug)]
pub struct Script {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// Whether the Python interpreter has these packages, separated by commas.
#[must_use]
pub fn has(python: &Path, packages: &str) -> bool {
    let mut command = Command::new(python);
    command.arg("-c").arg(format!("import {packages}")).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

impl Script {
    /// Starts a script, given as text, with arguments.
    ///
    /// # Errors
    /// When Python cannot be started.
    pub fn start(python: &Path, text: &str, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(python);
        command.args(["-c", text]).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().with_context(|| format!("cannot start {}", python.display()))?;
        let requests = process.stdin.take().context("Python has no input")?;
        let answers = process.stdout.take().context("Python has no output")?;
        Ok(Self { process, requests, answers: BufReader::new(answers) })
    }

    /// Sends a line.
    ///
    /// # Errors
    /// When the script has ended.
    pub fn send(&mut self, line: &str) -> Result<()> {
        writeln!(self.requests, "{line}").context(ENDED)
    }

    /// Sends values as little-endian bytes.
    ///
    /// # Errors
    /// When the script has ended.
    #[cfg(feature = "train")]
    pub fn send_floats(&mut self, values: &[f32]) -> Result<()> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.requests.write_all(&bytes).and_then(|()| self.requests.flush()).context(ENDED)
    }

    /// Waits for a line.
    ///
    /// # Errors
    /// When the script has ended.
    pub fn answer(&mut self) -> Result<String> {
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        ensure!(!answer.is_empty(), ENDED);
        Ok(answer)
    }

    /// Sends a line and waits for the seconds that answer it.
    ///
    /// # Errors
    /// When the script has ended, or answers something else.
    pub fn seconds(&mut self, line: &str) -> Result<f64> {
        self.send(line)?;
        let answer = self.answer()?;
        let answer = answer.trim();
        answer.parse().with_context(|| format!("the Python script answers `{answer}`, which is no time"))
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
