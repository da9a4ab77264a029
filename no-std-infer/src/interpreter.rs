//! Runs a model in the caller's arena.

use core::fmt;
use core::num::NonZeroU16;

use crate::error::Error;
use crate::format::{ALIGN, Tensor};
use crate::kernels::{Kernel, KernelSet, Kernels, Linked, Part, Run};
use crate::model::Model;

/// A model together with its working memory.
pub struct Interpreter<'m, 'a> {
    model: Model<'m>,
    arena: &'a mut [i8],
    linked: &'static Linked,
    next: Progress,
}

/// How far steps have come: what the next one begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Progress {
    // At most one beyond the last of 65,535 operators.
    operator: usize,
    // Below the number of the operator's parts, which is 16 bits wide itself: a step that would go beyond is the last.
    part: u16,
}

impl Progress {
    /// Runs the next operator of a model, or at most so many of its rows, on what the steps before have left in the arena; `None`
    /// when all of them have run. It is [`Interpreter::step_rows`] for what keeps neither model nor arena borrowed between two
    /// steps, and has no copy of the model on the stack.
    ///
    /// # Errors
    /// [`Error::ArenaTooSmall`], [`Error::ArenaMisaligned`].
    pub fn step(
        &mut self,
        model: &Model<'_>,
        arena: &mut [i8],
        rows: Option<NonZeroU16>,
    ) -> Result<Option<Step>, Error> {
        let arena = fitting(model, arena)?;
        Ok(self.advance(model, model.linked(), arena, rows))
    }

    /// Runs the next operator or what is left of it, or at most so many of its rows.
    fn advance(
        &mut self,
        model: &Model<'_>,
        linked: &Linked,
        arena: &mut [i8],
        rows: Option<NonZeroU16>,
    ) -> Option<Step> {
        let Self { operator, part: start } = *self;
        let record = model.records().get(operator)?;
        let entry = Kernel::of(record).and_then(|kernel| linked.get(kernel))?;
        let end = rows.and_then(|rows| {
            let parts = (entry.read)(record)?.parts();
            let end = rows.get().checked_next_multiple_of(Interpreter::ROWS)?.checked_add(start)?;
            (end < parts).then_some(end)
        });
        let part = Part { start, end: end.unwrap_or(u16::MAX) };
        (entry.run)(arena, record, &Run { section: model.weights(), part });
        *self = end.map_or(Self { operator: operator + 1, part: 0 }, |part| Self { operator, part });
        Some(Step { operator, complete: end.is_none() })
    }
}

/// As much of an arena as a model needs.
fn fitting<'a>(model: &Model<'_>, arena: &'a mut [i8]) -> Result<&'a mut [i8], Error> {
    if !(arena.as_ptr() as usize).is_multiple_of(ALIGN) {
        return Err(Error::ArenaMisaligned);
    }
    let needed = Error::ArenaTooSmall { needed: model.arena_len() as u32 };
    arena.get_mut(..model.arena_len()).ok_or(needed)
}

/// What [`Interpreter::step`] has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Step {
    /// Index of the operator.
    pub operator: usize,
    /// True when it is done; false where parts of it are left.
    pub complete: bool,
}

impl<'m, 'a> Interpreter<'m, 'a> {
    /// Puts a model into an arena, whatever that holds. Runs the kernels that the model was parsed with.
    ///
    /// # Errors
    /// [`Error::ArenaTooSmall`], [`Error::ArenaMisaligned`].
    pub fn new(model: Model<'m>, arena: &'a mut [i8]) -> Result<Self, Error> {
        Self::with(model, arena, model.linked())
    }

    /// Goes on where another interpreter had come to, by its [`progress`](Self::progress): for what keeps neither the model nor
    /// the arena borrowed between two steps. The bytes are those of [`run`](Self::run) when it is the same model and the
    /// arena holds what that interpreter has left in it.
    ///
    /// # Errors
    /// [`Error::ArenaTooSmall`], [`Error::ArenaMisaligned`].
    pub fn resume(model: Model<'m>, arena: &'a mut [i8], progress: Progress) -> Result<Self, Error> {
        Ok(Self { next: progress, ..Self::new(model, arena)? })
    }

    /// Like [`new`](Self::new) with kernels of the caller's choice; all of them give the same bytes.
    ///
    /// # Errors
    /// [`Error::ArenaTooSmall`], [`Error::ArenaMisaligned`].
    #[doc(hidden)]
    pub fn with_kernels<K: Kernels>(model: Model<'m>, arena: &'a mut [i8]) -> Result<Self, Error> {
        Self::with(model, arena, const { &Linked::of::<K>(KernelSet::ALL) })
    }

    /// With kernels among which are all that the model needs.
    fn with(model: Model<'m>, arena: &'a mut [i8], linked: &'static Linked) -> Result<Self, Error> {
        let arena = fitting(&model, arena)?;
        Ok(Self { model, arena, linked, next: Progress::default() })
    }

    /// The network's input, HWC; [`preprocess`](crate::image::preprocess) makes it of a picture. A run may overwrite it.
    /// Whatever was [stepped](Self::step) through so far, the next step is the first.
    pub fn input_mut(&mut self) -> &mut [i8] {
        self.next = Progress::default();
        self.arena.get_mut(self.model.info().input.tensor.range()).unwrap_or_default()
    }

    /// Runs the network on what [`input_mut`](Self::input_mut) holds. Cannot fail.
    pub fn run(&mut self) {
        self.run_profiled(|_, _| {});
    }

    /// Runs the network and calls `hook(index, output bytes)` after each operator; [`Model::ops`] gives these in order.
    pub fn run_profiled(&mut self, mut hook: impl FnMut(usize, &[i8])) {
        let records = self.model.records();
        let run = Run { section: self.model.weights(), part: Part::ALL };
        for (index, record) in records.iter().enumerate() {
            let Some(entry) = self.linked.entry(record) else { continue };
            let output = (entry.run)(self.arena, record, &run);
            hook(index, self.arena.get(output).unwrap_or_default());
        }
        self.next = Progress { operator: records.len(), part: 0 };
    }

    /// Runs the next operator on what the steps before have left, from the first on after [`input_mut`](Self::input_mut);
    /// `None` when all of them have run. The bytes are those of [`run`](Self::run).
    pub fn step(&mut self) -> Option<Step> {
        self.advance(None)
    }

    /// The same for at most so many rows of the operator's output, rounded up to a multiple of [`ROWS`](Self::ROWS), so that a
    /// step takes a bounded time. Operators that have no rows to divide, such as fully connected layers, run whole.
    pub fn step_rows(&mut self, rows: NonZeroU16) -> Option<Step> {
        self.advance(Some(rows))
    }

    fn advance(&mut self, rows: Option<NonZeroU16>) -> Option<Step> {
        self.next.advance(&self.model, self.linked, self.arena, rows)
    }

    /// An operator's output: what it has made when the [`Step`] that completes it was taken, until another overwrites that.
    /// Nothing of an operator that the model does not have.
    #[must_use]
    pub fn output_of(&self, operator: usize) -> &[i8] {
        self.model.output_of(operator).map_or(&[], |output| tensor(self.arena, &output))
    }

    /// How far steps have come: [`resume`](Self::resume) goes on from there.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.next
    }

    /// Rows of an output that are made together: as many as the largest transformed tile has.
    pub const ROWS: u16 = 4;

    /// What the network is asked for: a classifier's scores before softmax or sigmoid, one a class;
    /// `real = scale · (q − zero_point)` of [`Info::logits`](crate::format::Info::logits).
    #[must_use]
    pub fn logits(&self) -> &[i8] {
        tensor(self.arena, &self.model.info().logits)
    }

    /// The last operator's output: for a classifier with softmax, probabilities `(q + 128) / 256`.
    #[must_use]
    pub fn output(&self) -> &[i8] {
        tensor(self.arena, &self.model.output())
    }

    /// All bytes of the arena.
    #[doc(hidden)]
    #[must_use]
    pub fn arena(&self) -> &[i8] {
        self.arena
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Model<'m> {
        &self.model
    }
}

/// Without the bytes of the arena.
impl fmt::Debug for Interpreter<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, next, .. } = self;
        f.debug_struct("Interpreter").field("model", model).field("next", next).finish_non_exhaustive()
    }
}

fn tensor<'t>(arena: &'t [i8], tensor: &Tensor) -> &'t [i8] {
    arena.get(tensor.range()).unwrap_or_default()
}
