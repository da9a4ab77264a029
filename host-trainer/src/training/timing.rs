//! Training steps without a data set, for measuring how long they take.

use anyhow::Result;
use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::DeviceKind;
use super::batch::pixels;
use super::loss::{Criterion, Mixture, certain};
use super::optimizer::optimizer;
use crate::config::Config;
use crate::graph::Shape;
use crate::model::{Net, Task};

/// A network that learns one batch of noise.
pub struct Steps {
    net: Net,
    optimizer: ModuleOptimizer,
    criterion: Criterion,
    learning_rate: f64,
    input: Tensor<4>,
    images: Vec<Mixture>,
}

impl Steps {
    /// A new network of this configuration and a batch for it.
    ///
    /// # Errors
    /// When the network does not fit its input.
    pub fn new(config: &Config, classes: usize, device: DeviceKind) -> Result<Self> {
        let device: Device = device.device().autodiff();
        let shape = Shape {
            height: config.input.height.into(),
            width: config.input.width.into(),
            channels: config.input.color.channels(),
        };
        let task = Task { input: shape, classes, mean: [0.5; 3], std: [0.25; 3] };
        let labels: Vec<usize> = (0..config.train.batch_size).map(|image| image % classes).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        let noise: Vec<Vec<u8>> = labels.iter().map(|_| (0..shape.len()).map(|_| rng.random()).collect()).collect();
        Ok(Self {
            net: Net::new(&config.model, task, config.seed, &device)?,
            optimizer: optimizer(&config.train),
            criterion: Criterion::new(&config.train, &labels, classes)?,
            learning_rate: config.train.learning_rate,
            input: pixels(labels.len(), shape, &device, |image| &noise[image]),
            images: labels.into_iter().map(certain).collect(),
        })
    }

    /// Multiply-accumulates of the forward pass of an image.
    #[must_use]
    pub fn macs(&self) -> usize {
        self.net.valid().graph().macs()
    }

    /// Forward, backward and a step of the optimiser; the loss before it.
    pub fn step(&mut self) -> f32 {
        let logits = self.net.forward(self.input.clone(), None);
        let (loss, _) = self.criterion.loss(logits, &self.images);
        let value = loss.clone().into_scalar();
        let gradients = GradientsParams::from_grads(loss.backward(), &self.net);
        self.net = self.optimizer.step(self.learning_rate, self.net.clone(), gradients);
        value
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
