//! One picture through the network, step by step, with the cost of each operator.

use core::num::NonZeroU16;

use crate::link::{Failure, Picture};
use no_std_infer::image::{Frame, preprocess};
use no_std_infer::{Interpreter, Model, Progress, Step};

use crate::board::Clock;

/// What one inference cost in [`Clock::UNIT`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Costs {
    // As the clock counts, in 64 bits: 584 years at 1 GHz.
    /// From the camera's frame to the input; 0 when the input came as it is.
    pub preprocessing: u64,
    /// The network.
    pub network: u64,
}

/// Runs the model on a picture, feeds the watchdog and calls `layer(index, cost)` after each operator.
///
/// # Errors
/// [`Failure::InputLength`], [`Failure::Picture`], [`Failure::NoPictures`]; [`Failure::Model`] when the arena does not fit.
pub fn infer<'m, 'a>(
    clock: &impl Clock,
    model: &'m Model<'m>,
    arena: &'a mut [i8],
    picture: Picture<'_>,
    mut layer: impl FnMut(usize, u32),
) -> Result<(Interpreter<'m, 'a>, Costs), Failure> {
    let mut run = Run::begin(clock, model, arena, Source::of(picture)?)?;
    while let Some((next, step, cost)) = run.step(clock, model, arena, None) {
        layer(step.operator, cost);
        run = next;
    }
    Ok((run.interpreter(model, arena)?, run.costs))
}

/// An inference under way: what is kept of it from one step to the next, besides the arena. All of it is done with the same
/// model and arena, which nothing else writes to in between.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Run {
    progress: Progress,
    /// When it began.
    pub(crate) start: u64,
    /// What the operator that is not complete has cost so far.
    // As it crosses the link, in 32 bits, and saturates: firmware's models run for a minute at most, which is 2^32 units at 71 MHz.
    begun: u32,
    pub(crate) costs: Costs,
}

impl Run {
    /// Puts the input into the arena.
    ///
    /// # Errors
    /// Those of [`infer`].
    pub(crate) fn begin(
        clock: &impl Clock,
        model: &Model<'_>,
        arena: &mut [i8],
        source: Source<'_>,
    ) -> Result<Self, Failure> {
        let mut run = Self { start: clock.now(), ..Self::default() };
        let mut interpreter = run.interpreter(model, arena)?;
        let input = interpreter.input_mut();
        match source {
            Source::Input(bytes) if bytes.len() == input.len() => {
                input.iter_mut().zip(bytes).for_each(|(slot, &byte)| *slot = byte as i8);
            }
            Source::Input(bytes) => {
                return Err(Failure::InputLength { expected: input.len() as u32, found: bytes.len() as u32 });
            }
            Source::Frame(frame) => {
                load_frame(model, &frame, input)?;
                run.costs.preprocessing = clock.now().saturating_sub(run.start);
            }
        }
        Ok(run)
    }

    /// Runs the next operator, or at most so many of its rows, and feeds the watchdog; gives what the operator has cost so far,
    /// too. `None` when all of them have run before.
    // By value: firmware without a camera or flash is then seen to need less code.
    pub(crate) fn step(
        self,
        clock: &impl Clock,
        model: &Model<'_>,
        arena: &mut [i8],
        rows: Option<NonZeroU16>,
    ) -> Option<(Self, Step, u32)> {
        let mut progress = self.progress;
        let start = clock.now();
        let step = progress.step(model, arena, rows).ok()??;
        let cost = clock.now().saturating_sub(start);
        clock.feed();
        let network = self.costs.network.saturating_add(cost);
        let cost = self.begun.saturating_add(u32::try_from(cost).unwrap_or(u32::MAX));
        let begun = if step.complete { 0 } else { cost };
        let costs = Costs { network, ..self.costs };
        Some((Self { progress, begun, costs, ..self }, step, cost))
    }

    /// The network as the last step has left it.
    ///
    /// # Errors
    /// [`Failure::Model`] when the arena does not fit.
    pub(crate) fn interpreter<'m, 'a>(
        &self,
        model: &Model<'m>,
        arena: &'a mut [i8],
    ) -> Result<Interpreter<'m, 'a>, Failure> {
        Interpreter::resume(*model, arena, self.progress).map_err(|_| Failure::Model)
    }
}

/// What the network's input is made of.
pub(crate) enum Source<'a> {
    /// The input as it is.
    Input(&'a [u8]),
    Frame(Frame<'a>),
}

impl<'a> Source<'a> {
    /// # Errors
    /// [`Failure::Picture`].
    pub(crate) fn of(picture: Picture<'a>) -> Result<Self, Failure> {
        match picture {
            Picture::Input(bytes) => Ok(Self::Input(bytes)),
            Picture::Frame { format, width, height, bytes } => {
                let frame = Frame::new(format, width.into(), height.into(), bytes).map_err(|_| Failure::Picture)?;
                Ok(Self::Frame(frame))
            }
        }
    }
}

/// Crops and resizes a camera's frame into the network's input.
///
/// # Errors
/// [`Failure::Picture`], [`Failure::NoPictures`].
pub fn load_frame(model: &Model<'_>, frame: &Frame<'_>, input: &mut [i8]) -> Result<(), Failure> {
    let want = &model.info().input;
    let (tensor, image) = (&want.tensor, want.kind.image().ok_or(Failure::NoPictures)?);
    preprocess(frame, image.fit, input, tensor.width, tensor.height, image.color).map_err(|_| Failure::Picture)
}
