//! Training steps without a data set, for measuring how long they take.

use anyhow::Result;
use burn::module::Module;
use burn::tensor::Tensor;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::DeviceKind;
use super::batch::pixels;
use super::learner::Learner;
use super::loss::{Mixture, certain};
use crate::config::Config;
use crate::training::model::Task;

/// A network that learns one batch of noise.
pub struct Steps {
    learner: Learner,
    learning_rate: f64,
    input: Tensor<4>,
    images: Vec<Mixture>,
}

impl Steps {
    /// A new network of this configuration and a batch for it.
    ///
    /// # Errors
    /// When the device cannot be opened or the network does not fit its input.
    pub fn new(config: &Config, classes: usize, device: DeviceKind) -> Result<Self> {
        let device = device.open()?.autodiff();
        let shape = config.input.shape();
        let task = Task { input: shape, classes, mean: [0.5; 3], std: [0.25; 3] };
        let labels: Vec<usize> = (0..config.train.batch_size).map(|image| image % classes).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        let noise: Vec<Vec<u8>> = labels.iter().map(|_| (0..shape.len()).map(|_| rng.random()).collect()).collect();
        Ok(Self {
            learner: Learner::new(config, task, &labels, &device)?,
            learning_rate: config.train.learning_rate,
            input: pixels(labels.len(), shape, &device, |image| &noise[image]),
            images: labels.into_iter().map(certain).collect(),
        })
    }

    /// What the network reads and answers.
    #[must_use]
    pub fn task(&self) -> Task {
        self.learner.net.task()
    }

    /// Multiply-accumulates of the forward pass of an image.
    #[must_use]
    pub fn macs(&self) -> usize {
        self.learner.net.valid().graph().macs()
    }

    /// Forward, backward and a step of the optimiser; the loss before it.
    pub fn step(&mut self) -> f64 {
        self.learner.step(self.input.clone(), &self.images, None, self.learning_rate).loss
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{InputConfig, Preset};

    #[test]
    fn the_steps_are_those_of_training() {
        let mut config =
            Config { input: InputConfig { width: 16, height: 16, ..Default::default() }, ..Default::default() };
        config.model.preset = Preset::Shallow;
        config.train.batch_size = 4;
        let mut steps = Steps::new(&config, 2, DeviceKind::Flex).unwrap();
        let first = steps.step();
        let last = (0..30).map(|_| steps.step()).last().unwrap();
        assert!(last < first / 2.0, "{first} {last}");
    }
}
