//! From an ONNX model to operators of TensorFlow Lite, which the rest of the import knows: what PyTorch calls channels first
//! becomes channels last, and a model between QuantizeLinear and DequantizeLinear an int8 model with its own scales.

mod advice;
mod build;
mod constant;
mod elementwise;
mod file;
mod fold;
mod layers;
mod moves;
mod pools;
mod quantised;
mod translate;
mod view;

#[cfg(test)]
mod tests;

#[allow(missing_docs, clippy::all, clippy::pedantic)]
#[rustfmt::skip]
mod schema;

use super::model::{Network, Tensor};
use super::{Result, padding};
use build::Built;
use file::File;
use translate::Translation;

/// An ONNX model as operators of TensorFlow Lite.
#[derive(Clone, Debug)]
pub struct Onnx {
    built: Built,
    input: usize,
    output: usize,
}

impl Onnx {
    /// Whether a file's bytes look like an ONNX model, which begins with no mark of its own.
    #[must_use]
    pub fn recognises(bytes: &[u8]) -> bool {
        file::recognised(bytes)
    }

    /// Reads a file's bytes, operator by operator.
    ///
    /// # Errors
    /// When they are no ONNX model, are damaged, or hold an operator, a type or an option that is not supported; names the
    /// operator, its place, what it makes, and what would help.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        Self::read_output(bytes, None)
    }

    /// Reads a file of several outputs, of which the one of this name counts; what only the others need is left out.
    ///
    /// # Errors
    /// Those of [`read`](Self::read), and when no output has this name.
    pub fn read_output(bytes: &[u8], output: Option<&str>) -> Result<Self> {
        let file = File::read(bytes, output)?;
        let (built, [input, output]) = Translation::of(&file)?;
        Ok(Self { built, input, output })
    }

    /// The model with channels last, as a TensorFlow Lite file would hold it.
    #[must_use]
    pub fn network(&self) -> Network<'_> {
        let tensors = self.built.tensors.iter().map(|tensor| Tensor {
            name: &tensor.name,
            element: tensor.element,
            shape: tensor.shape.clone(),
            dynamic: false,
            variable: false,
            quantisation: tensor.quantisation.clone(),
            data: tensor.data.as_deref(),
        });
        let mut network = Network {
            tensors: tensors.collect(),
            operators: self.built.operators.clone(),
            input: self.input,
            output: self.output,
            changes: self.built.changes.clone(),
        };
        padding::join(&mut network);
        network
    }
}
