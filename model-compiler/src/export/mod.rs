//! From a blob to what other engines and languages read: the opposite direction of [`import`](crate::import).
//!
//! A [`tflite`] file gives the blob's bytes in LiteRT's reference kernels; a [`c_header`] holds the blob itself.

mod error;
mod functions;
mod header;
mod layers;
mod shapes;
#[cfg(test)]
mod tests;
pub mod writer;

use no_std_infer::Model;
use no_std_infer::format::{Activation, Conv2d, Op, Pool2d, Tensor};

use crate::import::lower::fused;
use crate::import::tflite::tflite::{ActivationFunctionType, BuiltinOperator, BuiltinOptions};
use crate::quantise::Quantisation;
use writer::Writer;

pub use error::Error;
pub use header::c_header;

type Result<T, E = Error> = std::result::Result<T, E>;

/// A TensorFlow Lite file.
#[derive(Clone, Debug)]
pub struct Exported {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What is otherwise in it than in the blob, a sentence each.
    pub notes: Vec<String>,
}

/// Writes a model as a TensorFlow Lite file, whose input and output are the blob's int8 bytes. What LiteRT computes with follows
/// from scales, so it is checked of each operator that those which are written give the blob's multipliers.
///
/// # Errors
/// Names the first operator that has no form there, and says what to do.
pub fn tflite(model: &Model<'_>) -> Result<Exported> {
    let scale = model.info().input.tensor.scale;
    match Exporter::export(model, scale) {
        // The scale of an input that is no picture is written over the one that the first layers' multipliers hold.
        Err(error) if scale != Quantisation::INPUT.scale => {
            let mut exported = Exporter::export(model, Quantisation::INPUT.scale).map_err(|_| error)?;
            exported.notes.push(format!(
                "input: its scale is 1 in the file, not {scale}, for no scales of weights give the same bytes with that: divide \
                 by {scale} before"
            ));
            Ok(exported)
        }
        exported => exported,
    }
}

/// A tensor in the arena, and in the file.
#[derive(Clone, Debug)]
struct Value {
    /// Where the blob has it.
    place: Tensor,
    /// Its index in the file.
    index: i32,
    /// Its sides in the file.
    shape: Vec<i32>,
    /// Its quantisation in the file.
    quantisation: Quantisation,
}

/// What has been written so far.
struct Exporter<'m> {
    writer: Writer,
    /// In the order in which they are made.
    values: Vec<Value>,
    /// The blob's weights section.
    section: &'m [u8],
    notes: Vec<String>,
}

impl<'m> Exporter<'m> {
    fn export(model: &Model<'m>, input_scale: f32) -> Result<Exported> {
        let info = model.info();
        let section = model.weights();
        let mut exporter = Self { writer: Writer::default(), values: Vec::new(), section, notes: Vec::new() };
        exporter.writer.description = Some(info.name.to_owned());
        let input = info.input.tensor;
        let quantisation = Quantisation { scale: input_scale, zero_point: input.zero_point };
        exporter.make("input", input, four_sides(&input), quantisation);
        for (index, op) in model.ops().enumerate() {
            let name = format!("{} {index}", op.name());
            exporter.add(&op, &name).map_err(|error| error.of_operator(index, op.name()))?;
        }
        let output = exporter.values.last().map_or(0, |value| value.index);
        exporter.share_codes();
        Ok(Exported { bytes: exporter.writer.finish(0, output), notes: exporter.notes })
    }

    fn add(&mut self, op: &Op, name: &str) -> Result<()> {
        match op {
            Op::Conv2d(op) => self.add_windowed((&op.window, &op.input, &op.output), name, |exporter, output| {
                exporter.add_conv2d(&Conv2d { output, ..*op }, name)
            }),
            Op::DepthwiseConv2d(op) => {
                self.add_windowed((&op.window, &op.input, &op.output), name, |exporter, output| {
                    exporter.add_depthwise(&Conv2d { output, ..*op }, name)
                })
            }
            Op::Dense(op) => self.add_dense(op, name),
            Op::MaxPool2d(op) => self.add_windowed((&op.window, &op.input, &op.output), name, |exporter, output| {
                exporter.add_pool(&Pool2d { output, ..*op }, BuiltinOperator::MaxPool2d, name)
            }),
            Op::AveragePool2d(op) => {
                self.add_windowed((&op.window, &op.input, &op.output), name, |exporter, output| {
                    exporter.add_pool(&Pool2d { output, ..*op }, BuiltinOperator::AveragePool2d, name)
                })
            }
            Op::Add(op) => self.add_sum(op, name),
            Op::Mul(op) => self.add_product(op, name),
            Op::Clamp(op) => self.add_clamp(op, name),
            Op::Lookup(op) => self.add_lookup(op, name),
            Op::Softmax(op) => self.add_softmax(op, name),
            Op::Reshape(op) => self.add_reshape(op, name),
            Op::Mean(op) => self.add_mean(op, name),
            Op::ReduceMax(op) => self.add_reduce_max(op, name),
            Op::Pad(op) => self.add_pad(op, name),
            Op::Concat(op) => self.add_concat(op, name),
            Op::Constant(op) => self.add_constant(op, name),
        }
    }

    /// Adds a tensor that the next operator makes; gives its index.
    fn make(&mut self, name: &str, place: Tensor, shape: Vec<i32>, quantisation: Quantisation) -> i32 {
        let index = self.writer.int8(name, &shape, quantisation.scale, quantisation.zero_point.into());
        self.values.push(Value { place, index, shape, quantisation });
        index
    }

    /// Adds an operator that makes a tensor of our operator's quantisation.
    fn push(
        &mut self,
        (name, place, shape): (&str, &Tensor, Vec<i32>),
        code: BuiltinOperator,
        inputs: &[i32],
        options: Option<BuiltinOptions>,
    ) {
        let output = self.make(name, *place, shape, quantisation(place));
        self.writer.op(code, inputs, output, options);
    }

    /// What lies where an operator reads a tensor: it must be one tensor that was made as a whole.
    fn find(&self, tensor: &Tensor) -> Result<Value> {
        let last = self.values.iter().rev().find(|value| value.place.overlaps(tensor));
        last.filter(|value| value.place == *tensor).cloned().ok_or(Error::Rows)
    }

    /// The same as batch, height, width and channels, for operators that look at sides.
    fn find_with_four_sides(&mut self, tensor: &Tensor) -> Result<Value> {
        let found = self.find(tensor)?;
        if found.shape.len() == 4 {
            return Ok(found);
        }
        let shape = four_sides(tensor);
        Ok(self.reshaped(&found, shape, found.quantisation))
    }

    /// Adds a RESHAPE, whose output takes the place of what it reads.
    fn reshaped(&mut self, from: &Value, shape: Vec<i32>, quantisation: Quantisation) -> Value {
        let name = format!("tensor {}, reshaped", from.index);
        let sides = self.integers(&format!("{name}: shape"), &shape);
        let index = self.make(&name, from.place, shape, quantisation);
        self.writer.op(BuiltinOperator::Reshape, &[from.index, sides], index, None);
        self.values[self.values.len() - 1].clone()
    }

    /// Adds a constant vector.
    fn integers(&mut self, name: &str, values: &[i32]) -> i32 {
        self.writer.integers(name, &[values.len() as i32], values)
    }

    /// Joins the codes of operators of one kind.
    fn share_codes(&mut self) {
        let mut codes = Vec::new();
        for operator in &mut self.writer.operators {
            let code = &self.writer.codes[operator.opcode_index as usize];
            let known = codes.iter().position(|known| known == code);
            operator.opcode_index = known.unwrap_or_else(|| {
                codes.push(code.clone());
                codes.len() - 1
            }) as u32;
        }
        self.writer.codes = codes;
    }
}

/// Batch, height, width and channels.
fn four_sides(tensor: &Tensor) -> Vec<i32> {
    vec![1, tensor.height.into(), tensor.width.into(), tensor.channels as i32]
}

fn quantisation(tensor: &Tensor) -> Quantisation {
    Quantisation { scale: tensor.scale, zero_point: tensor.zero_point }
}

/// The function that LiteRT turns into this clamp when it is fused into an operator with this output.
fn function(clamp: Activation, output: &Tensor) -> Result<ActivationFunctionType> {
    use ActivationFunctionType as Function;
    let functions = [Function::None, Function::Relu, Function::Relu6, Function::ReluN1To1];
    let gives = |function: &Function| fused(*function, quantisation(output)).is_ok_and(|given| given == clamp);
    functions.into_iter().find(gives).ok_or(Error::Clamp(clamp))
}
