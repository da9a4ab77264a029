//! What is executed one after the other: operators on whole tensors, or on some of their rows.

use std::ops::Range;

use no_std_infer::format::{Op, Tensor};

use crate::quantise::QuantModel;

/// An operator on whole tensors, or on some of their rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The operator; its tensors' offsets are their indices.
    pub op: Op,
    /// Where each tensor begins in its buffer, in bytes: the inputs, then the output.
    pub starts: [u32; 3],
    /// The model's operator that it is or is a stripe of; `None` where it only moves rows.
    pub layer: Option<usize>,
}

impl Step {
    /// The tensors that the operator reads, each with its place in its buffer.
    pub fn inputs(&self) -> impl Iterator<Item = (&Tensor, u32)> {
        self.op.inputs().zip(self.starts)
    }

    /// The same of the tensor that it makes.
    #[must_use]
    pub fn output(&self) -> (&Tensor, u32) {
        (self.op.output(), self.starts[self.op.inputs().count()])
    }
}

/// A model's operators, whole or in stripes, in execution order.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// What is executed.
    pub steps: Vec<Step>,
    /// Bytes of each tensor's buffer: the input's, then that of each operator's output.
    pub buffers: Vec<usize>,
    /// Index of the logits.
    pub logits: usize,
}

impl Program {
    /// A model whose operators run whole.
    #[must_use]
    pub fn whole(model: &QuantModel) -> Self {
        let mut program = Self::empty(model);
        program.add_whole(model, 0..model.ops.len());
        program
    }

    /// A model's buffers, and no step yet.
    pub(crate) fn empty(model: &QuantModel) -> Self {
        let tensors = [model.input].into_iter().chain(model.ops.iter().map(|op| *op.output()));
        let buffers = tensors.map(|tensor| tensor.len()).collect();
        Self { steps: Vec::new(), buffers, logits: model.logits.offset as usize }
    }

    /// Adds some of the model's operators on whole tensors.
    pub(crate) fn add_whole(&mut self, model: &QuantModel, layers: Range<usize>) {
        let step = |layer: usize| Step { op: model.ops[layer], starts: [0; 3], layer: Some(layer) };
        self.steps.extend(layers.map(step));
    }
}
