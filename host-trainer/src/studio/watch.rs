//! The thread of a board: sees its frames, saves those that are wished, and does what needs the board for itself.

use std::sync::Arc;

use anyhow::Result;
use model_training::data::dataset::UNLABELLED;
use model_training::measure::evaluate::class_probabilities;

use super::board::{Automatic, Board, Burst, Input, Next, Sight, Status, Task};
use super::models::{Costs, Entry};
use super::{Shared, lock};
use crate::collect::health::{FRAMES, diagnose};
use crate::collect::rules::Rule;
use crate::collect::{Filing, Saved};
use crate::device::{Camera, Device, Opener, Patience, Shot, check_update, find};

/// Watches a board until the studio ends, whatever happens to the board.
pub(super) fn run(shared: &Shared, index: usize, mut open: Opener) {
    let board = &shared.boards[index];
    let greet = |transport| session(shared, index, Device::open(transport, Patience::default())?);
    // A session ends without an error when the studio does.
    if let Err(error) = find(&mut open, greet, |error| board.lose(error)) {
        tracing::debug!("{} is looked for no longer: {error:#}", board.link);
    }
}

/// Watches a board as long as it answers.
fn session(shared: &Shared, index: usize, mut device: Device) -> Result<()> {
    let board = &shared.boards[index];
    loop {
        let about = device.description().clone();
        let entry = about.model.and_then(|model| shared.models.of(&model.blob));
        let model = entry.as_ref().map(|entry| entry.known.model()).transpose()?;
        let costs = entry.as_ref().zip(model.as_ref()).map(|(entry, model)| Costs::of(&entry.known, model));
        let costs = costs.transpose()?;
        let mut camera = Camera::new(device, model);
        camera.labels().iter().for_each(|label| lock(&shared.shelf).offer(label));
        board.change(|state| {
            state.forget();
            (state.status, state.about, state.model) = (Status::Watching, Some(about), entry.clone());
        });
        let watched = Watched { shared, index, board, entry: entry.as_deref(), costs };
        let Some(task) = watched.until_task(&mut camera)? else { return Ok(()) };
        device = camera.into_device();
        carry_out(board, &task, &mut device);
    }
}

/// Sends a model or takes one back; says what has become of it.
fn carry_out(board: &Board, task: &Task, device: &mut Device) {
    let done = match task {
        Task::Send(entry) => send(board, entry, device),
        Task::RollBack => device.rollback().map(|()| "the model before runs again".to_owned()),
    };
    board.change(|state| {
        state.doing = None;
        match done {
            Ok(text) => state.tell(text, false),
            Err(error) => state.tell(format!("{error:#}"), true),
        }
    });
}

fn send(board: &Board, entry: &Entry, device: &mut Device) -> Result<String> {
    let (known, len) = (&entry.known, entry.known.blob().len());
    check_update(known.blob(), &known.model()?, device.description())?;
    device.update(known.blob(), |received| {
        board.change(|state| state.doing.iter_mut().for_each(|doing| (doing.done, doing.of) = (received, len)));
    })?;
    device.expect(known.blob())?;
    Ok(format!("{} runs on the board and is confirmed", known.name()))
}

/// A board whose frames are seen.
struct Watched<'a> {
    shared: &'a Shared,
    index: usize,
    board: &'a Board,
    entry: Option<&'a Entry>,
    costs: Option<Costs>,
}

impl Watched<'_> {
    /// Sees frames until something needs the board for itself, or the studio ends.
    fn until_task(&self, camera: &mut Camera<'_>) -> Result<Option<Task>> {
        loop {
            match self.board.next() {
                Next::End => return Ok(None),
                Next::Task(task) => return Ok(Some(task)),
                Next::Frame => self.frame(camera)?,
            }
        }
    }

    fn frame(&self, camera: &mut Camera<'_>) -> Result<()> {
        let mut told = 0;
        let shot = camera.next(|done, of| {
            // A tenth of a frame at a time.
            if of > 0 && done * 10 / of > told {
                told = done * 10 / of;
                self.board.change(|state| state.arriving = Some((done, of)));
            }
        })?;
        let number = self.board.state().next_number();
        let sight = Arc::new(self.sight(camera, shot, number)?);
        let losses = camera.device().camera_complaint();
        self.board.change(|state| {
            state.losses = losses;
            state.show(Arc::clone(&sight));
        });
        if number.is_multiple_of(FRAMES as u64) {
            self.judge()?;
        }
        if let Err(error) = self.keep(camera, &sight.shot) {
            self.board.change(|state| {
                (state.burst, state.automatic) = (None, None);
                state.tell(format!("nothing is saved any more: {error:#}"), true);
            });
        }
        Ok(())
    }

    fn sight(&self, camera: &mut Camera<'_>, shot: Shot, number: u64) -> Result<Sight> {
        let class = camera.name(shot.seen.class);
        let result = &shot.seen.result;
        let shares = camera.model().map(|model| class_probabilities(model, &result.logits, &result.output));
        let answers = camera.labels().iter().cloned().zip(shares.unwrap_or_default()).collect();
        let layers = self.costs.as_ref().map(|costs| costs.by_layer(&shot.seen.result.layers)).unwrap_or_default();
        let size = camera.model().map(|model| model.info().input.tensor).map(|tensor| (tensor.width, tensor.height));
        let input = match (camera.twin(), size, shot.seen.shape) {
            (Some(twin), Some((width, height)), Some(shape)) => {
                let pixels = twin.input(&shape, &shot.bytes)?.iter().map(|&value| value as u8 ^ 0x80).collect();
                Some(Input { pixels, width, height })
            }
            _ => None,
        };
        let threshold = camera.model().map_or(0, |model| model.threshold());
        let about = camera.device().description();
        let (unit, hz) = (about.unit, about.hz);
        Ok(Sight { number, shot, class, threshold, answers, unit, hz, layers, input })
    }

    /// Says what is wrong with the last frames.
    fn judge(&self) -> Result<()> {
        let sights: Vec<Arc<Sight>> = self.board.state().sights.iter().rev().take(FRAMES).cloned().collect();
        let Some(shape) = sights.first().and_then(|sight| sight.shot.seen.shape) else { return Ok(()) };
        let same = sights.iter().filter(|sight| sight.shot.seen.shape == Some(shape));
        let frames: Vec<&[u8]> = same.map(|sight| sight.shot.bytes.as_slice()).collect();
        let troubles = diagnose(&shape, &frames)?;
        self.board.change(|state| state.troubles = troubles);
        Ok(())
    }

    /// Saves the frame where that is wished: as the next one of a burst, or because a rule takes it.
    fn keep(&self, camera: &mut Camera<'_>, shot: &Shot) -> Result<()> {
        let (burst, automatic) = {
            let state = self.board.state();
            (state.burst.clone(), state.automatic.clone())
        };
        if let Some(Burst { label, begun, .. }) = burst {
            let filing = Filing { label: label.as_deref(), camera: self.index, near: begun };
            let new = self.shared.save(shot, filing)? != Saved::Again;
            self.board.change(|state| state.advance(new));
        } else if let Some(Automatic { rule, label, .. }) = automatic
            && self.takes(rule, camera, shot)?
        {
            let filing = Filing { label: label.as_deref(), camera: self.index, near: false };
            let new = self.shared.save(shot, filing)? != Saved::Again;
            self.board
                .change(|state| state.automatic.iter_mut().for_each(|automatic| automatic.saved += u64::from(new)));
        }
        Ok(())
    }

    fn takes(&self, rule: Rule, camera: &mut Camera<'_>, shot: &Shot) -> Result<bool> {
        // The float network takes long, and no other rule asks for it.
        let graph = self.entry.filter(|_| rule == Rule::Disagreeing).and_then(|entry| entry.known.graph());
        let distance = lock(&self.shared.shelf).collection.distance(&shot.thumbnail()?);
        Ok(rule.takes(&camera.candidate(shot, distance, graph)?))
    }
}

impl Shared {
    /// Saves a frame in the collection.
    pub(super) fn save(&self, shot: &Shot, filing: Filing<'_>) -> Result<Saved> {
        let mut shelf = lock(&self.shelf);
        let saved = shelf.collection.save(&shot.shape()?, &shot.bytes, filing)?;
        if saved != Saved::Again {
            shelf.add(filing.label.unwrap_or(UNLABELLED));
        }
        drop(shelf);
        self.changes.tell();
        Ok(saved)
    }
}
