//! What the steps of an epoch learn: the training images in its order, changed and mixed at random.

use super::TrainingData;
use super::batch::{order, planes};
use super::loss::{Mixture, certain};
use crate::config::Config;
use crate::data::augment::{Key, Mix, augment, mix};

/// The training images as one epoch sees them.
pub(super) struct Examples<'a> {
    data: &'a TrainingData,
    config: &'a Config,
    epoch: usize,
    order: Vec<usize>,
}

/// What one step learns.
pub(super) struct Example {
    /// Pixels less 128, `[images][channels][height][width]`.
    pub pixels: Vec<f32>,
    /// The class of each image.
    pub labels: Vec<usize>,
    /// What each image shows after it was mixed.
    pub mixtures: Vec<Mixture>,
}

impl<'a> Examples<'a> {
    /// Epochs are counted from 1.
    pub fn new(data: &'a TrainingData, config: &'a Config, epoch: usize) -> Self {
        Self { data, config, epoch, order: order(config.seed, epoch, data.train.len()) }
    }

    /// What a step learns, counted from 0.
    pub fn of_step(&self, step: usize) -> Example {
        let first = step * self.config.train.batch_size;
        let last = (first + self.config.train.batch_size).min(self.order.len());
        let images = &self.order[first..last];
        Example {
            pixels: planes(images.len(), self.data.train.shape, |index| self.mixed(images[index])),
            labels: images.iter().map(|&image| self.data.train.labels[image]).collect(),
            mixtures: images.iter().map(|&image| self.mixture(image)).collect(),
        }
    }

    fn key(&self, image: usize) -> Key {
        Key { seed: self.config.seed, epoch: self.epoch as u64, index: image as u64 }
    }

    fn augmented(&self, image: usize) -> Vec<u8> {
        let TrainingData { source, train, .. } = self.data;
        augment(&source.image(image), source.shape, train.shape, &self.config.augment, self.key(image))
    }

    /// With which image, and how, another is mixed.
    fn mix(&self, image: usize) -> Option<Mix> {
        let alpha = self.config.augment.mixup;
        (alpha > 0.0).then(|| Mix::new(alpha, self.data.train.len(), self.key(image)))
    }

    fn mixture(&self, image: usize) -> Mixture {
        let labels = &self.data.train.labels;
        self.mix(image).map_or(certain(labels[image]), |Mix { other, share }| {
            [(labels[image], share), (labels[other], 1.0 - share)]
        })
    }

    /// The image as a step sees it.
    fn mixed(&self, image: usize) -> Vec<u8> {
        let mut pixels = self.augmented(image);
        if let Some(Mix { other, share }) = self.mix(image) {
            mix(&mut pixels, &self.augmented(other), share);
        }
        pixels
    }
}

#[cfg(test)]
mod tests {
    use model_compiler::graph::Shape;

    use super::*;
    use crate::config::AugmentConfig;
    use crate::data::dataset::Images;

    /// Five images of two pixels, whose classes are their places.
    fn data() -> TrainingData {
        let shape = Shape { height: 1, width: 2, channels: 1 };
        let images = Images::of_pixels(shape, &[0, 1, 20, 21, 40, 41, 60, 61, 80, 81], &[0, 1, 2, 3, 4]);
        let (train, source, valid) = (images.clone(), images.clone(), images);
        TrainingData { train, source, valid, classes: vec![String::new(); 5], mean: [0.5; 3], std: [0.2; 3] }
    }

    #[test]
    fn the_steps_of_an_epoch_see_each_image_once_in_its_order() {
        let mut config = Config { augment: AugmentConfig::none(), ..Config::default() };
        config.train.batch_size = 2;
        let data = data();
        let examples = Examples::new(&data, &config, 3);
        let steps: Vec<Example> = (0..3).map(|step| examples.of_step(step)).collect();
        let labels: Vec<usize> = steps.iter().flat_map(|example| example.labels.clone()).collect();
        assert_eq!(labels, order(config.seed, 3, 5));
        let pixels: Vec<f32> = steps.iter().flat_map(|example| example.pixels.clone()).collect();
        let expected = labels.iter().flat_map(|&label| [20 * label, 20 * label + 1]).map(|pixel| pixel as f32 - 128.0);
        assert!(pixels.into_iter().eq(expected));
        assert_eq!(steps[2].mixtures, [certain(labels[4])]);
    }

    #[test]
    fn mixtures_say_what_the_pixels_show() {
        let augment = AugmentConfig { mixup: 0.4, ..AugmentConfig::none() };
        let config = Config { augment, ..Config::default() };
        let data = data();
        let Example { pixels, labels, mixtures } = Examples::new(&data, &config, 1).of_step(0);
        for ((pixels, label), [own, other]) in pixels.chunks(2).zip(labels).zip(mixtures) {
            assert_eq!(own.0, label);
            let expected = 20.0 * (own.0 as f32 * own.1 + other.0 as f32 * other.1) - 128.0;
            assert!(
                (pixels[0] - expected).abs() < 0.6 && (own.1 + other.1 - 1.0).abs() < 1e-6,
                "{pixels:?} {expected}"
            );
        }
    }
}
