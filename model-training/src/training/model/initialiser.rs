//! Initial weights.

use burn::module::Param;
use burn::nn::{BatchNorm, BatchNormConfig};
use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Draws initial weights from a generator of its own, so that they depend on the seed alone.
pub(super) struct Initialiser<'a> {
    rng: ChaCha8Rng,
    /// Of batch-norm.
    epsilon: f64,
    device: &'a Device,
}

impl<'a> Initialiser<'a> {
    /// Weights on `device` that follow from `seed`.
    pub fn new(seed: u64, epsilon: f64, device: &'a Device) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), epsilon, device }
    }

    /// He et al. 2015: uniform with variance 2 / `fan_in`.
    pub fn he<const D: usize>(&mut self, shape: [usize; D], fan_in: usize) -> Param<Tensor<D>> {
        let limit = (6.0 / fan_in as f32).sqrt();
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| self.rng.random_range(-limit..limit)).collect();
        Param::from_data(TensorData::new(values, shape), self.device)
    }

    pub fn zeros(&self, len: usize) -> Param<Tensor<1>> {
        param(vec![0.0; len], self.device)
    }

    pub fn norm(&self, channels: usize) -> BatchNorm {
        BatchNormConfig::new(channels).with_epsilon(self.epsilon).init(self.device)
    }
}

/// A vector that is learnt.
pub(super) fn param(values: Vec<f32>, device: &Device) -> Param<Tensor<1>> {
    let len = values.len();
    Param::from_data(TensorData::new(values, [len]), device)
}
