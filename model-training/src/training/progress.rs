//! What a run tells while it is going on.

use anyhow::Result;
use burn::tensor::Tensor;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::Epoch;
use crate::data::progress::visible;
use crate::training::model::Net;

/// What a step learns.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Pixels less 128, `[images][channels][height][width]`.
    pub pixels: &'a Tensor<4>,
    /// `[images][classes]`: the loss is minus the sum of these times the logarithms of the probabilities.
    pub targets: &'a [f32],
    /// Learning rate of the step.
    pub learning_rate: f64,
}

/// A moment in a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Moment {
    /// Counted from 1.
    pub epoch: usize,
    /// Largest number of epochs.
    pub epochs: usize,
    /// Steps of this epoch that are done.
    pub step: usize,
    /// Steps of an epoch.
    pub steps: usize,
    /// Learning rate of this epoch.
    pub learning_rate: f64,
    /// Mean training loss of this epoch so far.
    pub loss: f64,
    /// Training accuracy of this epoch so far, 0 to 1.
    pub accuracy: f64,
}

/// Is told what a run does.
pub trait Observer: Sync {
    /// Something about the network to be trained.
    fn note(&self, _note: &str) {}
    /// The network as it is before the first step, or where a run goes on.
    ///
    /// # Errors
    /// End the run.
    fn begin(&self, _net: &Net) -> Result<()> {
        Ok(())
    }
    /// What the next step learns.
    ///
    /// # Errors
    /// End the run.
    fn batch(&self, _batch: &Batch<'_>) -> Result<()> {
        Ok(())
    }
    /// A step is done.
    fn step(&self, _moment: &Moment) {}
    /// An epoch is done and saved.
    fn epoch(&self, _epoch: &Epoch, _epochs: usize) {}
    /// The run is over.
    fn finish(&self) {}
}

/// Tells nobody.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Observer for Silent {}

/// Tells both.
impl<A: Observer, B: Observer> Observer for (A, B) {
    fn note(&self, note: &str) {
        self.0.note(note);
        self.1.note(note);
    }

    fn begin(&self, net: &Net) -> Result<()> {
        self.0.begin(net)?;
        self.1.begin(net)
    }

    fn batch(&self, batch: &Batch<'_>) -> Result<()> {
        self.0.batch(batch)?;
        self.1.batch(batch)
    }

    fn step(&self, moment: &Moment) {
        self.0.step(moment);
        self.1.step(moment);
    }

    fn epoch(&self, epoch: &Epoch, epochs: usize) {
        self.0.epoch(epoch, epochs);
        self.1.epoch(epoch, epochs);
    }

    fn finish(&self) {
        self.0.finish();
        self.1.finish();
    }
}

/// Tells the one that is there.
impl<A: Observer> Observer for Option<A> {
    fn note(&self, note: &str) {
        self.iter().for_each(|observer| observer.note(note));
    }

    fn begin(&self, net: &Net) -> Result<()> {
        self.iter().try_for_each(|observer| observer.begin(net))
    }

    fn batch(&self, batch: &Batch<'_>) -> Result<()> {
        self.iter().try_for_each(|observer| observer.batch(batch))
    }

    fn step(&self, moment: &Moment) {
        self.iter().for_each(|observer| observer.step(moment));
    }

    fn epoch(&self, epoch: &Epoch, epochs: usize) {
        self.iter().for_each(|observer| observer.epoch(epoch, epochs));
    }

    fn finish(&self) {
        self.iter().for_each(Observer::finish);
    }
}

/// A progress bar and a line an epoch on the standard error; the lines alone when that is not a terminal.
#[derive(Debug)]
pub struct Console {
    bar: ProgressBar,
}

impl Console {
    /// Nothing is shown before the first step.
    #[must_use]
    pub fn new() -> Self {
        let style = ProgressStyle::with_template("{wide_bar} {msg}  {eta} left at most").expect("a valid template");
        Self { bar: visible(ProgressBar::new(0)).with_style(style) }
    }
}

impl Default for Console {
    fn default() -> Self {
        Self::new()
    }
}

impl Observer for Console {
    fn note(&self, note: &str) {
        tracing::info!("{note}");
    }

    fn step(&self, moment: &Moment) {
        let Moment { epoch, epochs, step, steps, learning_rate, loss, accuracy } = *moment;
        let done = ((epoch - 1) * steps + step) as u64;
        if self.bar.length() == Some(0) {
            // The speed is measured from here, also when it resumes a run.
            self.bar.set_length((epochs * steps) as u64);
            self.bar.set_position(done - 1);
            self.bar.reset_eta();
        }
        self.bar.set_position(done);
        let percent = 100.0 * accuracy;
        self.bar.set_message(format!(
            "epoch {epoch}/{epochs}  loss {loss:.4}  accuracy {percent:.1} %  learning rate {learning_rate:.1e}"
        ));
    }

    fn epoch(&self, epoch: &Epoch, epochs: usize) {
        let line = epoch_line(epoch, epochs);
        if self.bar.is_hidden() {
            tracing::info!("{line}");
        } else {
            self.bar.println(line);
        }
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn epoch_line(epoch: &Epoch, epochs: usize) -> String {
    format!(
        "epoch {:3}/{epochs}  train: loss {:.4}, accuracy {:5.1} %  valid: loss {:.4}, accuracy {:5.1} %  \
         learning rate {:.1e}  {:.1} s",
        epoch.epoch,
        epoch.train_loss,
        100.0 * epoch.train_accuracy,
        epoch.valid_loss,
        100.0 * epoch.valid_accuracy,
        epoch.learning_rate,
        epoch.seconds
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Remembers what it was told.
    #[derive(Default)]
    struct Told(std::sync::Mutex<Vec<String>>);

    impl Told {
        fn tell(&self, what: impl Into<String>) {
            self.0.lock().unwrap().push(what.into());
        }
    }

    impl Observer for Told {
        fn note(&self, note: &str) {
            self.tell(note);
        }

        fn step(&self, moment: &Moment) {
            self.tell(format!("step {}", moment.step));
        }

        fn epoch(&self, epoch: &Epoch, epochs: usize) {
            self.tell(format!("epoch {} of {epochs}", epoch.epoch));
        }

        fn finish(&self) {
            self.tell("the end");
        }
    }

    #[test]
    fn two_observers_are_told_the_same() {
        let both = (Told::default(), Told::default());
        both.note("a note");
        both.step(&Moment { epoch: 1, epochs: 2, step: 3, steps: 4, learning_rate: 0.1, loss: 1.0, accuracy: 0.5 });
        both.epoch(&epoch(), 5);
        both.finish();
        for told in [both.0, both.1] {
            assert_eq!(*told.0.lock().unwrap(), ["a note", "step 3", "epoch 3 of 5", "the end"]);
        }
    }

    fn epoch() -> Epoch {
        Epoch {
            epoch: 3,
            learning_rate: 5e-4,
            train_loss: 0.5,
            train_accuracy: 0.875,
            valid_loss: 0.75,
            valid_accuracy: 0.5,
            seconds: 1.25,
        }
    }

    #[test]
    fn lines_hold_what_was_measured() {
        assert_eq!(
            epoch_line(&epoch(), 60),
            "epoch   3/60  train: loss 0.5000, accuracy  87.5 %  valid: loss 0.7500, accuracy  50.0 %  \
             learning rate 5.0e-4  1.2 s"
        );
    }
}
