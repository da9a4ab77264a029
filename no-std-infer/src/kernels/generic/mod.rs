//! Kernels for any target: safe Rust without panics, written so that compilers vectorise the inner loops.

pub mod conv2d;
pub mod dense;
pub mod depthwise_conv2d;
pub mod elementwise;
pub mod packed;
pub mod place;
pub mod pool2d;
pub mod reduce_max;
pub mod softmax;
mod walk;
pub mod winograd;

use super::Kernels;
use crate::fixed::clamp_i8;
use crate::operators::{Activation, OutputParams};

/// Kernels for any target: those that every set has by default.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Generic;

impl Kernels for Generic {}

/// The sum of products of values and weights, however they are stored; it wraps.
fn dot(values: impl Iterator<Item = i8>, weights: impl Iterator<Item = i8>) -> i32 {
    values.zip(weights).map(|(x, w)| i32::from(x) * i32::from(w)).fold(0, i32::wrapping_add)
}

/// The same where they are the bytes of a tensor and of the weights section.
fn dot_bytes(values: &[i8], weights: &[u8]) -> i32 {
    dot(values.iter().copied(), weights.iter().map(|&w| w as i8))
}

/// From a sum of products to the output.
fn epilogue(sum: i32, channel: &impl OutputParams, zero_point: i8, activation: Activation) -> i8 {
    let scaled = channel.scale(sum.wrapping_add(channel.bias()));
    clamp_i8(scaled.saturating_add(i32::from(zero_point)), activation.min, activation.max)
}
