//! One model, as a device runs it.

use core::fmt::{Display, Write};

use heapless::{String, Vec};
use no_std_device::{Average, Smoother, load_frame};
use no_std_infer::image::{Frame, PixelFormat};
use no_std_infer::{Decision, Model, Progress, Scores, golden};

/// Most classes whose decisions are averaged over time; a model with more is not smoothed.
pub const CLASSES: usize = 1024;
/// How much decisions are averaged: as in the firmware of the boards with a camera.
const SMOOTHING: u8 = 2;
/// Longest message in bytes; what is longer is cut off.
const MESSAGE: usize = 192;

/// What a device has in memory: a model, its arena and the averages of its decisions.
#[derive(Debug)]
pub struct Twin<'a> {
    loaded: Option<Loaded<'a>>,
    smoother: Smoother<'a>,
    message: String<MESSAGE>,
}

#[derive(Debug)]
struct Loaded<'a> {
    model: Model<'a>,
    arena: &'a mut [i8],
    progress: Progress,
}

impl Loaded<'_> {
    /// Those of the last run.
    fn scores(&self) -> Scores<'_> {
        let tensor = |range| self.arena.get(range).unwrap_or_default();
        self.model.scores(tensor(self.model.info().logits.range()), tensor(self.model.output().range()))
    }
}

impl<'a> Twin<'a> {
    /// Without a model yet.
    pub fn new(averages: &'a mut Vec<Average, CLASSES>) -> Self {
        Self { loaded: None, smoother: Smoother::new(averages, SMOOTHING), message: String::new() }
    }

    /// Takes a blob and an arena, each 16-byte aligned, in place of what was loaded before. False when the blob is refused or the
    /// arena too short: [`message`](Self::message) says why, and nothing is loaded then.
    pub fn load(&mut self, blob: &'a [u8], arena: &'a mut [i8]) -> bool {
        self.smoother.restart();
        self.loaded = None;
        let model = match Model::parse(blob) {
            Ok(model) => model,
            Err(error) => return self.fail(error),
        };
        if arena.len() < model.arena_len() {
            return self.fail(no_std_infer::Error::ArenaTooSmall { needed: model.arena_len() as u32 });
        }
        self.loaded = Some(Loaded { model, arena, progress: Progress::default() });
        true
    }

    /// Why the last call that could fail has failed, for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Runs the blob's golden vector, and overwrites the arena. False where an operator's output differs from the host's, or there
    /// is no vector: [`message`](Self::message) says which.
    pub fn self_test(&mut self) -> bool {
        let Some(Loaded { model, arena, .. }) = &mut self.loaded else { return self.fail("no model is loaded") };
        let result = golden::self_test(model, arena);
        result.map_or_else(|error| self.fail(error), |()| true)
    }

    /// The network's input, HWC, which the page writes to itself or [`frame`](Self::frame) makes of a picture; the next
    /// [`step`](Self::step) is the first. Empty without a model.
    pub fn input_mut(&mut self) -> &mut [i8] {
        let Some(Loaded { model, arena, progress }) = &mut self.loaded else { return &mut [] };
        *progress = Progress::default();
        arena.get_mut(model.info().input.tensor.range()).unwrap_or_default()
    }

    /// Crops and resizes a picture of three bytes a pixel, rows from the top, into the input. False when it is no picture of this
    /// size, or the model reads none: [`message`](Self::message) says which.
    pub fn frame(&mut self, rgb: &[u8], width: u32, height: u32) -> bool {
        let frame = match Frame::new(PixelFormat::Rgb888, width, height, rgb) {
            Ok(frame) => frame,
            Err(error) => return self.fail(error),
        };
        let Some(Loaded { model, .. }) = &self.loaded else { return self.fail("no model is loaded") };
        let model = *model;
        match load_frame(&model, &frame, self.input_mut()) {
            Ok(()) => true,
            Err(_) => self.fail("the model does not read pictures"),
        }
    }

    /// Runs the next operator; gives its index, from 0, and `None` when all have run. Its output lies in the arena then, where the
    /// blob says, until another overwrites it.
    pub fn step(&mut self) -> Option<usize> {
        let Loaded { model, arena, progress } = self.loaded.as_mut()?;
        let step = progress.step(model, arena, None).ok()??;
        Some(step.operator)
    }

    /// What the scores of the last run say, averaged with those of the runs before since [`restart`](Self::restart), as a device
    /// decides; `None` without a model.
    pub fn decide(&mut self) -> Option<Decision> {
        let loaded = self.loaded.as_ref()?;
        let scores = loaded.scores();
        Some(self.smoother.push(scores.logits(), scores.output(), loaded.model.threshold()))
    }

    /// What the last operator of the last run gives for a class, in 256ths: its probability where the model ends in a softmax or a
    /// sigmoid. 0 for a class that there is not.
    #[must_use]
    pub fn probability(&self, class: usize) -> u8 {
        let scores = self.loaded.as_ref().map(Loaded::scores);
        scores.and_then(|scores| scores.output().get(class).copied()).map_or(0, |q| q as u8 ^ 0x80)
    }

    /// Forgets what was averaged: the next picture shows something else.
    pub fn restart(&mut self) {
        self.smoother.restart();
    }

    fn fail(&mut self, why: impl Display) -> bool {
        self.message.clear();
        // What does not fit is cut off.
        let _ = write!(self.message, "{why}");
        false
    }
}
