//! The camera application: classifies frames, shows what it is sure of, and serves a host meanwhile.

use embedded_hal::digital::{OutputPin, PinState};
use no_std_infer::image::Frame;
use no_std_infer::kernels::Linked;
use no_std_infer::{Interpreter, Model};

use crate::board::{Board, Camera, Clock, Link, MappedFlash};
use crate::inference::load_frame;
use crate::serve::{Device, Loaded, Server};
use crate::signature::Trust;
use crate::slots;
use crate::smooth::{Decision, Smoother};
use crate::update::Updater;

/// What the application made of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Report {
    /// The class, smoothed over time, and whether it reaches the model's threshold.
    pub decision: Decision,
    /// From taking the frame to the decision, in [`Clock::UNIT`]s.
    pub latency: u64,
}

/// What the application works with.
pub struct Application<'a, T> {
    /// The blob that is built in; runs where no slot holds one.
    pub factory: Option<&'a [u8]>,
    /// The kernels on which models run: a model that needs another is refused. [`Linked::ALL`] where any model may come.
    pub linked: &'static Linked,
    /// The arena; limits which models can run. Its first byte lies at a multiple of 16.
    pub arena: &'a mut [i8],
    /// An average a class: as many as a model has that is to be smoothed.
    pub averages: &'a mut [u16],
    /// How slowly averages move, see [`Smoother`].
    pub smoothing: u8,
    /// Answers the host.
    pub server: Server<'a>,
    /// Whose updates are taken.
    pub trust: T,
}

impl<T: Trust> Application<'_, T> {
    /// Runs for ever. `report` shows a person what was found; it is called after each frame.
    pub fn run<C, L, I, F, K>(
        mut self,
        board: &mut Board<C, L, I, F, K>,
        mut report: impl FnMut(&Report, &Model<'_>),
    ) -> !
    where
        C: Camera,
        L: Link,
        I: OutputPin,
        F: MappedFlash,
        K: Clock,
    {
        loop {
            self.session(board, &mut report, core::iter::repeat(()));
        }
    }

    /// Runs one model until another one takes its place, or for so many turns.
    fn session<C, L, I, F, K>(
        &mut self,
        board: &mut Board<C, L, I, F, K>,
        report: &mut impl FnMut(&Report, &Model<'_>),
        turns: impl Iterator<Item = ()>,
    ) where
        C: Camera,
        L: Link,
        I: OutputPin,
        F: MappedFlash,
        K: Clock,
    {
        let Board { name, camera, link, indicator, slots, clock } = board;
        let Self { factory, linked, arena, averages, smoothing, server, trust } = self;
        let (blob, idle) = slots::open(slots, |blob| load(blob, linked, arena.len()).is_some());
        let loaded = blob.or(*factory).and_then(|blob| load(blob, linked, arena.len()));
        let mut updater = Updater::new(idle, trust, linked);
        let mut smoother = Smoother::new(averages, *smoothing);
        for () in turns {
            let mut device = Device { name, clock, loaded: loaded.as_ref(), arena, updater: &mut updater };
            let served = server.poll(link, &mut device);
            if updater.switched() {
                return;
            }
            let frame = camera.frame();
            let found = loaded.as_ref().zip(frame).and_then(|(Loaded { model, .. }, frame)| {
                let found = classify(&frame, model, arena, &mut smoother, clock);
                found.map(|found| (found, model))
            });
            match found {
                Some((found, model)) => {
                    // A board whose indicator fails still classifies.
                    let _ = indicator.set_state(PinState::from(found.decision.sure));
                    report(&found, model);
                }
                None if !served => clock.idle(),
                None => {}
            }
        }
    }
}

/// `None` when the blob cannot be run on these kernels in so long an arena.
fn load<'m>(blob: &'m [u8], linked: &'static Linked, arena_len: usize) -> Option<Loaded<'m>> {
    Loaded::parse(blob, linked).ok().filter(|loaded| loaded.model.arena_len() <= arena_len)
}

/// `None` when the model takes no pictures, or not this one.
fn classify(
    frame: &Frame<'_>,
    model: &Model<'_>,
    arena: &mut [i8],
    smoother: &mut Smoother<'_>,
    clock: &impl Clock,
) -> Option<Report> {
    let start = clock.now();
    let mut interpreter = Interpreter::new(*model, arena).ok()?;
    load_frame(model, frame, interpreter.input_mut()).ok()?;
    interpreter.run();
    let threshold = model.calibration().map_or(0, |calibration| calibration.threshold);
    let decision = smoother.push(interpreter.output(), threshold);
    Some(Report { decision, latency: clock.now().saturating_sub(start) })
}

#[cfg(test)]
mod tests;
