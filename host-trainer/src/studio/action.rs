//! What a page may ask for.

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use model_training::data::dataset::UNLABELLED;
use serde::{Deserialize, Serialize};

use super::board::{Automatic, Board, Burst, Task};
use super::{Shared, lock};
use crate::collect::rules::{CHANGED, Rule};
use crate::collect::{Collection, Filing, Picture, Saved, check_class, sentence};

/// Most frames of a burst.
const BURST: u32 = 1000;
/// Most pictures that are corrected or deleted at once.
const PICTURES: usize = 1000;

/// What a page asks for: an object of JSON, of which `do` says what.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Action {
    /// Saves a frame that is shown, under a class or under none.
    Save {
        /// Which board's.
        board: usize,
        /// The frame's number.
        number: u64,
        /// Its class.
        class: Option<String>,
    },
    /// Saves the next frames, as one group; no more of them where `count` is 0.
    Burst {
        /// Which board's.
        board: usize,
        /// How many.
        count: u32,
        /// Their class.
        class: Option<String>,
    },
    /// Saves frames whenever a rule takes one, from now on; never where there is none.
    Automatic {
        /// Which board's.
        board: usize,
        /// The rule.
        rule: Option<Which>,
        /// Of [`Which::Unsure`]: below this probability, in percent; without it below the model's threshold.
        percent: Option<f64>,
        /// Their class.
        class: Option<String>,
    },
    /// Stops the camera, or lets it go on.
    Pause {
        /// Which board's.
        board: usize,
        /// Whether it stops.
        paused: bool,
    },
    /// Lets one frame come while the camera is stopped.
    Step {
        /// Which board's.
        board: usize,
    },
    /// Offers a class that has no pictures yet.
    Class {
        /// Its name.
        name: String,
    },
    /// Puts pictures under another class, or under none.
    Relabel {
        /// Which ones.
        pictures: Vec<Picture>,
        /// Their class.
        class: Option<String>,
    },
    /// Deletes pictures.
    Delete {
        /// Which ones.
        pictures: Vec<Picture>,
    },
    /// Sends a board a model.
    Send {
        /// Which board.
        board: usize,
        /// Its place among the models.
        model: usize,
    },
    /// Lets a board go back to the model before.
    RollBack {
        /// Which board.
        board: usize,
    },
    /// Trains a run further on its own pictures and those that were collected, and compares.
    Teach {
        /// Its place among the models.
        model: usize,
    },
    /// Ends the training.
    Cancel,
}

/// What was done.
#[derive(Clone, Debug, Default, Serialize, PartialEq, Eq)]
pub struct Done {
    /// In words, where a page does not show it anyway.
    pub said: String,
    /// The picture that was saved.
    pub saved: Option<Picture>,
}

impl From<String> for Done {
    fn from(said: String) -> Self {
        Self { said, saved: None }
    }
}

/// A rule by its name.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Which {
    /// Every frame.
    Every,
    /// Those of which the board is not sure.
    Unsure,
    /// Those that differ from what was saved last.
    Changed,
    /// Those for which the float network names another class.
    Disagreeing,
}

impl Shared {
    /// The board of this place.
    pub(super) fn board(&self, index: usize) -> Result<&Board> {
        self.boards.get(index).context("there is no such board")
    }

    /// Does what is asked for; says what was done.
    pub(super) fn act(self: &Arc<Self>, action: Action) -> Result<Done> {
        match action {
            Action::Save { board, number, class } => self.save_shown(board, number, class.as_deref()),
            Action::Burst { board, count, class } => {
                ensure!(count <= BURST, "a burst has {BURST} frames at most");
                check_class(class.as_deref())?;
                let burst = (count > 0).then_some(Burst { left: count, label: class, begun: false });
                self.board(board)?.change(|state| state.burst = burst);
                Ok(Done::default())
            }
            Action::Automatic { board, rule, percent, class } => self.automatic(board, rule, percent, class),
            Action::Pause { board, paused } => {
                self.board(board)?.change(|state| state.paused = paused);
                Ok(Done::default())
            }
            Action::Step { board } => {
                self.board(board)?.change(|state| state.step());
                Ok(Done::default())
            }
            Action::Class { name } => {
                check_class(Some(&name))?;
                lock(&self.shelf).offer(&name);
                self.changes.tell();
                Ok(format!("{name} is a class from its first picture on").into())
            }
            Action::Relabel { pictures, class } => {
                let class = class.as_deref();
                let now = format!("now {}", class.unwrap_or(UNLABELLED));
                self.change(&pictures, &now, |collection| collection.relabel(&pictures, class))
            }
            Action::Delete { pictures } => self.change(&pictures, "deleted", |collection| collection.remove(&pictures)),
            Action::Send { board, model } => self.begin(board, Task::Send(self.models.get(model)?)),
            Action::RollBack { board } => self.begin(board, Task::RollBack),
            Action::Teach { model } => self.teach(model).map(|()| Done::default()),
            Action::Cancel => {
                self.teacher.cancel();
                Ok(Done::default())
            }
        }
    }

    fn save_shown(&self, index: usize, number: u64, class: Option<&str>) -> Result<Done> {
        check_class(class)?;
        let sight = self.board(index)?.sight(number)?;
        let filing = Filing { label: class, camera: index, near: false };
        let Saved::New { path, .. } = self.save(&sight.shot, filing)? else {
            return Ok("that frame is saved already".to_owned().into());
        };
        let class = class.unwrap_or(UNLABELLED).to_owned();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Done { said: format!("saved as {class}"), saved: Some(Picture { class, name }) })
    }

    fn automatic(
        &self,
        index: usize,
        which: Option<Which>,
        percent: Option<f64>,
        class: Option<String>,
    ) -> Result<Done> {
        let board = self.board(index)?;
        check_class(class.as_deref())?;
        let Some(which) = which else {
            board.change(|state| state.automatic = None);
            return Ok(Done::default());
        };
        let model = board.state().model.clone();
        let rule = match (which, percent) {
            (Which::Every, _) => Rule::Every,
            (Which::Changed, _) => Rule::Changed(CHANGED),
            (Which::Unsure, None) => {
                let threshold = model.as_ref().map(|entry| Ok::<_, anyhow::Error>(entry.known.model()?.threshold()));
                ensure!(
                    threshold.transpose()? != Some(0),
                    "the model has no threshold and is always sure: say below which probability it is not"
                );
                Rule::Unsure(None)
            }
            (Which::Unsure, Some(percent)) => {
                ensure!((0.0..=100.0).contains(&percent), "a probability has 0 to 100 percent");
                Rule::Unsure(Some((percent * 2.56).round().min(255.0) as u8))
            }
            (Which::Disagreeing, _) => {
                let graph = model.as_ref().and_then(|entry| entry.known.graph());
                ensure!(
                    graph.is_some(),
                    "the float network is not known: name the run of the board's model by --model"
                );
                Rule::Disagreeing
            }
        };
        board.change(|state| state.automatic = Some(Automatic { rule, label: class, saved: 0 }));
        Ok("frames are saved when the rule takes them".to_owned().into())
    }

    /// Changes pictures of the collection; says what they are then.
    fn change(
        &self,
        pictures: &[Picture],
        now: &str,
        change: impl FnOnce(&mut Collection) -> Result<()>,
    ) -> Result<Done> {
        let count = pictures.len();
        ensure!(count <= PICTURES, "{PICTURES} pictures at most are changed at once");
        let mut shelf = lock(&self.shelf);
        let done = change(&mut shelf.collection);
        shelf.count()?;
        drop(shelf);
        self.changes.tell();
        done.map(|()| sentence(count, now).into())
    }

    fn begin(&self, index: usize, task: Task) -> Result<Done> {
        self.board(index)?.change(|state| {
            if state.doing.is_some() {
                bail!("the board is busy: wait for its end");
            }
            state.begin(task);
            Ok(Done::default())
        })
    }
}
