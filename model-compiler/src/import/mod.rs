//! From a TensorFlow Lite model to a model that [`emit`](mod@crate::blob::emit) writes.
//!
//! Int8 models keep every byte that LiteRT's reference kernels give.

#[macro_use]
mod error;
mod bounds;
pub mod dilation;
pub mod float;
pub mod float16;
pub mod kind;
pub mod lower;
pub mod model;
pub mod padding;
mod tables;

#[allow(missing_docs, unsafe_code, unused_qualifications, clippy::all, clippy::undocumented_unsafe_blocks)]
#[rustfmt::skip]
pub mod tflite;

pub use error::{Error, Kind};

use lower::{Lowered, lower};
use model::{BuiltinOperator, Network, Tensor, TensorType, type_name};

type Result<T, E = Error> = std::result::Result<T, E>;

/// Reads a file's bytes; dilated and padded convolutions come as one operator, however they were written, and weights of
/// half precision are read by the operators themselves.
///
/// # Errors
/// Those of [`Network::read`].
pub fn read(bytes: &[u8]) -> Result<Network<'_>> {
    let mut network = Network::read(bytes)?;
    float16::join(&mut network);
    dilation::join(&mut network);
    padding::join(&mut network);
    Ok(network)
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
                return Err(refused!(
                    Unsupported,
                    "it makes {}: export the model with activations of INT8, or as a float model",
                    type_name(other)
                )
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
