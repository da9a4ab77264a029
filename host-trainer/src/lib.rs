//! Trains an image classifier on a laptop, quantises it and emits the blob that `no-std-infer` runs.

pub mod aligned;
pub mod augment;
pub mod blob;
pub mod calibrate;
pub mod config;
pub mod dataset;
pub mod device;
pub mod emit;
pub mod evaluate;
pub mod faces;
pub mod files;
pub mod graph;
pub mod metrics;
pub mod model;
pub mod plan;
pub mod plateau;
pub mod plots;
pub mod quantise;
pub mod sqnr;
pub mod training;
