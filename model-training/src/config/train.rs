//! How the network is trained.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Optimisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Largest number of passes over the training images.
    pub epochs: usize,
    /// Before the first epoch the output layer is fitted alone: logistic regression with this L2 penalty on
    /// standardised features of the training images, and of their mirror images where the augmentation flips. Absent,
    /// it starts random.
    pub head_first: Option<f64>,
    /// Images a step.
    pub batch_size: usize,
    /// How gradients become steps.
    pub optimizer: OptimizerKind,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// Learning rate that the schedule starts from.
    pub learning_rate: f64,
    /// The optimiser's epsilon (burn's default is 1e-5, Keras' 1e-7, PyTorch's 1e-8).
    pub epsilon: f32,
    /// For `adam` an L2 penalty on all parameters, added to the gradient; for `adamw` the share of the learning rate by
    /// which weights shrink at each step, biases and batch-norm left out. 0 is none.
    pub weight_decay: f32,
    /// Decay of an exponential moving average of the weights, which then is what is validated and exported; 0 is none.
    /// The decay rises to this: it is at most (1 + n) / (10 + n) at step n.
    pub ema: f64,
    /// Layers that keep their weights, by name: `features.0`, `features.3.depthwise`, `head`. A name stands for all
    /// layers below it.
    pub frozen: Vec<String>,
    /// Batch-norm uses its running statistics in training too, and keeps them.
    pub frozen_batch_norm: bool,
    /// Share of each label that is spread over all classes, 0 to 1.
    pub label_smoothing: f32,
    /// Weight of each class in the loss.
    pub class_weights: ClassWeights,
    /// How often an epoch sees the training images whose path begins so, 1 to 100: `"camera/" = 4`. Once where nothing is said;
    /// of several beginnings the longest counts.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub repeat: BTreeMap<String, usize>,
}

impl TrainConfig {
    /// How often an epoch sees a training image.
    #[must_use]
    pub fn times(&self, path: &str) -> usize {
        let fitting = self.repeat.iter().filter(|(start, _)| path.starts_with(start.as_str()));
        fitting.max_by_key(|(start, _)| start.len()).map_or(1, |(_, &times)| times)
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 60,
            head_first: None,
            batch_size: 32,
            optimizer: OptimizerKind::Adam,
            schedule: Schedule::Plateau,
            learning_rate: 1e-3,
            epsilon: 1e-7,
            weight_decay: 0.0,
            ema: 0.0,
            frozen: Vec::new(),
            frozen_batch_norm: false,
            label_smoothing: 0.0,
            class_weights: ClassWeights::Named(NamedWeights::None),
            repeat: BTreeMap::new(),
        }
    }
}

/// Optimisers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Kingma and Ba 2015.
    Adam,
    /// Adam with decoupled weight decay, Loshchilov and Hutter 2019.
    AdamW,
}

/// Learning-rate schedules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// By [`PlateauConfig`], epoch by epoch.
    Plateau,
    /// By [`CosineConfig`], step by step.
    Cosine,
}

/// Weight of each class in the loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected `none`, `balanced` or a list of one weight a class")]
pub enum ClassWeights {
    /// `none` or `balanced`.
    Named(NamedWeights),
    /// One weight a class, in the order of the class names.
    Each(Vec<f32>),
}

/// Class weights by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NamedWeights {
    /// All 1.
    None,
    /// Inversely proportional to the number of training images (scikit-learn's `balanced`).
    Balanced,
}

/// What a schedule watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Monitor {
    /// Loss on the validation images; smaller is better.
    ValidLoss,
    /// Accuracy on the validation images; larger is better.
    ValidAccuracy,
    /// Loss on the training images; smaller is better.
    TrainLoss,
}

/// `ReduceLROnPlateau` with the semantics of Keras.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PlateauConfig {
    /// What is watched.
    pub monitor: Monitor,
    /// The learning rate is multiplied by this, below 1.
    pub factor: f64,
    /// Epochs without improvement before it is.
    pub patience: usize,
    /// Smallest change that counts as an improvement.
    pub min_delta: f64,
    /// Epochs to wait after a reduction before counting again.
    pub cooldown: usize,
    /// Smallest learning rate.
    pub min_lr: f64,
}

impl Default for PlateauConfig {
    fn default() -> Self {
        Self { monitor: Monitor::ValidLoss, factor: 0.5, patience: 5, min_delta: 1e-4, cooldown: 0, min_lr: 1e-5 }
    }
}

/// Linear warm-up, then half a period of a cosine over the steps that `train.epochs` leave (Loshchilov and Hutter
/// 2017).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CosineConfig {
    /// Share of the steps in which the learning rate rises to `train.learning_rate`.
    pub warmup: f64,
    /// Share of `train.learning_rate` that is left at the last step.
    pub end: f64,
}

impl Default for CosineConfig {
    fn default() -> Self {
        Self { warmup: 0.05, end: 0.01 }
    }
}

/// Early stopping.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EarlyStoppingConfig {
    /// What is watched.
    pub monitor: Monitor,
    /// Epochs without improvement before training ends.
    pub patience: usize,
    /// Smallest change that counts as an improvement.
    pub min_delta: f64,
    /// The weights of the best epoch are the result; otherwise those of the last, so that the validation images have no
    /// influence on a run that is not stopped.
    pub restore_best: bool,
}

impl Default for EarlyStoppingConfig {
    fn default() -> Self {
        Self { monitor: Monitor::ValidLoss, patience: 15, min_delta: 0.0, restore_best: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_beginning_says_how_often_an_image_is_seen() {
        let repeat = [("camera/", 3), ("camera/old/", 1)].map(|(start, times)| (start.to_owned(), times));
        let train = TrainConfig { repeat: repeat.into(), ..TrainConfig::default() };
        let times = ["camera/cat/1.png", "camera/old/cat/1.png", "other/camera/1.png"].map(|path| train.times(path));
        assert_eq!(times, [3, 1, 1]);
    }
}
