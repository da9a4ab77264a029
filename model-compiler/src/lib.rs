//! Turns float graphs and TensorFlow Lite models into the blob that `no-std-infer` runs.
//!
//! Data flow one way: a float [`graph`] is [quantised](quantise), [laid out](layout) and written as a [`blob`];
//! [`import`] makes graphs and quantised models of TensorFlow Lite's files, and [`Tflite`] is all of that in one call, for the
//! build script of a firmware too. The same input gives the same bytes, on any
//! number of threads.

/// Ends a function with an error where a condition does not hold: one that is given, or an importer's refusal of a kind.
macro_rules! ensure {
    ($condition:expr, $kind:ident, $($text:tt)+) => {
        ensure!($condition, refused!($kind, $($text)+))
    };
    ($condition:expr, $error:expr $(,)?) => {
        if !$condition {
            return Err($error);
        }
    };
}

pub mod aligned;
pub mod blob;
mod compile;
pub mod export;
pub mod graph;
pub mod import;
pub mod layout;
pub mod quantise;

pub use blob::emit::{ARENA_MAX, Limits};
pub use compile::error::{Cause, Error};
pub use compile::{Compiled, Quantised, RUN_AT_MOST, Tflite, build_script};
pub use import::float::Normalisation;
pub use import::kind::InputChoice;
pub use import::onnx::Onnx;
