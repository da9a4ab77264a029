//! A training step: forward, backward, and a step of the optimiser.

use anyhow::Result;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor};
use rand_chacha::ChaCha8Rng;

use super::loss::{Criterion, Mixture};
use super::optimizer::optimizer;
use crate::config::Config;
use crate::training::model::{Net, Task};

/// A network and what changes it.
pub(super) struct Learner {
    pub net: Net,
    pub optimizer: ModuleOptimizer,
    pub criterion: Criterion,
}

/// What a step saw before it changed the weights.
pub(super) struct Step {
    /// Images by classes.
    pub logits: Tensor<2>,
    /// Mean loss in nats, weighted by class.
    pub loss: f64,
    /// Sum of the weights.
    pub weight: f64,
}

impl Learner {
    /// A new network; `labels` are those of the training images. `device` is one with autodiff.
    pub fn new(config: &Config, task: Task, labels: &[usize], device: &Device) -> Result<Self> {
        let criterion = Criterion::new(&config.train, labels, task.classes)?;
        let net = Net::new(&config.model, task, config.seed, device)?;
        Ok(Self { net, optimizer: optimizer(&config.train), criterion })
    }

    /// Learns a batch, as far as layers are not frozen; without `dropout` none of it is dropped.
    pub fn step(
        &mut self,
        input: Tensor<4>,
        images: &[Mixture],
        dropout: Option<&mut ChaCha8Rng>,
        learning_rate: f64,
    ) -> Step {
        let logits = self.net.forward(input, dropout);
        let (loss, weight) = self.criterion.loss(logits.clone(), images);
        let value = f64::from(loss.clone().into_scalar::<f32>());
        if self.net.is_frozen() {
            return Step { logits, loss: value, weight };
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &self.net);
        self.net = self.optimizer.step(learning_rate, self.net.clone(), gradients);
        Step { logits, loss: value, weight }
    }
}
