//! From a TensorFlow Lite model to a model that [`emit`](mod@crate::blob::emit) writes.
//!
//! Int8 models keep every byte that LiteRT's reference kernels give.

#[macro_use]
mod error;
mod advice;
mod bounds;
pub mod dilation;
mod ends;
pub mod float;
pub mod float16;
pub mod kind;
pub mod lower;
pub mod model;
pub mod onnx;
pub mod padding;
mod tables;

#[allow(missing_docs, unsafe_code, unused_qualifications, clippy::all, clippy::undocumented_unsafe_blocks)]
#[rustfmt::skip]
pub mod tflite;

pub use error::{Error, Kind};

use lower::{Lowered, lower};
use model::{BuiltinOperator, Network, Operator, Tensor, TensorType, type_name};

type Result<T, E = Error> = std::result::Result<T, E>;

/// Reads a file's bytes; dilated and padded convolutions come as one operator, however they were written, and weights of
/// half precision are read by the operators themselves. A last operator whose outputs are no numbers of the network is left out.
///
/// # Errors
/// Those of [`Network::read`].
pub fn read(bytes: &[u8]) -> Result<Network<'_>> {
    read_output(bytes, None)
}

/// The same of a file of several outputs, of which the caller names one.
///
/// # Errors
/// Those of [`Network::read`].
pub fn read_output<'a>(bytes: &'a [u8], output: Option<&str>) -> Result<Network<'a>> {
    let mut network = Network::read(bytes, output)?;
    ends::leave_out(&mut network);
    float16::join(&mut network);
    dilation::join(&mut network);
    padding::join(&mut network);
    network.changes.extend(wrong_sides(&network));
    Ok(network)
}

/// A note on tensors whose scales belong to a side that they do not have, or that has another length. It changes nothing here.
fn wrong_sides(network: &Network<'_>) -> Option<String> {
    let wrong = |tensor: &&Tensor<'_>| {
        let (scales, side) = (tensor.quantisation.scales.len(), tensor.shape.get(tensor.quantisation.axis));
        scales > 0 && !tensor.shape.is_empty() && side.is_none_or(|&side| scales > 1 && scales != side)
    };
    let mut names = network.tensors.iter().filter(wrong).map(|tensor| tensor.name);
    let (first, others) = (names.next()?, names.count());
    let others = if others == 0 { String::new() } else { format!(" (and {others} more tensors)") };
    Some(format!(
        "{first}{others}: its quantized_dimension is no side with as many elements as it has scales, so that LiteRT refuses the file; \
         TensorFlow Lite Micro runs it, and so does this blob"
    ))
}

/// What is said about a float model without images to calibrate on.
pub const NEEDS_CALIBRATION: &str =
    "it computes in floats: give it typical images to calibrate on (--calibrate FOLDER) and it is quantised here";

/// What a network computes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// Activations and weights are int8.
    Int8,
    /// Activations and weights are floats.
    Float,
}

/// Finds out what a network computes with.
///
/// # Errors
/// When it is neither int8 nor float throughout; says how to export it.
pub fn arithmetic(network: &Network<'_>) -> Result<Arithmetic> {
    let computing = lower::live(network).into_iter();
    let computing = computing.filter(|op| !matches!(op.code, BuiltinOperator::Quantize | BuiltinOperator::Dequantize));
    let mut arithmetic = None;
    for op in computing {
        advice::check_supported(op).map_err(|error| error.of_operator(network, op))?;
        check_stateless(network, op).map_err(|error| error.of_operator(network, op))?;
        let Some(output) = op.outputs.first().map(|&tensor| &network.tensors[tensor]) else { continue };
        let weights = op.inputs.get(1).copied().flatten().map(|tensor| &network.tensors[tensor]);
        let layer = matches!(
            op.code,
            BuiltinOperator::Conv2d | BuiltinOperator::DepthwiseConv2d | BuiltinOperator::FullyConnected
        );
        let int8_weights = |weights: &Tensor<'_>| matches!(weights.element, TensorType::Int8 | TensorType::Int4);
        if layer && output.element == TensorType::Float32 && weights.is_some_and(int8_weights) {
            return Err(refused!(
                Unsupported,
                "its weights are int8 but its activations are floats (a dynamic-range model), which needs float \
                 arithmetic at run time. Export it without optimisations and quantise it here with --calibrate, or \
                 export it as a full-integer int8 model with a representative data set"
            )
            .of_operator(network, op));
        }
        let found = match output.element {
            TensorType::Int8 => Arithmetic::Int8,
            TensorType::Float32 => Arithmetic::Float,
            other => {
                return Err(refused!(Unsupported, "it makes {}: {}", type_name(other), advice::of_type(other))
                    .of_operator(network, op));
            }
        };
        if *arithmetic.get_or_insert(found) != found {
            return Err(refused!(
                Unsupported,
                "one part of the model computes in int8, another in floats: quantise the whole model to int8"
            )
            .of_operator(network, op));
        }
    }
    Ok(arithmetic.unwrap_or(Arithmetic::Int8))
}

/// Refuses an operator that reads or writes what is kept from one run to the next.
fn check_stateless(network: &Network<'_>, op: &Operator) -> Result<()> {
    let kept = op.inputs.iter().flatten().chain(&op.outputs).map(|&tensor| &network.tensors[tensor]);
    match kept.clone().find(|tensor| tensor.variable) {
        Some(tensor) => Err(refused!(Unsupported, "{} is a variable: {}", tensor.name, advice::STATE)),
        None => Ok(()),
    }
}

/// Reads an int8 model from a file's bytes.
///
/// # Errors
/// When it is no TensorFlow Lite model, or has an operator, type or option that is not supported; names it.
pub fn int8(bytes: &[u8]) -> Result<Lowered> {
    let network = read(bytes)?;
    match arithmetic(&network)? {
        Arithmetic::Int8 => lower(&network),
        Arithmetic::Float => Err(refused!(NeedsCalibration, "{NEEDS_CALIBRATION}")),
    }
}
