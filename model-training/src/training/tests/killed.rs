//! Runs that are killed and go on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;

use super::*;

/// Panics in the given step, as if the process were killed there.
pub struct Killer {
    pub epoch: usize,
    pub step: usize,
}

impl Observer for Killer {
    fn step(&self, moment: &Moment) {
        assert!((moment.epoch, moment.step) != (self.epoch, self.step), "killed on purpose");
    }
}

/// Notes epoch and step of every step.
#[derive(Default)]
struct Steps(Mutex<Vec<(usize, usize)>>);

impl Observer for Steps {
    fn step(&self, moment: &Moment) {
        self.0.lock().unwrap().push((moment.epoch, moment.step));
    }
}

/// How often runs are saved within an epoch: after every step, or not at all.
pub const ALWAYS: Duration = Duration::ZERO;
pub const NEVER: Duration = Duration::MAX;

/// A run that is killed at the end of a step, before that is saved, and then goes on; and its folder.
pub fn resumed(
    data: &TrainingData,
    config: &Config,
    (epoch, step): (usize, usize),
    save_every: Duration,
) -> (Outcome, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let killer = Killer { epoch, step };
    let saving = Options { save_every, ..options(2) };
    let killed = catch_unwind(AssertUnwindSafe(|| train(data, config, dir.path(), saving, &killer)));
    assert!(killed.is_err());
    std::fs::write(dir.path().join(".tmpHalf"), b"half a checkpoint").unwrap();
    let steps = Steps::default();
    let outcome = train(data, config, dir.path(), Options { resume: true, ..options(1) }, &steps).unwrap();
    let first = if save_every == ALWAYS { step } else { 1 };
    assert_eq!(steps.0.into_inner().unwrap()[0], (epoch, first));
    (timeless(&outcome), dir)
}

#[test]
fn killed_runs_resume_to_the_same_end() {
    let images = Stripes::new(44, 8, 10);
    let data = images.data(14);
    let config = small(4);
    let whole_dir = tempfile::tempdir().unwrap();
    let whole = train(&data, &config, whole_dir.path(), options(1), &Silent).unwrap();
    assert_eq!(whole.epochs.len(), 4);

    let moments =
        [((1, 2), NEVER), ((2, 1), NEVER), ((3, 4), NEVER), ((1, 2), ALWAYS), ((2, 1), ALWAYS), ((3, 4), ALWAYS)];
    for (moment, save_every) in moments {
        let (outcome, dir) = resumed(&data, &config, moment, save_every);
        assert_eq!(outcome, timeless(&whole), "{moment:?}");
        let resume = Options { resume: true, ..options(2) };
        let again = train(&data, &config, dir.path(), resume, &Killer { epoch: 5, step: 1 }).unwrap();
        assert_eq!(timeless(&again), outcome);
        for name in [GRAPH_FILE, CONFIG_FILE] {
            let read = |folder: &Path| std::fs::read(folder.join(name)).unwrap();
            assert_eq!(read(dir.path()), read(whole_dir.path()), "{name}");
        }
    }
}

/// Whether the program is told to end.
static ENDING: AtomicBool = AtomicBool::new(false);

/// Tells it so in the given step.
struct Teller((usize, usize));

impl Observer for Teller {
    fn step(&self, moment: &Moment) {
        ENDING.store((moment.epoch, moment.step) == self.0, Ordering::SeqCst);
    }
}

#[test]
fn a_run_that_is_told_to_end_is_saved_after_the_step() {
    let images = Stripes::new(44, 8, 10);
    let (data, config, dir) = (images.data(14), small(3), tempfile::tempdir().unwrap());
    let whole = train(&data, &config, tempfile::tempdir().unwrap().path(), options(1), &Silent).unwrap();
    let told = Options { save_every: NEVER, is_ending: || ENDING.load(Ordering::SeqCst), ..options(2) };
    let message = refusal(train(&data, &config, dir.path(), told, &Teller((2, 3))));
    assert!(message.contains("the run is saved"), "{message}");
    let steps = Steps::default();
    let outcome = train(&data, &config, dir.path(), Options { resume: true, ..options(1) }, &steps).unwrap();
    assert_eq!(steps.0.into_inner().unwrap()[0], (2, 4));
    assert_eq!(timeless(&outcome), timeless(&whole));
}

#[test]
fn only_the_same_run_is_resumed() {
    let images = Stripes::new(30, 8, 10);
    let dir = tempfile::tempdir().unwrap();
    let resume = Options { resume: true, ..options(1) };
    let message = refusal(train(&images.data(10), &small(1), dir.path(), resume, &Silent));
    assert!(message.contains("no run to resume"), "{message}");
    train(&images.data(10), &small(1), dir.path(), options(1), &Silent).unwrap();
    let message = refusal(train(&images.data(10), &small(2), dir.path(), resume, &Silent));
    assert!(message.contains("another configuration"), "{message}");
    let message = refusal(train(&images.data(12), &small(1), dir.path(), resume, &Silent));
    assert!(message.contains("the images are not those"), "{message}");
}
