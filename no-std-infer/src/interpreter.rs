//! Runs a model in the caller's arena.

use core::marker::PhantomData;

use crate::error::Error;
use crate::format::{ALIGN, Op, Tensor};
use crate::kernels::{Kernels, Native};
use crate::model::Model;
use crate::ops::{AddLayer, ConvLayer, DenseLayer};

/// A model together with its working memory. `K` chooses the kernels; every set gives the same bytes.
pub struct Interpreter<'m, 'a, K = Native> {
    model: &'m Model<'m>,
    arena: &'a mut [i8],
    kernels: PhantomData<K>,
}

impl<'m, 'a> Interpreter<'m, 'a> {
    /// Puts a model into an arena and zeroes the arena. Uses the target's fastest kernels.
    ///
    /// # Errors
    /// [`Error::ArenaTooSmall`], [`Error::ArenaMisaligned`].
    pub fn new(model: &'m Model<'m>, arena: &'a mut [i8]) -> Result<Self, Error> {
        Self::with_kernels(model, arena)
    }
}

impl<'m, 'a, K: Kernels> Interpreter<'m, 'a, K> {
    /// Like [`new`](Interpreter::new) with kernels of the caller's choice.
    ///
    /// # Errors
    /// [`Error::ArenaTooSmall`], [`Error::ArenaMisaligned`].
    pub fn with_kernels(model: &'m Model<'m>, arena: &'a mut [i8]) -> Result<Self, Error> {
        if !(arena.as_ptr() as usize).is_multiple_of(ALIGN) {
            return Err(Error::ArenaMisaligned);
        }
        let needed = Error::ArenaTooSmall { needed: model.arena_len() as u32 };
        let arena = arena.get_mut(..model.arena_len()).ok_or(needed)?;
        arena.fill(0);
        Ok(Self { model, arena, kernels: PhantomData })
    }

    /// The network's input, HWC; [`preprocess`](crate::image::preprocess) makes it of a picture. A run may overwrite it.
    pub fn input_mut(&mut self) -> &mut [i8] {
        self.arena.get_mut(self.model.info().input.tensor.range()).unwrap_or_default()
    }

    /// Runs the network on what [`input_mut`](Self::input_mut) holds. Cannot fail.
    pub fn run(&mut self) {
        self.run_profiled(|_, _, _| {});
    }

    /// Runs the network and calls `hook(index, operator, output bytes)` after each operator.
    pub fn run_profiled(&mut self, mut hook: impl FnMut(usize, &Op, &[i8])) {
        for (index, record) in self.model.records().iter().enumerate() {
            // Not moved: that would be a copy for each operator.
            let read = Op::from_record(record);
            let Some(op) = &read else { continue };
            execute::<K>(self.arena, op, self.model.weights());
            hook(index, op, tensor(self.arena, op.output()));
        }
    }

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

    /// Index of the largest logit, the first of equals: a classifier's class. Logits of several rows and columns count
    /// in HWC order.
    #[must_use]
    pub fn class(&self) -> usize {
        argmax(self.logits())
    }

    /// The class, or `None` where its probability is below the threshold of the blob's
    /// [`Calibration`](crate::format::Calibration): the model rather does not answer. Without one it always answers.
    #[must_use]
    pub fn decision(&self) -> Option<usize> {
        let class = self.class();
        let Some(calibration) = self.model.calibration() else { return Some(class) };
        let probability = self.output().get(class).map_or(0, |&q| q as u8 ^ 0x80);
        (probability >= calibration.threshold).then_some(class)
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &'m Model<'m> {
        self.model
    }
}

/// Index of the largest value, the first of equals; 0 when there is none.
#[must_use]
pub fn argmax(values: &[i8]) -> usize {
    let mut best = (0, i8::MIN);
    for (index, &value) in values.iter().enumerate() {
        if value > best.1 {
            best = (index, value);
        }
    }
    best.0
}

fn tensor<'t>(arena: &'t [i8], tensor: &Tensor) -> &'t [i8] {
    arena.get(tensor.range()).unwrap_or_default()
}

fn execute<K: Kernels>(arena: &mut [i8], op: &Op, weights: &[u8]) {
    let rows = 0..usize::from(op.output().height);
    match op {
        Op::Conv2d(op) => {
            if let Some(layer) = ConvLayer::conv2d(op, weights) {
                K::conv2d(arena, &layer, rows);
            }
        }
        Op::DepthwiseConv2d(op) => {
            if let Some(layer) = ConvLayer::depthwise(op, weights) {
                K::depthwise_conv2d(arena, &layer, rows);
            }
        }
        Op::Dense(op) => {
            if let Some(layer) = DenseLayer::new(op, weights) {
                K::dense(arena, &layer);
            }
        }
        Op::MaxPool2d(op) => K::max_pool2d(arena, op, rows),
        Op::AveragePool2d(op) => K::average_pool2d(arena, op, rows),
        Op::Add(op) => {
            if let Some(layer) = AddLayer::new(op, weights) {
                K::add(arena, &layer, rows);
            }
        }
        Op::Clamp(op) => K::clamp(arena, op, rows),
        Op::Lookup(op) => {
            let start = op.table as usize;
            if let Some(table) = weights.get(start..).and_then(|rest| rest.first_chunk()) {
                K::lookup(arena, op, table, rows);
            }
        }
        Op::Softmax(op) => K::softmax(arena, op, rows),
        Op::Reshape(op) => K::reshape(arena, op),
        Op::Mul(op) => K::mul(arena, op, rows),
        Op::Mean(op) => K::mean(arena, op, rows),
        Op::Pad(op) => K::pad(arena, op, rows),
        Op::Concat(op) => K::concat(arena, op, rows),
        Op::Constant(op) => {
            let start = op.values as usize;
            if let Some(values) = weights.get(start..).and_then(|rest| rest.get(..op.output.len())) {
                K::constant(arena, op, values);
            }
        }
    }
}
