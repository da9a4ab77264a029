//! What an output layer alone would reach on a network's features as they are: by folds of the training images, before
//! anything is trained.

use anyhow::{Context, Result, ensure};
use burn::module::Module;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::initial::features;
use super::learner::Learner;
use super::{Options, TrainingData};
use crate::config::Config;
use crate::data::bootstrap;
use crate::training::logistic::{self, Effort, Linear, Samples};
use crate::training::model::Task;
use crate::training::pretrained::Pretrained;

/// L2 penalties that are tried, the strongest first.
const PENALTIES: [f64; 6] = [10.0, 6.0, 2.0, 0.5, 0.1, 0.02];

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// The strongest penalty that none of the weaker ones leads by more than chance.
    pub l2: f64,
    /// Share of the images whose class is found by a layer that was fitted to the other folds.
    pub accuracy: f64,
    /// The same share of their mirror images, by layers that have seen no mirror image.
    pub mirrored: f64,
}

/// Fits output layers to the features of the configuration's pretrained network. Each training image has its fold, from 0, and the
/// name of its group.
///
/// # Errors
/// When the network cannot be made, or has no pretrained weights.
///
/// # Panics
/// When there is not one fold and one group an image.
pub fn probe(
    data: &TrainingData,
    config: &Config,
    (folds, groups): (&[usize], &[&str]),
    options: Options,
) -> Result<Probe> {
    assert_eq!([folds.len(), groups.len()], [data.train.len(); 2], "one fold and one group an image");
    let TrainingData { train, classes, mean, std, .. } = data;
    let task = Task { input: train.shape, classes: classes.len(), mean: *mean, std: *std };
    let device = options.device.open()?.autodiff();
    let Learner { mut net, criterion, .. } = Learner::new(config, task, &train.labels, &device)?;
    let pretrained = config.model.pretrained.as_ref().context("there are no pretrained weights to probe")?;
    net.load_pretrained(&Pretrained::open(pretrained)?, classes)?;
    let net = net.valid();
    let class_weights: Vec<f64> = criterion.weights().iter().map(|&weight| weight.into()).collect();
    let features = [false, true].map(|mirrored| features(&net, train, mirrored));
    let folded = Folded { labels: &train.labels, folds, groups, class_weights: &class_weights, features: &features };
    folded.probe()
}

/// Features with their folds.
struct Folded<'a> {
    labels: &'a [usize],
    folds: &'a [usize],
    groups: &'a [&'a str],
    class_weights: &'a [f64],
    /// Of the images and of their mirror images, `[images][features]`.
    features: &'a [Vec<f32>; 2],
}

impl Folded<'_> {
    fn probe(&self) -> Result<Probe> {
        ensure!(!self.labels.is_empty(), "there are no images to probe with");
        let mut best: Option<(f64, Vec<bool>)> = None;
        for l2 in PENALTIES {
            let [hit, _] = self.hits(l2, &[false, true]);
            let Some((_, leading)) = &best else {
                best = Some((l2, hit));
                continue;
            };
            if bootstrap::lead(self.groups, leading, &hit).is_more_than_chance() {
                // Weaker penalties, which take longest to fit, are worse still.
                break;
            }
            if bootstrap::lead(self.groups, &hit, leading).is_more_than_chance() {
                best = Some((l2, hit));
            }
        }
        let (l2, hit) = best.context("a penalty was tried")?;
        // What the features of mirror images say is compared with what those of images say by the same layers.
        let [plain, mirrored] = self.hits(l2, &[false]);
        let accuracy = share(&hit);
        Ok(Probe { l2, accuracy, mirrored: accuracy - (share(&plain) - share(&mirrored)) })
    }

    /// Which images, and which mirror images, layers have right that learnt from these sides of other folds.
    fn hits(&self, l2: f64, learnt: &[bool]) -> [Vec<bool>; 2] {
        let last = self.folds.iter().copied().max().unwrap_or_default();
        let layers: Vec<Linear> = (0..=last).into_par_iter().map(|fold| self.fit(fold, l2, learnt)).collect();
        [false, true].map(|mirrored| {
            let scored = self.rows(mirrored).zip(self.folds).zip(self.labels);
            scored.map(|((row, &fold), &label)| layers[fold].class(row) == label).collect()
        })
    }

    fn fit(&self, without: usize, l2: f64, sides: &[bool]) -> Linear {
        let (mut features, mut labels) = (Vec::new(), Vec::new());
        for &mirrored in sides {
            for ((row, fold), label) in self.rows(mirrored).zip(self.folds).zip(self.labels) {
                if *fold != without {
                    features.extend_from_slice(row);
                    labels.push(*label);
                }
            }
        }
        let samples = Samples { features: &features, labels: &labels, class_weights: self.class_weights };
        logistic::fit(samples, l2, Effort::ROUGH)
    }

    fn rows(&self, mirrored: bool) -> impl Iterator<Item = &[f32]> {
        let features = &self.features[usize::from(mirrored)];
        features.chunks_exact(features.len() / self.labels.len())
    }
}

fn share(hit: &[bool]) -> f64 {
    hit.iter().filter(|hit| **hit).count() as f64 / hit.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two features of 60 images: one has the class as its sign, and loses it in mirror images where `chiral`; the other is
    /// noise.
    fn probed(chiral: bool, noise: f32) -> Probe {
        let labels: Vec<usize> = (0..60).map(|image| image % 2).collect();
        let folds: Vec<usize> = (0..60).map(|image| image / 2 % 5).collect();
        let sign = |label: usize| if label == 0 { -1.0 } else { 1.0 };
        let side = |mirrored: bool| {
            let row = |(image, &label): (usize, &usize)| {
                let class = if mirrored && chiral { -sign(label) } else { sign(label) };
                [class + noise * (image as f32 * 1.7).sin(), (image as f32 * 0.9).cos()]
            };
            labels.iter().enumerate().flat_map(row).collect::<Vec<f32>>()
        };
        let features = [side(false), side(true)];
        let groups: Vec<String> = (0..60).map(|image| format!("{image}")).collect();
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        let class_weights = &[1.0; 2];
        Folded { labels: &labels, folds: &folds, groups: &groups, class_weights, features: &features }.probe().unwrap()
    }

    #[test]
    fn what_is_plain_in_the_features_is_found_and_mirror_images_too() {
        let probe = probed(false, 0.3);
        assert_eq!((probe.accuracy, probe.mirrored), (1.0, 1.0));
        assert_eq!(probe.l2, PENALTIES[0]);
    }

    #[test]
    fn classes_that_mirror_images_exchange_are_found_out() {
        let probe = probed(true, 0.3);
        assert!(probe.mirrored < probe.accuracy - 0.5, "{probe:?}");
    }

    #[test]
    fn features_that_say_little_are_found_out() {
        let probe = probed(false, 4.0);
        assert!((0.4..0.9).contains(&probe.accuracy), "{probe:?}");
    }
}
