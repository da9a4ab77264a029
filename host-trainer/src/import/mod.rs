//! From a TensorFlow Lite model to a model that [`emit`](mod@crate::emit) writes.

#[allow(missing_docs, unsafe_code, unused_qualifications, clippy::all, dead_code, unused_imports)]
#[rustfmt::skip]
mod tflite;

pub mod model;
