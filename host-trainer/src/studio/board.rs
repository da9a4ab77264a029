//! What is known of a board, and what is wished of it: between its thread and those of the pages.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use no_std_device::link::Unit;

use super::models::Entry;
use super::{Changes, lock};
use crate::collect::health::Trouble;
use crate::collect::rules::Rule;
use crate::device::{Agreement, Description, Shot};

/// After so long a board that is not there is looked for again.
const AGAIN: Duration = Duration::from_secs(2);
/// So many frames are kept, so that the one that a person sees can still be saved.
pub(super) const KEPT: usize = 8;
/// So many notes are kept for pages that did not ask for a while.
const NOTES: usize = 8;
/// Frames a second are counted over so many frames.
const PACE: usize = 20;

/// Whether a board is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Status {
    /// It is looked for.
    #[default]
    Connecting,
    /// It answers.
    Watching,
    /// It is not there; it is looked for again soon.
    Lost(String),
}

/// A frame as a page shows it.
pub(super) struct Sight {
    /// Its number in this studio.
    pub number: u64,
    pub shot: Shot,
    pub class: String,
    /// The model's threshold, in 256ths, where the model is known.
    pub threshold: u8,
    /// The classes with their probabilities by this very frame, where the model is known.
    pub answers: Vec<(String, f32)>,
    /// What costs are counted in, and how many of these pass in a second; 0 where that is not known.
    pub unit: Unit,
    pub hz: u32,
    /// What each layer has cost, where the model is known.
    pub layers: Vec<(String, u64)>,
    /// The network's input, where the model is known.
    pub input: Option<Input>,
}

/// A network's input as pixels.
pub(super) struct Input {
    pub pixels: Vec<u8>,
    pub width: u16,
    pub height: u16,
}

/// Frames that are saved one after the other.
#[derive(Clone, Debug)]
pub(super) struct Burst {
    pub left: u32,
    pub label: Option<String>,
    /// Whether one was saved.
    pub begun: bool,
}

/// Frames that are saved whenever a rule takes them.
#[derive(Clone, Debug)]
pub(super) struct Automatic {
    pub rule: Rule,
    pub label: Option<String>,
    pub saved: u64,
}

/// What needs the board for itself.
#[derive(Clone)]
pub(super) enum Task {
    Send(Arc<Entry>),
    RollBack,
}

/// What a board is busy with besides its camera.
#[derive(Clone, Debug)]
pub(super) struct Doing {
    pub what: String,
    pub done: usize,
    pub of: usize,
}

/// What a person is told once.
#[derive(Clone, Debug)]
pub(super) struct Note {
    pub number: u64,
    pub text: String,
    pub is_bad: bool,
}

/// Everything that is known of a board.
#[derive(Default)]
pub(super) struct State {
    pub status: Status,
    pub about: Option<Description>,
    /// The model that it runs, where it is here.
    pub model: Option<Arc<Entry>>,
    /// The last frames, the latest at the end.
    pub sights: VecDeque<Arc<Sight>>,
    count: u64,
    times: VecDeque<Instant>,
    pub compared: u64,
    pub differing: u64,
    pub troubles: Vec<Trouble>,
    /// That the camera has lost frames, and how many.
    pub losses: Option<String>,
    /// How many of how many bytes of a frame have come.
    pub arriving: Option<(usize, usize)>,
    pub paused: bool,
    steps: u32,
    pub burst: Option<Burst>,
    pub automatic: Option<Automatic>,
    task: Option<Task>,
    pub doing: Option<Doing>,
    pub notes: VecDeque<Note>,
    notes_count: u64,
    over: bool,
}

/// What a board's thread does next.
pub(super) enum Next {
    Frame,
    Task(Task),
    End,
}

pub(super) struct Board {
    /// The name of its link.
    pub link: String,
    state: Mutex<State>,
    woken: Condvar,
    changes: Changes,
}

impl Board {
    pub(super) fn new(link: String, changes: Changes) -> Self {
        Self { link, state: Mutex::default(), woken: Condvar::new(), changes }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Changes something, and tells those who wait for it.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state());
        self.woken.notify_all();
        self.changes.tell();
        changed
    }

    /// Lets the board's thread end after the frame that it waits for.
    pub(super) fn end(&self) {
        self.change(|state| state.over = true);
    }

    /// What comes next; waits while there is nothing to do.
    pub(super) fn next(&self) -> Next {
        let waiting = |state: &mut State| !state.over && state.task.is_none() && !state.moves();
        let state = self.woken.wait_while(self.state(), waiting);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        match state.task.take() {
            _ if state.over => Next::End,
            Some(task) => Next::Task(task),
            None => {
                state.steps = state.steps.saturating_sub(1);
                Next::Frame
            }
        }
    }

    /// Says why the board is not there, and waits a while, or till something needs it; says whether the studio goes on.
    pub(super) fn lose(&self, error: &anyhow::Error) -> bool {
        let why = format!("{error:#}");
        tracing::warn!("{}: {why}", self.link);
        self.change(|state| {
            state.status = Status::Lost(why);
            state.forget();
        });
        let waiting = |state: &mut State| !state.over && state.task.is_none();
        let state = self.woken.wait_timeout_while(self.state(), AGAIN, waiting);
        let is_over = state.map_or_else(|error| error.into_inner().0, |(state, _)| state).over;
        if !is_over {
            self.change(|state| state.status = Status::Connecting);
        }
        !is_over
    }

    /// The frame of this number.
    pub(super) fn sight(&self, number: u64) -> Result<Arc<Sight>> {
        let state = self.state();
        let sight = state.sights.iter().find(|sight| sight.number == number);
        sight.cloned().context("that frame is gone: stop the camera (space) to look at one for longer")
    }
}

impl State {
    /// Whether frames are taken.
    fn moves(&self) -> bool {
        !self.paused || self.steps > 0 || self.burst.is_some()
    }

    /// Lets one more frame come while the camera is stopped.
    pub(super) fn step(&mut self) {
        self.steps = 1;
    }

    /// Asks for the board.
    pub(super) fn begin(&mut self, task: Task) {
        let what = match &task {
            Task::Send(entry) => format!("sending {}", entry.known.name()),
            Task::RollBack => "rolling back".to_owned(),
        };
        self.doing = Some(Doing { what, done: 0, of: 0 });
        self.task = Some(task);
    }

    /// Number of the next frame.
    pub(super) fn next_number(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// Another frame has come.
    pub(super) fn show(&mut self, sight: Arc<Sight>) {
        if let Some(Agreement { differing, .. }) = sight.shot.agreement {
            self.compared += 1;
            self.differing += u64::from(differing > 0);
        }
        self.arriving = None;
        self.times.push_back(Instant::now());
        self.sights.push_back(sight);
        if self.times.len() > PACE {
            self.times.pop_front();
        }
        if self.sights.len() > KEPT {
            self.sights.pop_front();
        }
    }

    /// Another model runs, or the board was not there: what was counted means nothing any more.
    pub(super) fn forget(&mut self) {
        (self.compared, self.differing) = (0, 0);
        self.troubles.clear();
        self.losses = None;
        self.times.clear();
        self.arriving = None;
    }

    /// Frames a second, where two have come.
    pub(super) fn pace(&self) -> Option<f64> {
        let (first, last) = (self.times.front()?, self.times.back()?);
        let span = last.duration_since(*first).as_secs_f64();
        (span > 0.0 && !self.paused).then(|| (self.times.len() - 1) as f64 / span)
    }

    /// A frame of the burst was saved, or was there already.
    pub(super) fn advance(&mut self, new: bool) {
        let Some(burst) = &mut self.burst else { return };
        burst.begun |= new;
        burst.left = burst.left.saturating_sub(1);
        if burst.left == 0 {
            self.burst = None;
            self.tell("the burst is saved".to_owned(), false);
        }
    }

    /// Tells a person something once.
    pub(super) fn tell(&mut self, text: String, is_bad: bool) {
        self.notes_count += 1;
        self.notes.push_back(Note { number: self.notes_count, text, is_bad });
        if self.notes.len() > NOTES {
            self.notes.pop_front();
        }
    }
}
