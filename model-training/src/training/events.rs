//! What a run tells a program: lines of JSON on the standard output.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use super::{Epoch, Moment, Observer};

/// Least time between two lines about steps.
const EVERY: Duration = Duration::from_millis(250);

/// A line: its `event` says what happened.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event<'a> {
    /// The images are read, and training begins or goes on.
    Training {
        /// The run's folder.
        run: PathBuf,
        /// Largest number of epochs.
        epochs: usize,
        /// Names of the classes.
        classes: Vec<String>,
        /// Number of images of the training, validation and test split.
        images: [usize; 3],
    },
    /// Something about the network to be trained.
    Note {
        /// A sentence.
        text: &'a str,
    },
    /// Some steps are done; a few such lines a second at most.
    Step(&'a Moment),
    /// An epoch is done and saved.
    Epoch {
        /// Largest number of epochs.
        epochs: usize,
        /// What was measured.
        #[serde(flatten)]
        measured: &'a Epoch,
    },
    /// The network is quantised and measured.
    Exporting,
    /// The run has ended and its folder is whole.
    Done {
        /// The run's folder.
        run: PathBuf,
        /// The model's file.
        blob: PathBuf,
        /// What the figures mean, in sentences.
        verdict: Vec<String>,
        /// Accuracy on each split.
        splits: Vec<Accuracy>,
    },
}

/// Accuracies on a split, 0 to 1.
#[derive(Clone, Debug, Serialize)]
pub struct Accuracy {
    /// `validation` or `test`.
    pub split: String,
    /// Number of images.
    pub images: usize,
    /// Of the float network.
    pub float: f64,
    /// Of the model that a board runs.
    pub int8: f64,
}

/// Prints a line.
///
/// # Errors
/// When the event cannot be written as JSON.
pub fn tell(event: &Event<'_>) -> Result<()> {
    println!("{}", serde_json::to_string(event)?);
    Ok(())
}

/// Prints a line for what it is told.
#[derive(Debug, Default)]
pub struct Lines {
    /// When the last line about steps was printed.
    last: Mutex<Option<Instant>>,
}

impl Observer for Lines {
    fn note(&self, text: &str) {
        tell_or_warn(&Event::Note { text });
    }

    fn step(&self, moment: &Moment) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| last.elapsed() >= EVERY) {
            tell_or_warn(&Event::Step(moment));
            *last = Some(Instant::now());
        }
    }

    fn epoch(&self, measured: &Epoch, epochs: usize) {
        tell_or_warn(&Event::Epoch { epochs, measured });
    }
}

fn tell_or_warn(event: &Event<'_>) {
    if let Err(error) = tell(event) {
        tracing::warn!("a line for programs is missing: {error:#}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_what_happened_and_hold_what_was_measured() {
        let moment = Moment { epoch: 1, epochs: 2, step: 3, steps: 4, learning_rate: 0.5, loss: 1.0, accuracy: 0.25 };
        let line = serde_json::to_string(&Event::Step(&moment)).unwrap();
        assert_eq!(
            line,
            r#"{"event":"step","epoch":1,"epochs":2,"step":3,"steps":4,"learning_rate":0.5,"loss":1.0,"accuracy":0.25}"#
        );
        let splits = vec![Accuracy { split: "test".to_owned(), images: 8, float: 0.5, int8: 0.375 }];
        let done = Event::Done { run: "runs/a".into(), blob: "runs/a/model.blob".into(), verdict: Vec::new(), splits };
        let line = serde_json::to_value(&done).unwrap();
        assert_eq!((&line["event"], &line["splits"][0]["int8"]), (&"done".into(), &0.375.into()));
    }
}
