//! The camera application: classifies frames, shows what it is sure of, and serves a host meanwhile.

mod models;

use core::num::NonZeroU16;

use embedded_hal::digital::{OutputPin, PinState};
use heapless::VecView;
use no_std_infer::kernels::Linked;
use no_std_infer::{Decision, Model};

use crate::board::{Board, Camera, Clock, Link, MappedFlash};
use crate::inference::{Run, Source};
use crate::link::CameraFaults;
use crate::serve::{Device, Loaded, Memory, Server};
use crate::signature::Trust;
use crate::slots;
use crate::smooth::{Average, Smoother};
use crate::update::{self, Asked, Updater};
use models::{Models, Running};

/// So many frames a model must classify before it has proved itself, unless a host says so before.
pub const TRIAL_FRAMES: u32 = 16;

/// What the application made of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Report {
    /// The class, smoothed over time, and whether it reaches the model's threshold.
    pub decision: Decision,
    /// From taking the frame to the decision, in [`Clock::UNIT`]s.
    // As the clock counts, in 64 bits: 584 years at 1 GHz.
    pub latency: u64,
}

/// What the application did when it was polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event {
    /// Nothing: neither bytes of a host nor a frame were there. The caller may sleep until either arrives.
    Idle,
    /// Bytes of a host were taken, and the request that they end was answered.
    Served,
    /// A step for a frame or for a host's request, of which more follow; or its beginning: the input is in the arena.
    Working,
    /// A frame was classified.
    Classified(Report),
    /// A host brought another model, or asked for the one before, which runs from now on.
    Switched,
}

/// What an application is made of.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Parts<'a, F, T> {
    /// The blob that is built in; runs where no slot holds one.
    pub factory: Option<&'static [u8]>,
    /// The two places for models, of which one runs while the other is written: [`NoFlash`](crate::NoFlash) where there are
    /// none.
    pub slots: [&'a mut F; 2],
    /// Whose updates are taken.
    pub trust: T,
    /// The kernels on which models run: a model that needs another is refused. [`Linked::ALL`] where any model may come.
    pub linked: &'static Linked,
    /// The arena; limits which models can run. Its first byte lies at a multiple of 16.
    pub arena: &'a mut [i8],
    /// An average a class: room for as many as a model has that is to be smoothed.
    pub averages: &'a mut VecView<Average>,
    /// How slowly averages move, see [`Smoother`].
    pub smoothing: u8,
    /// With which a host is answered.
    pub memory: Memory<'a>,
}

/// A state machine: each [`poll`](Self::poll) does one piece of what there is to do and returns. It waits for nothing but the
/// board's link, where a host reads slowly, and flash; so it runs in a bare loop, in a task of RTIC's or embassy's, or wherever
/// else something calls it again and again.
pub struct Application<'a, F: 'static, T> {
    models: Models,
    arena: &'a mut [i8],
    smoother: Smoother<'a>,
    server: Server<'a>,
    updater: Updater<'a, F, T>,
    /// `None` only while a switch is under way.
    running: Option<Running<'a, F>>,
    /// Frames until the model has proved itself, where it has not.
    // From `TRIAL_FRAMES` down to 0, where it stays.
    untried: u32,
}

impl<'a, F: MappedFlash + 'static, T: Trust> Application<'a, F, T> {
    /// Chooses the model that runs, and parses it.
    pub fn new(parts: Parts<'a, F, T>) -> Self {
        let Parts { factory, slots, trust, linked, arena, averages, smoothing, memory } = parts;
        let (models, mut updater) = (Models { factory, linked, arena_len: arena.len() }, Updater::new(trust, linked));
        let (slot, record) = models.choose(slots, &mut updater, &|| ());
        Self {
            models,
            arena,
            smoother: Smoother::new(averages, smoothing),
            server: Server::new(memory),
            updater,
            running: Some(models.start(slot, record, &|| ())),
            untried: TRIAL_FRAMES,
        }
    }

    /// The model that runs; `None` where no blob can be run.
    #[must_use]
    pub fn model(&self) -> Option<&Model<'_>> {
        loaded(&self.running).map(|loaded| &loaded.model)
    }

    /// Frames that the camera has lost since the start, which a host is told as well.
    #[must_use]
    pub fn camera_faults(&self) -> CameraFaults {
        self.server.faults()
    }

    /// Polls for ever. `report` shows a person what was found; it is called after each frame.
    pub fn run<C, L, I, K>(mut self, board: &mut Board<C, L, I, K>, mut report: impl FnMut(&Report, &Model<'_>)) -> !
    where
        C: Camera,
        L: Link,
        I: OutputPin,
        K: Clock,
    {
        loop {
            match (self.poll(board), self.model()) {
                (Event::Classified(found), Some(model)) => report(&found, model),
                (Event::Idle, _) => board.clock.idle(),
                _ => {}
            }
        }
    }

    /// Does the next piece of work: one operator of the network for the frame or the request that it runs for; or, when it runs
    /// for none, begins a host's request, or else a frame, if there is one. A host's bytes are taken in any case, up to the end of
    /// a request. It is answered then and there, or waits until the network has run where that is to run for it. So a host that
    /// never stops keeps no frame from being classified.
    ///
    /// Some polls take longer than an operator, and no bound of rows makes them shorter:
    /// - turning a frame into the network's input, which is one piece of work, for a camera's and for a host's;
    /// - the requests of an update: the one that begins it and those that bring the blob erase and program flash, and the
    ///   one that ends it verifies the whole blob, its signature too, parses it, runs its self-test, writes the record and
    ///   parses it again for the switch;
    /// - sending an answer, as long as the link waits for its host.
    ///
    /// During an update [`Clock::feed`] is called after each piece of the work: there a firmware that must not wait feeds its
    /// watchdog or does what cannot be left. Nothing calls it while a frame is prepared or the link waits.
    pub fn poll<C, L, I, K>(&mut self, board: &mut Board<C, L, I, K>) -> Event
    where
        C: Camera,
        L: Link,
        I: OutputPin,
        K: Clock,
    {
        self.turn(board, None)
    }

    /// The same, with at most so many rows of the operator's output, see
    /// [`step_rows`](no_std_infer::Interpreter::step_rows): so that a poll is short also where operators are large. The answers
    /// are the same.
    pub fn poll_rows<C, L, I, K>(&mut self, board: &mut Board<C, L, I, K>, rows: NonZeroU16) -> Event
    where
        C: Camera,
        L: Link,
        I: OutputPin,
        K: Clock,
    {
        self.turn(board, Some(rows))
    }

    fn turn<C, L, I, K>(&mut self, board: &mut Board<C, L, I, K>, rows: Option<NonZeroU16>) -> Event
    where
        C: Camera,
        L: Link,
        I: OutputPin,
        K: Clock,
    {
        let Board { name, camera, link, indicator, clock } = board;
        clock.feed();
        let Self { arena, running, updater, server, smoother, untried, .. } = self;
        let loaded = loaded(running);
        let mut device = Device { name, clock, loaded, arena, updater };
        let event = server.turn(link, camera, &mut device, rows, |interpreter| {
            let (scores, threshold) = (interpreter.scores(), interpreter.model().threshold());
            let decision = smoother.push(scores.logits(), scores.output(), threshold);
            // A board whose indicator fails still classifies.
            let _ = indicator.set_state(PinState::from(decision.sure));
            *untried = untried.saturating_sub(1);
            decision
        });
        if updater.running() == update::Running::Tentative && *untried == 0 {
            updater.keep();
        }
        if let Some(asked) = updater.asked() {
            self.carry_out(asked, &|| clock.feed());
            return event;
        }
        if let (Event::Idle | Event::Served, Some(Loaded { model, .. })) = (event, loaded)
            && !server.keeps_frame(&*clock)
        {
            // A frame that the model does not take is dropped.
            let begun = camera.frame().map(|frame| Run::begin(clock, model, arena, Source::Frame(frame)));
            if let Some(Ok(run)) = begun {
                server.classify(run);
                return Event::Working;
            }
        }
        event
    }

    /// Does what was asked for, and starts with what the slots hold then.
    #[inline(never)]
    fn carry_out(&mut self, asked: Asked, feed: &dyn Fn()) {
        let (Some(running), Some(idle)) = (self.running.take(), self.updater.close()) else { return };
        let running = running.into_backing_cart();
        // What cannot be written is as if nobody had asked: the host sees it in the answer to its next Hello.
        let _ = match asked {
            Asked::Switch => true,
            Asked::Confirm => slots::confirm(running),
            Asked::Rollback => slots::reject(running),
        };
        feed();
        self.open([running, idle.into_slot()], feed);
        self.server.lose_frame();
        if asked != Asked::Confirm {
            self.smoother.restart();
        }
    }

    /// Starts with what the slots hold.
    fn open(&mut self, slots: [&'a mut F; 2], feed: &dyn Fn()) {
        let (slot, record) = self.models.choose(slots, &mut self.updater, feed);
        self.running = Some(self.models.start(slot, record, feed));
        self.untried = TRIAL_FRAMES;
    }
}

/// The model that runs.
fn loaded<'m, F>(running: &'m Option<Running<'_, F>>) -> Option<&'m Loaded<'m>> {
    running.as_ref().and_then(|running| running.get().as_ref())
}

#[cfg(test)]
mod tests;
