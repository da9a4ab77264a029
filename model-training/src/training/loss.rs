//! Cross-entropy with label smoothing and class weights.

use anyhow::{Result, ensure};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Tensor, TensorData};

use crate::config::{ClassWeights, NamedWeights, TrainConfig};

/// What an image shows: two classes in shares that sum to 1.
pub(super) type Mixture = [(usize, f32); 2];

/// An image of one class.
pub(super) fn certain(label: usize) -> Mixture {
    [(label, 1.0), (label, 0.0)]
}

/// The training loss.
pub(super) struct Criterion {
    smoothing: f32,
    /// One weight a class.
    weights: Vec<f32>,
}

impl Criterion {
    /// `labels` are those of the training images.
    pub fn new(config: &TrainConfig, labels: &[usize], classes: usize) -> Result<Self> {
        let smoothing = config.label_smoothing;
        ensure!((0.0..=1.0).contains(&smoothing), "train.label_smoothing is {smoothing}: choose 0 to 1");
        let weights = match &config.class_weights {
            ClassWeights::Named(NamedWeights::None) => vec![1.0; classes],
            ClassWeights::Named(NamedWeights::Balanced) => balanced(labels, classes),
            ClassWeights::Each(weights) => weights.clone(),
        };
        ensure!(
            weights.len() == classes && weights.iter().all(|&weight| weight.is_finite() && weight > 0.0),
            "train.class_weights has {} entries: give one above 0 for each of the {classes} classes",
            weights.len()
        );
        Ok(Self { smoothing, weights })
    }

    /// Cross-entropy without smoothing and weights, for validation.
    pub fn plain(classes: usize) -> Self {
        Self { smoothing: 0.0, weights: vec![1.0; classes] }
    }

    /// One weight a class.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// Mean loss of `logits`, weighted by class, in nats, and the sum of the weights.
    pub fn loss(&self, logits: Tensor<2>, images: &[Mixture]) -> (Tensor<1>, f64) {
        let targets = TensorData::new(self.targets(images), [images.len(), self.weights.len()]);
        let targets = Tensor::<2>::from_data(targets, &logits.device());
        ((log_softmax(logits, 1) * targets).sum().neg(), f64::from(self.total(images)))
    }

    /// `[images][classes]`: the loss is minus the sum of these times the logarithms of the probabilities.
    pub fn targets(&self, images: &[Mixture]) -> Vec<f32> {
        let classes = self.weights.len();
        let (total, rest) = (self.total(images), self.smoothing / classes as f32);
        let mut targets = vec![0.0; images.len() * classes];
        for (row, image) in targets.chunks_exact_mut(classes).zip(images) {
            for &(label, share) in image {
                let weight = share * self.weights[label] / total;
                row.iter_mut().for_each(|target| *target += weight * rest);
                row[label] += weight * (1.0 - self.smoothing);
            }
        }
        targets
    }

    /// Sum of the weights.
    fn total(&self, images: &[Mixture]) -> f32 {
        images.iter().flatten().map(|&(label, share)| share * self.weights[label]).sum()
    }
}

/// scikit-learn's `balanced`: images / (classes · images of the class).
fn balanced(labels: &[usize], classes: usize) -> Vec<f32> {
    let mut counts = vec![0usize; classes];
    labels.iter().for_each(|&label| counts[label] += 1);
    counts.iter().map(|&count| labels.len() as f32 / (classes * count.max(1)) as f32).collect()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn loss(criterion: &Criterion, logits: &[[f32; 2]], labels: &[usize]) -> f32 {
        let values = logits.iter().flatten().copied().collect();
        let logits = Tensor::from_data(TensorData::new::<f32, _>(values, [logits.len(), 2]), &Device::flex());
        let images: Vec<Mixture> = labels.iter().map(|&label| certain(label)).collect();
        mixed(criterion, logits, &images)
    }

    fn mixed(criterion: &Criterion, logits: Tensor<2>, images: &[Mixture]) -> f32 {
        criterion.loss(logits, images).0.into_scalar()
    }

    /// Logits whose probabilities are 3/4 and 1/4.
    fn logits() -> [[f32; 2]; 2] {
        [[3.0f32.ln(), 0.0]; 2]
    }

    #[test]
    fn plain_cross_entropy_by_hand() {
        let value = loss(&Criterion::plain(2), &logits(), &[0, 1]);
        assert!((value - ((4.0f32 / 3.0).ln() + 4.0f32.ln()) / 2.0).abs() < 1e-6, "{value}");
    }

    #[test]
    fn smoothing_by_hand() {
        let criterion = Criterion { smoothing: 0.2, weights: vec![1.0; 2] };
        let value = loss(&criterion, &logits()[..1], &[0]);
        assert!((value - (0.9 * (4.0f32 / 3.0).ln() + 0.1 * 4.0f32.ln())).abs() < 1e-6, "{value}");
    }

    #[test]
    fn weights_by_hand() {
        let criterion = Criterion { smoothing: 0.0, weights: vec![3.0, 1.0] };
        let value = loss(&criterion, &logits(), &[0, 1]);
        assert!((value - (3.0 * (4.0f32 / 3.0).ln() + 4.0f32.ln()) / 4.0).abs() < 1e-6, "{value}");
    }

    #[test]
    fn mixtures_by_hand() {
        let logits = || Tensor::from_data(TensorData::new(vec![3.0f32.ln(), 0.0], [1, 2]), &Device::flex());
        let mixture = [[(1, 0.25), (0, 0.75)]];
        let plain = mixed(&Criterion::plain(2), logits(), &mixture);
        assert!((plain - (0.75 * (4.0f32 / 3.0).ln() + 0.25 * 4.0f32.ln())).abs() < 1e-6, "{plain}");
        let weighted = mixed(&Criterion { smoothing: 0.0, weights: vec![1.0, 3.0] }, logits(), &mixture);
        assert!((weighted - (0.5 * (4.0f32 / 3.0).ln() + 0.5 * 4.0f32.ln())).abs() < 1e-6, "{weighted}");
    }

    #[test]
    fn balanced_weights_are_those_of_scikit_learn() {
        // compute_class_weight("balanced", classes=[0, 1, 2], y=[0, 0, 0, 1, 1, 2]).
        assert_eq!(balanced(&[0, 0, 0, 1, 1, 2], 3), [6.0 / 9.0, 1.0, 2.0]);
    }

    #[test]
    fn impossible_settings_are_refused() {
        let check = |config: TrainConfig| Criterion::new(&config, &[0, 1], 2).map(|_| ());
        assert!(check(TrainConfig::default()).is_ok());
        assert!(check(TrainConfig { label_smoothing: 1.5, ..TrainConfig::default() }).is_err());
        for weights in [vec![1.0], vec![1.0, 0.0], vec![1.0, f32::NAN]] {
            let config = TrainConfig { class_weights: ClassWeights::Each(weights), ..TrainConfig::default() };
            assert!(check(config).is_err());
        }
    }
}
