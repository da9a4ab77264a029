//! Turns float graphs and TensorFlow Lite models into the blob that `no-std-infer` runs.
//!
//! Data flow one way: a float [`graph`] is [quantised](quantise), [laid out](layout) and written as a [`blob`];
//! [`import`] makes graphs and quantised models of TensorFlow Lite's files. The same input gives the same bytes, on any
//! number of threads.

pub mod aligned;
pub mod blob;
pub mod graph;
pub mod import;
pub mod layout;
pub mod quantise;
