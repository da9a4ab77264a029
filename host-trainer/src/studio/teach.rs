//! Trains further on what was collected and compares, by this program's own commands as processes of their own.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use model_training::run::known::Known;
use model_training::system::hints::{program, quoted};
use model_training::system::interrupt::Owned;
use serde::Serialize;
use serde_json::Value;

use super::{Changes, Shared, lock};

/// Lines of what a process complains of that are kept.
const COMPLAINTS: usize = 3;

/// Where it happens.
#[derive(Clone, Debug)]
pub struct Teaching {
    /// This program.
    pub program: PathBuf,
    /// Folder in which runs are made.
    pub runs: PathBuf,
    /// Pictures on which models are compared; those that were collected where it is not given.
    pub held_out: Option<PathBuf>,
}

/// What is known of the training that is under way or was the last.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Lesson {
    pub running: bool,
    /// What is being done.
    pub what: String,
    /// How much of it is done, where that is known.
    pub share: Option<f64>,
    /// What has come of it, in sentences.
    pub said: Vec<String>,
    /// Why nothing has.
    pub failed: Option<String>,
    #[serde(skip)]
    process: Option<Arc<Owned>>,
    #[serde(skip)]
    is_cancelled: bool,
}

/// One training at a time.
pub(super) struct Teacher {
    teaching: Option<Teaching>,
    lesson: Mutex<Lesson>,
    changes: Changes,
}

impl Teacher {
    pub(super) fn new(teaching: Option<Teaching>, changes: Changes) -> Self {
        Self { teaching, lesson: Mutex::default(), changes }
    }

    pub(super) fn lesson(&self) -> MutexGuard<'_, Lesson> {
        lock(&self.lesson)
    }

    /// Whether anything can be taught.
    pub(super) fn is_there(&self) -> bool {
        self.teaching.is_some()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Lesson) -> T) -> T {
        let changed = change(&mut self.lesson());
        self.changes.tell();
        changed
    }

    /// Ends the process that runs, if one does, which may save before what it has made.
    pub(super) fn cancel(&self) {
        let process = self.change(|lesson| {
            lesson.is_cancelled = lesson.running;
            lesson.process.take()
        });
        process.iter().for_each(|process| process.let_end());
    }

    /// Runs a command of this program; hands each line that it prints to `then`.
    fn run(&self, arguments: &[&str], mut then: impl FnMut(&str)) -> Result<()> {
        let teaching = self.teaching.as_ref().context("nothing can be taught here")?;
        let mut command = Command::new(&teaching.program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let process = Owned::start(command).with_context(|| format!("cannot start {}", teaching.program.display()))?;
        let (output, complaints) = {
            let mut child = process.get();
            (child.stdout.take(), child.stderr.take())
        };
        let process = Arc::new(process);
        let is_cancelled = self.change(|lesson| {
            lesson.process = Some(Arc::clone(&process));
            lesson.is_cancelled
        });
        ensure!(!is_cancelled, "cancelled");
        let complaints = std::thread::spawn(move || {
            let mut last = VecDeque::new();
            for line in complaints.into_iter().flat_map(|lines| BufReader::new(lines).lines()).map_while(Result::ok) {
                last.push_back(line);
                if last.len() > COMPLAINTS {
                    last.pop_front();
                }
            }
            last
        });
        for line in output.into_iter().flat_map(|lines| BufReader::new(lines).lines()).map_while(Result::ok) {
            then(&line);
        }
        let status = loop {
            if let Some(status) = process.try_wait()? {
                break status;
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let complaints = complaints.join().unwrap_or_default();
        let is_cancelled = self.change(|lesson| {
            lesson.process = None;
            lesson.is_cancelled
        });
        ensure!(!is_cancelled, "cancelled");
        if !status.success() {
            let last = complaints.iter().rfind(|line| line.starts_with("error: ")).or(complaints.back());
            let last = last.map_or_else(|| status.to_string(), |line| line.trim_start_matches("error: ").to_owned());
            bail!("{last}");
        }
        Ok(())
    }
}

impl Shared {
    /// Begins to train further.
    pub(super) fn teach(self: &Arc<Self>, model: usize) -> Result<()> {
        let entry = self.models.get(model)?;
        let base = entry.known.run().with_context(|| {
            format!("{} is no run: only a folder that `train` made can be trained further", entry.known.name())
        })?;
        let (base, name) = (base.to_owned(), entry.known.name().to_owned());
        self.teacher.change(|lesson| {
            ensure!(!lesson.running, "a training is under way: wait for its end, or cancel it");
            *lesson = Lesson { running: true, what: format!("starting from {name}"), ..Lesson::default() };
            Ok(())
        })?;
        let shared = Arc::clone(self);
        let thread = std::thread::Builder::new().name("teacher".to_owned());
        let started = thread.spawn(move || {
            let taught = shared.train_and_compare(&base, &name);
            shared.teacher.change(|lesson| {
                (lesson.running, lesson.share) = (false, None);
                match taught {
                    Ok(said) => lesson.said = said,
                    Err(error) => lesson.failed = Some(format!("{error:#}")),
                }
            });
        });
        started.map(drop).context("a thread cannot be started")
    }

    fn train_and_compare(&self, base: &Path, name: &str) -> Result<Vec<String>> {
        let teaching = self.teacher.teaching.as_ref().context("nothing can be taught here")?;
        std::fs::create_dir_all(&teaching.runs)
            .with_context(|| format!("cannot make the folder {}", teaching.runs.display()))?;
        let folder = lock(&self.shelf).collection.folder().to_owned();
        let out = free_name(&teaching.runs, name);
        let text = |path: &Path| path.to_str().map(str::to_owned).context("a path is no text that a command takes");
        let (base, out_text, data) = (text(base)?, text(&out)?, text(&folder)?);
        let train = ["train", "--json", "--from", &base, "--data", &data, "--out", &out_text];
        let mut said = Vec::new();
        self.teacher
            .run(&train, |line| {
                // What is no JSON is for people.
                let event: Value = serde_json::from_str(line).unwrap_or_default();
                if let Some((what, share)) = progress(&event) {
                    self.teacher.change(|lesson| (lesson.what, lesson.share) = (what, share));
                }
                if event["event"] == "done" {
                    said.extend(
                        event["verdict"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned),
                    );
                }
            })
            .with_context(|| {
                if out.exists() {
                    format!("{} train --resume {} goes on", program(), quoted(&out))
                } else {
                    "nothing was trained".to_owned()
                }
            })?;
        self.models.add(Known::read(&out)?)?;
        self.teacher.change(|lesson| {
            (lesson.what, lesson.share) = ("comparing on pictures from which neither has learnt".to_owned(), None);
        });
        let held_out = text(teaching.held_out.as_deref().unwrap_or(&folder))?;
        let mut lines = String::new();
        self.teacher.run(&["compare", "--json", &base, &out_text, "--data", &held_out], |line| lines += line)?;
        let found: Value = serde_json::from_str(&lines).context("`compare` gives no JSON")?;
        said.splice(0..0, found["verdict"].as_str().map(str::to_owned));
        Ok(said)
    }
}

/// What an event of `train --json` means, and how much is done.
fn progress(event: &Value) -> Option<(String, Option<f64>)> {
    let number = |name: &str| event[name].as_f64();
    Some(match event["event"].as_str()? {
        "training" => ("the pictures are read".to_owned(), Some(0.0)),
        "step" => {
            let (epoch, epochs) = (number("epoch")?, number("epochs")?);
            let within = number("step")? / number("steps")?.max(1.0);
            let loss = number("loss")?;
            (format!("epoch {epoch} of {epochs}, loss {loss:.3}"), Some((epoch - 1.0 + within) / epochs.max(1.0)))
        }
        "exporting" => ("quantising and measuring".to_owned(), None),
        _ => return None,
    })
}

/// A folder that is not there yet, named after a run and the time.
fn free_name(runs: &Path, name: &str) -> PathBuf {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string().replace(':', "-");
    // What was made of a run that was made here is named after the first of them.
    let first = name.split_once("-20").map_or(name, |(first, _)| first);
    let mut out = runs.join(format!("{first}-{}", now.trim_end_matches('Z')));
    // Of several within a second, the later ones have longer names.
    while out.exists() {
        out.as_mut_os_string().push("-again");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_the_same_second_have_names_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let names: Vec<PathBuf> = (0..3)
            .map(|_| {
                let name = free_name(folder.path(), "pets-2026-01-02T03-04-05");
                std::fs::create_dir(&name).unwrap();
                name
            })
            .collect();
        assert!(names.iter().all(|name| name.file_name().unwrap().to_str().unwrap().starts_with("pets-20")));
    }
}
