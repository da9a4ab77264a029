//! The network before its first step: weights from elsewhere, an output layer fitted alone, layers that stay as they
//! are.

use anyhow::{Context, Result};
use burn::module::Module;

use super::batch::pixels;
use super::learner::Learner;
use super::{Observer, TrainingData};
use crate::config::{Config, TrainConfig};
use crate::logistic::{self, Linear, Samples};
use crate::model::Net;
use crate::pretrained::Pretrained;

/// Images that run through the network at once.
const BATCH: usize = 64;

/// Takes over pretrained weights and fits the head, as far as the configuration asks for it.
pub(super) fn initialise(
    learner: &mut Learner,
    data: &TrainingData,
    config: &Config,
    observer: &dyn Observer,
) -> Result<()> {
    let Learner { net, criterion, .. } = learner;
    if let Some(pretrained) = &config.model.pretrained {
        let new = net.load_pretrained(&Pretrained::open(pretrained)?)?;
        let new = if new.is_empty() { "none".to_owned() } else { new.join(", ") };
        observer.note(&format!("pretrained weights are loaded; layers that start anew: {new}"));
    }
    if let Some(l2) = config.train.head_first {
        let flipped = config.augment.horizontal_flip > 0.0;
        let head = fit_head(&net.valid(), data, flipped, l2, criterion.weights());
        net.set_head(head.weights, head.bias).context("train.head_first is not possible")?;
        observer.note("the head is fitted to the features as they are");
    }
    Ok(())
}

/// Freezes what the configuration names.
pub(super) fn freeze(net: &mut Net, config: &TrainConfig) -> Result<()> {
    net.freeze_layers(&config.frozen)?;
    if config.frozen_batch_norm {
        net.freeze_batch_norm();
    }
    Ok(())
}

/// Logistic regression on what the head reads of the training images and, with `flipped`, of their mirror images.
fn fit_head(net: &Net, data: &TrainingData, flipped: bool, l2: f64, class_weights: &[f32]) -> Linear {
    let TrainingData { train, shape, .. } = *data;
    let mut features = Vec::new();
    let mut labels = Vec::new();
    for mirrored in [false, true].into_iter().take(1 + usize::from(flipped)) {
        for (batch, batch_labels) in train.labels.chunks(BATCH).enumerate() {
            let image = |index: usize| {
                let image = train.image(batch * BATCH + index, shape);
                if mirrored { mirror(image, shape.width, shape.channels) } else { image.to_vec() }
            };
            let input = pixels(batch_labels.len(), shape, &net.device(), image);
            features.extend(net.features(input).into_data().try_to_vec::<f32>().expect("features are f32"));
            labels.extend_from_slice(batch_labels);
        }
    }
    let class_weights: Vec<f64> = class_weights.iter().map(|&weight| weight.into()).collect();
    logistic::fit(Samples { features: &features, labels: &labels, class_weights: &class_weights }, l2)
}

/// An HWC image, left and right exchanged.
fn mirror(image: &[u8], width: usize, channels: usize) -> Vec<u8> {
    image.chunks_exact(width * channels).flat_map(|row| row.chunks_exact(channels).rev().flatten().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_exchange_pixels_in_each_row() {
        assert_eq!(mirror(&[1, 2, 3, 4, 5, 6, 7, 8], 2, 2), [3, 4, 1, 2, 7, 8, 5, 6]);
    }
}
