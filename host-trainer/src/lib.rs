//! Trains an image classifier on a laptop, quantises it and emits the blob that `no-std-infer` runs.

pub mod aligned;
pub mod atomic;
pub mod augment;
pub mod blob;
pub mod calibrate;
pub mod commands;
pub mod comparison;
pub mod config;
pub mod dataset;
pub mod device;
pub mod emit;
pub mod evaluate;
pub mod export;
pub mod faces;
pub mod graph;
pub mod metrics;
pub mod model;
pub mod plan;
pub mod plateau;
pub mod plots;
pub mod progress;
pub mod quantise;
pub mod results;
pub mod run_dir;
pub mod sqnr;
pub mod training;
