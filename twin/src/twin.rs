//! One model, as a device runs it.

use alloc::vec;
use core::fmt::{Debug, Display, Formatter, Write};

use heapless::{String, Vec};
use host_kernels::Prepared;
use no_std_device::{Average, Smoother, load_frame};
use no_std_infer::golden::{SelfTest, SelfTestError};
use no_std_infer::image::{Frame, PixelFormat};
use no_std_infer::{Decision, Interpreter, Model, Scores, Step};

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

struct Loaded<'a> {
    model: Model<'a>,
    prepared: Prepared<'a>,
    /// Of the model's length.
    arena: &'a mut [i8],
    scratch: vec::Vec<u8>,
    /// The operator that runs next.
    next: usize,
}

impl Debug for Loaded<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Loaded").field("model", &self.model).field("next", &self.next).finish_non_exhaustive()
    }
}

impl Loaded<'_> {
    /// Those of the last run.
    fn scores(&self) -> Scores<'_> {
        let tensor = |range| self.arena.get(range).unwrap_or_default();
        self.model.scores(tensor(self.model.info().logits.range()), tensor(self.model.output().range()))
    }

    /// Runs the next operator.
    fn step(&mut self) -> Option<usize> {
        let operator = self.next;
        if operator == self.prepared.operators() {
            return None;
        }
        self.prepared.step(operator, self.arena, &mut self.scratch);
        self.next += 1;
        Some(operator)
    }

    fn self_test(&mut self) -> Result<(), SelfTestError> {
        let mut interpreter = Interpreter::new(self.model, self.arena).map_err(SelfTestError::Arena)?;
        let mut test = SelfTest::begin(&mut interpreter)?;
        self.next = 0;
        while let Some(operator) = self.step() {
            let interpreter = Interpreter::new(self.model, self.arena).map_err(SelfTestError::Arena)?;
            test.check(&interpreter, Step { operator, complete: true });
        }
        test.outcome(&Interpreter::new(self.model, self.arena).map_err(SelfTestError::Arena)?)
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
        let needed = model.arena_len();
        let Some(arena) = arena.get_mut(..needed) else {
            return self.fail(no_std_infer::Error::ArenaTooSmall { needed: needed as u32 });
        };
        let prepared = Prepared::new(&model);
        let scratch = vec![0; prepared.scratch_len()];
        self.loaded = Some(Loaded { model, prepared, arena, scratch, next: 0 });
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
        let Some(loaded) = &mut self.loaded else { return self.fail("no model is loaded") };
        let result = loaded.self_test();
        result.map_or_else(|error| self.fail(error), |()| true)
    }

    /// The network's input, HWC, which the page writes to itself or [`frame`](Self::frame) makes of a picture; the next
    /// [`step`](Self::step) is the first. Empty without a model.
    pub fn input_mut(&mut self) -> &mut [i8] {
        let Some(Loaded { model, arena, next, .. }) = &mut self.loaded else { return &mut [] };
        *next = 0;
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
        self.loaded.as_mut()?.step()
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
