//! Multinomial logistic regression with an L2 penalty, on standardised features.

use std::collections::VecDeque;

use model_compiler::graph::class;
use nalgebra::{DMatrix, DMatrixView, DVector};
use rayon::prelude::*;

/// How close to the minimum is close enough.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Largest number of steps; each passes over all samples, hardly ever more than once.
    steps: usize,
    /// Largest component of the gradient that counts as none.
    tolerance: f64,
}

impl Effort {
    /// For a layer that is used.
    pub const FULL: Self = Self { steps: 5000, tolerance: 1e-7 };
    /// For one that is only compared with others.
    pub const ROUGH: Self = Self { steps: 150, tolerance: 1e-4 };
}

/// Feature vectors with their classes.
#[derive(Clone, Copy, Debug)]
pub struct Samples<'a> {
    /// `[samples][features]`.
    pub features: &'a [f32],
    /// The class of each sample.
    pub labels: &'a [usize],
    /// Weight of each class in the loss, above 0; as many as there are classes.
    pub class_weights: &'a [f64],
}

/// A layer that gives a logit a class.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// `[features][classes]`.
    pub weights: Vec<f32>,
    /// `[classes]`.
    pub bias: Vec<f32>,
}

impl Linear {
    /// The class of one sample's features; the first of equals.
    #[must_use]
    pub fn class(&self, features: &[f32]) -> usize {
        let mut logits = self.bias.clone();
        for (feature, weights) in features.iter().zip(self.weights.chunks_exact(self.bias.len())) {
            logits.iter_mut().zip(weights).for_each(|(logit, weight)| *logit += feature * weight);
        }
        class(&logits)
    }
}

/// Minimises the weighted mean of the cross-entropy in nats, plus `l2 / 2` times the sum of the squared weights, over
/// weights of standardised features and biases, which are free; then folds the standardisation into both.
///
/// scikit-learn's `LogisticRegression(C = 1 / (l2 · samples))` behind a `StandardScaler` has the same minimum.
///
/// # Panics
/// When there is no sample, or lengths do not fit.
#[must_use]
pub fn fit(samples: Samples, l2: f64, effort: Effort) -> Linear {
    let classes = samples.class_weights.len();
    let (features, scaler) = standardise(samples.features, samples.labels.len());
    let count = scaler.len();
    let problem = Problem::new(&features, samples.labels, samples.class_weights, l2);
    let minimum = problem.minimise(effort);

    let (weights, mut bias) = (&minimum[..count * classes], minimum[count * classes..].to_vec());
    let mut folded = Vec::with_capacity(weights.len());
    for (row, &(mean, deviation)) in weights.chunks_exact(classes).zip(&scaler) {
        for (weight, bias) in row.iter().zip(&mut bias) {
            *bias -= weight * mean / deviation;
            folded.push((weight / deviation) as f32);
        }
    }
    Linear { weights: folded, bias: bias.iter().map(|&bias| bias as f32).collect() }
}

/// Features of mean 0 and variance 1, and mean and deviation of each; the deviation of a constant counts as 1.
fn standardise(features: &[f32], samples: usize) -> (Vec<f64>, Vec<(f64, f64)>) {
    let count = features.len() / samples;
    let moments = |feature: usize| {
        let column = || features[feature..].iter().step_by(count).map(|&value| f64::from(value));
        let mean = column().sum::<f64>() / samples as f64;
        let deviation = (column().map(|value| (value - mean).powi(2)).sum::<f64>() / samples as f64).sqrt();
        (mean, if deviation > 1e-12 { deviation } else { 1.0 })
    };
    let scaler: Vec<(f64, f64)> = (0..count).map(moments).collect();
    let scaled = features
        .chunks_exact(count)
        .flat_map(|row| row.iter().zip(&scaler))
        .map(|(&value, (mean, deviation))| (f64::from(value) - mean) / deviation);
    (scaled.collect(), scaler)
}

/// Parts of the samples, whose gradients are summed in this order on any number of threads.
const PARTS: usize = 16;

/// What is minimised over `[features][classes]` weights followed by `[classes]` biases.
struct Problem<'a> {
    parts: Vec<Part<'a>>,
    class_weights: &'a [f64],
    /// Sum of the samples' weights.
    total: f64,
    /// Number of features.
    count: usize,
    l2: f64,
}

/// Some samples.
struct Part<'a> {
    /// A column a sample, of standardised features.
    columns: DMatrix<f64>,
    /// The same, a row a sample.
    rows: DMatrix<f64>,
    labels: &'a [usize],
}

impl<'a> Problem<'a> {
    /// `features` are standardised, `[samples][features]`.
    fn new(features: &[f64], labels: &'a [usize], class_weights: &'a [f64], l2: f64) -> Self {
        let count = features.len() / labels.len();
        let len = labels.len().div_ceil(PARTS);
        let part = |(features, labels): (&[f64], &'a [usize])| {
            let columns = DMatrix::from_column_slice(count, labels.len(), features);
            Part { rows: columns.transpose(), columns, labels }
        };
        let parts = features.chunks(len * count).zip(labels.chunks(len)).map(part).collect();
        let total = labels.iter().map(|&label| class_weights[label]).sum();
        Self { parts, class_weights, total, count, l2 }
    }

    /// L-BFGS (Nocedal and Wright, "Numerical Optimization", algorithm 7.5), whose steps are halved until they descend.
    fn minimise(&self, effort: Effort) -> Vec<f64> {
        let mut at = DVector::zeros((self.count + 1) * self.class_weights.len());
        let (mut loss, mut gradient) = self.loss(&at);
        let mut curvature = Curvature::default();
        for _ in 0..effort.steps {
            if gradient.amax() < effort.tolerance {
                break;
            }
            let direction = -curvature.divide(&gradient);
            let slope = gradient.dot(&direction);
            let mut length = 1.0;
            let next = loop {
                let next = &at + &direction * length;
                let (loss_there, gradient_there) = self.loss(&next);
                if loss_there <= loss + ENOUGH * length * slope + ROUNDING * loss.abs() {
                    break Some((next, loss_there, gradient_there));
                }
                length *= 0.5;
                if length < SHORTEST {
                    break None;
                }
            };
            let Some((next, loss_there, gradient_there)) = next else { break };
            curvature.learn(&next - &at, &gradient_there - &gradient);
            (at, loss, gradient) = (next, loss_there, gradient_there);
        }
        at.as_slice().to_vec()
    }

    /// The loss and its gradient.
    fn loss(&self, at: &DVector<f64>) -> (f64, DVector<f64>) {
        let split = self.count * self.class_weights.len();
        let weights = at.rows(0, split);
        let mut loss = self.l2 / 2.0 * weights.norm_squared();
        let mut gradient = DVector::zeros(at.len());
        gradient.rows_mut(0, split).copy_from(&(weights * self.l2));
        let parts: Vec<_> =
            self.parts.par_iter().map(|part| self.slopes(part, at.as_slice().split_at(split))).collect();
        for (of_part, of_weights, of_bias) in parts {
            loss += of_part;
            let slopes = of_weights.iter().chain(of_bias.iter());
            gradient.iter_mut().zip(slopes).for_each(|(sum, slope)| *sum += slope);
        }
        (loss, gradient)
    }

    /// What some samples add to the loss, to the slopes of the weights, a row a class, and to those of the biases.
    fn slopes(&self, part: &Part<'_>, (weights, bias): (&[f64], &[f64])) -> (f64, DMatrix<f64>, DVector<f64>) {
        let mut errors = DMatrixView::from_slice(weights, self.class_weights.len(), self.count) * &part.columns;
        let mut loss = 0.0;
        for (mut errors, &label) in errors.column_iter_mut().zip(part.labels) {
            errors.iter_mut().zip(bias).for_each(|(logit, bias)| *logit += bias);
            let (largest, right) = (errors.max(), errors[label]);
            errors.apply(|logit| *logit = (*logit - largest).exp());
            let weight = self.class_weights[label] / self.total;
            let sum = errors.sum();
            loss += weight * (sum.ln() + largest - right);
            errors *= weight / sum;
            errors[label] -= weight;
        }
        (loss, &errors * &part.rows, errors.column_sum())
    }
}

/// A step is taken when the loss falls by this share of what the slope promises.
const ENOUGH: f64 = 1e-4;
/// What a loss may rise by as its sums are rounded.
const ROUNDING: f64 = 1e-14;
/// Share of a step below which none is looked for.
const SHORTEST: f64 = 1e-9;

/// How slopes have changed along the last steps.
#[derive(Default)]
struct Curvature(VecDeque<(DVector<f64>, DVector<f64>)>);

impl Curvature {
    /// Steps that are remembered.
    const STEPS: usize = 10;

    /// Remembers how the slope has changed along a step.
    fn learn(&mut self, step: DVector<f64>, change: DVector<f64>) {
        if step.dot(&change) > 0.0 {
            if self.0.len() == Self::STEPS {
                self.0.pop_front();
            }
            self.0.push_back((step, change));
        }
    }

    /// Divides by the curvature; by the slope's length where none is known.
    fn divide(&self, slope: &DVector<f64>) -> DVector<f64> {
        let mut divided = slope.clone();
        let share = |(step, change): &(DVector<f64>, DVector<f64>)| {
            let share = step.dot(&divided) / step.dot(change);
            divided.axpy(-share, change, 1.0);
            share
        };
        let shares: Vec<f64> = self.0.iter().rev().map(share).collect();
        divided *= match self.0.back() {
            Some((step, change)) => step.dot(change) / change.norm_squared(),
            None => 1.0 / slope.norm().max(1.0),
        };
        for ((step, change), share) in self.0.iter().zip(shares.iter().rev()) {
            divided.axpy(share - change.dot(&divided) / step.dot(change), step, 1.0);
        }
        divided
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEATURES: [f32; 12] = [1.0, 2.0, 2.0, 1.0, 3.0, 5.0, 4.0, 3.0, 0.5, 4.0, 2.5, 2.5];
    const LABELS: [usize; 6] = [0, 1, 2, 1, 2, 0];

    fn assert_near(made: &[f32], expected: &[f32]) {
        assert_eq!(made.len(), expected.len());
        let near = |(made, expected): (&f32, &f32)| (made - expected).abs() < 1e-5;
        assert!(made.iter().zip(expected).all(near), "{made:?} {expected:?}");
    }

    #[test]
    fn minima_are_those_of_scikit_learn() {
        // StandardScaler, then LogisticRegression(C=1 / (l2 * 6)) of scikit-learn 1.7, the scaler folded into both.
        let expected = [
            (
                0.5,
                [-0.117_451_5, 0.262_639_52, -0.145_188_03, -0.150_296_34, -0.238_060_9, 0.388_357_24],
                [0.737_910_6, 0.121_404_64, -0.859_315_2],
            ),
            (
                6.0,
                [-0.015_632_634, 0.031_829_31, -0.016_196_68, -0.020_509_985, -0.028_579_205, 0.049_089_19],
                [0.094_373_43, 0.014_470_899, -0.108_844_33],
            ),
        ];
        for (l2, weights, bias) in expected {
            let samples = Samples { features: &FEATURES, labels: &LABELS, class_weights: &[1.0; 3] };
            let made = fit(samples, l2, Effort::FULL);
            assert_near(&made.weights, &weights);
            assert_near(&made.bias, &bias);
        }
    }

    #[test]
    fn a_class_of_weight_2_counts_as_if_its_samples_came_twice() {
        let weighted =
            fit(Samples { features: &FEATURES, labels: &LABELS, class_weights: &[1.0, 1.0, 2.0] }, 0.1, Effort::FULL);
        // The scaler sees samples once, so the twins must not change it: compare what a constant scaler leaves, the
        // slopes.
        let problem = |features: &[f64], labels: &[usize], class_weights: &[f64]| {
            Problem::new(features, labels, class_weights, 0.1).minimise(Effort::FULL)
        };
        let (scaled, scaler) = standardise(&FEATURES, 6);
        let twins = [scaled.as_slice(), &scaled[4..6], &scaled[8..10]].concat();
        let repeated = problem(&twins, &[0, 1, 2, 1, 2, 0, 2, 2], &[1.0; 3]);
        for (feature, (_, deviation)) in scaler.iter().enumerate() {
            let expected: Vec<f32> = repeated[feature * 3..][..3].iter().map(|w| (w / deviation) as f32).collect();
            assert_near(&weighted.weights[feature * 3..][..3], &expected);
        }
    }

    #[test]
    fn a_layer_names_the_class_of_its_largest_logit() {
        let layer = Linear { weights: vec![1.0, 0.0, -1.0, 0.0, 2.0, 0.0], bias: vec![0.0, 0.0, 0.5] };
        assert_eq!(
            [[2.0, 0.0], [0.0, 1.0], [0.0, 0.0], [0.5, 0.25]].map(|features| layer.class(&features)),
            [0, 1, 2, 0]
        );
    }

    #[test]
    fn constant_features_have_no_weight() {
        let features: Vec<f32> = FEATURES.chunks_exact(2).flat_map(|pair| [pair[0], 7.0]).collect();
        let made = fit(Samples { features: &features, labels: &LABELS, class_weights: &[1.0; 3] }, 1.0, Effort::FULL);
        assert_near(&made.weights[3..], &[0.0; 3]);
    }
}
