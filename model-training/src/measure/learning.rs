//! Whether more pictures would help: the error of one recipe on the same unseen images, for more and more photographs to learn from,
//! and the power law that it follows (Cortes et al. 1993; Hestness et al. 2017): `error = scale · photographs^-exponent + floor`.
//!
//! Intervals are by drawing groups of images with replacement: every draw gives each point another error, and so another law.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::predictions::Predictions;
use crate::data::bootstrap::{self, Estimate, middle};

/// Draws of groups.
const DRAWS: usize = 500;
/// Seed of the draws.
const SEED: u64 = 1;
/// Floors that are tried, as shares of the least error.
const FLOORS: usize = 20;
/// Largest exponent: errors fall with the square of the number at most.
const STEEPEST: f64 = 2.0;
/// Gain of accuracy that is worth twice as many photographs.
const WORTH: f64 = 0.01;

/// The networks that learnt from so many photographs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Share of the photographs outside of a fold that were learnt from, 0 to 1.
    pub share: f64,
    /// How many photographs that is, in the mean over the folds.
    pub photographs: f64,
    /// Accuracy of the int8 models on all images, each by the fold that has not seen it.
    pub accuracy: Estimate,
    /// The accuracy of each fold.
    pub folds: Vec<f64>,
}

/// `error = scale · photographs^-exponent + floor`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PowerLaw {
    /// At one photograph, above the floor.
    pub scale: f64,
    /// 0 to 2; 0 is an error that stays.
    pub exponent: f64,
    /// What any number of photographs leaves.
    pub floor: f64,
}

/// What more photographs would bring.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LearningCurve {
    /// From few photographs to many.
    pub points: Vec<Point>,
    /// The law through the points.
    pub law: PowerLaw,
    /// What the law gains of accuracy from the most photographs to twice as many, with the middle 95 % over the draws.
    pub gain: Estimate,
}

impl PowerLaw {
    /// The error for so many photographs, 0 to 1.
    #[must_use]
    pub fn error(&self, photographs: f64) -> f64 {
        (self.scale * photographs.powf(-self.exponent) + self.floor).clamp(0.0, 1.0)
    }

    /// The law with the least squares of its errors' differences from these: of several floors the best, with scale and exponent by
    /// a straight line through the logarithms.
    fn fit(photographs: &[f64], errors: &[f64]) -> Self {
        let least = errors.iter().copied().fold(f64::INFINITY, f64::min);
        let with_floor = |step: usize| line(photographs, errors, least * step as f64 / FLOORS as f64);
        let squares = |law: &Self| -> f64 {
            photographs.iter().zip(errors).map(|(&count, error)| (law.error(count) - error).powi(2)).sum()
        };
        let laws = (0..FLOORS).map(with_floor);
        laws.min_by(|a, b| squares(a).total_cmp(&squares(b))).expect("floors are tried")
    }
}

/// The law with this floor.
fn line(photographs: &[f64], errors: &[f64], floor: f64) -> PowerLaw {
    let points: Vec<(f64, f64)> =
        photographs.iter().zip(errors).map(|(count, error)| (count.ln(), (error - floor).max(1e-4).ln())).collect();
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / points.len() as f64;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    let slope = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum::<f64>() / spread.max(1e-12);
    let exponent = (-slope).clamp(0.0, STEEPEST);
    PowerLaw { scale: (y + exponent * x).exp(), exponent, floor }
}

impl LearningCurve {
    /// Of networks that learnt from this share and this many photographs, what each said of the same images; from few photographs
    /// to many.
    ///
    /// # Panics
    /// When there are not two points of the same images.
    #[must_use]
    pub fn new(said: &[(f64, f64, Predictions)]) -> Self {
        let photographs: Vec<f64> = said.iter().map(|(_, photographs, _)| *photographs).collect();
        let points = said.iter().map(|(share, photographs, predictions)| point(*share, *photographs, predictions));
        let groups = errors_of_groups(said);
        let most = photographs[photographs.len() - 1];
        let law = PowerLaw::fit(&photographs, &errors(&mut groups.iter(), said.len()));
        let gain = |law: &PowerLaw| law.error(most) - law.error(2.0 * most);
        let mut random = ChaCha8Rng::seed_from_u64(SEED);
        let mut gains: Vec<f64> = (0..DRAWS)
            .map(|_| {
                let mut drawn = (0..groups.len()).map(|_| &groups[random.random_range(0..groups.len())]);
                gain(&PowerLaw::fit(&photographs, &errors(&mut drawn, said.len())))
            })
            .collect();
        let [low, high] = middle(&mut gains);
        Self { points: points.collect(), law, gain: Estimate { value: gain(&law), low, high } }
    }

    /// What it means, in sentences.
    #[must_use]
    pub fn verdict(&self) -> String {
        let Some(last) = self.points.last() else { return String::new() };
        let Estimate { value, low, high } = self.gain;
        let points = |gain: f64| format!("{:.1}", 100.0 * gain);
        let range = format!("{} points of accuracy (95 % interval {} to {})", points(value), points(low), points(high));
        let (now, twice) = (last.photographs.round(), (2.0 * last.photographs).round());
        if low > WORTH {
            format!("More photographs would help: {twice} instead of {now} would probably gain {range}.")
        } else if high < WORTH {
            format!(
                "More photographs of the same kind would hardly help: {twice} instead of {now} would gain {range}. Better labels, \
                 another network or other pictures might."
            )
        } else {
            format!("Whether more photographs would help cannot be told: {twice} instead of {now} would gain {range}.")
        }
    }
}

fn point(share: f64, photographs: f64, predictions: &Predictions) -> Point {
    let right = predictions.right();
    let mut folds: BTreeMap<Option<usize>, (f64, f64)> = BTreeMap::new();
    for (image, right) in predictions.images.iter().zip(&right) {
        let (sum, count) = folds.entry(image.fold).or_default();
        *sum += right;
        *count += 1.0;
    }
    let accuracy = bootstrap::mean(&predictions.clusters(), &right);
    Point { share, photographs, accuracy, folds: folds.into_values().map(|(sum, count)| sum / count).collect() }
}

/// Of each group the number of its images, and how many each point has wrong.
fn errors_of_groups(said: &[(f64, f64, Predictions)]) -> Vec<(f64, Vec<f64>)> {
    let mut groups: BTreeMap<&str, (f64, Vec<f64>)> = BTreeMap::new();
    for (at, (_, _, predictions)) in said.iter().enumerate() {
        for (group, right) in predictions.clusters().into_iter().zip(predictions.right()) {
            let (images, wrong) = groups.entry(group).or_insert_with(|| (0.0, vec![0.0; said.len()]));
            *images += if at == 0 { 1.0 } else { 0.0 };
            wrong[at] += 1.0 - right;
        }
    }
    groups.into_values().collect()
}

/// The share of wrong images of each point.
fn errors(groups: &mut dyn Iterator<Item = &(f64, Vec<f64>)>, points: usize) -> Vec<f64> {
    let (images, wrong) = groups.fold((0.0, vec![0.0; points]), |(images, mut sums), (count, wrong)| {
        sums.iter_mut().zip(wrong).for_each(|(sum, wrong)| *sum += wrong);
        (images + count, sums)
    });
    wrong.into_iter().map(|wrong| wrong / images).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::predictions::Prediction;

    const PHOTOGRAPHS: [f64; 4] = [100.0, 200.0, 400.0, 800.0];

    #[test]
    fn a_power_law_is_found_again() {
        for law in [
            PowerLaw { scale: 3.0, exponent: 0.5, floor: 0.0 },
            PowerLaw { scale: 4.0, exponent: 0.6, floor: 0.05 },
            PowerLaw { scale: 0.3, exponent: 0.0, floor: 0.0 },
        ] {
            let errors = PHOTOGRAPHS.map(|count| law.error(count));
            let found = PowerLaw::fit(&PHOTOGRAPHS, &errors);
            for count in [100.0, 800.0, 1600.0] {
                assert!((found.error(count) - law.error(count)).abs() < 0.005, "{law:?} and {found:?} at {count}");
            }
        }
        let rising = PowerLaw::fit(&PHOTOGRAPHS, &[0.2, 0.21, 0.22, 0.23]);
        assert_eq!(rising.exponent, 0.0);
    }

    /// What networks say of a thousand images of which these shares are wrong.
    fn curve(wrong: [f64; 4]) -> LearningCurve {
        let image = |index: usize, wrong: f64| Prediction {
            path: index.to_string(),
            label: 0,
            group: None,
            fold: Some(index % 5),
            float: vec![0.0; 2],
            // In an order in which those that many photographs leave wrong are wrong with few as well.
            int8: if ((index * 619) % 1000) as f64 / 1000.0 < wrong { vec![0, 1] } else { vec![1, 0] },
            scale: 1.0,
        };
        let predictions = |wrong| Predictions {
            classes: ["a", "b"].map(str::to_owned).to_vec(),
            images: (0..1000).map(|index| image(index, wrong)).collect(),
        };
        let said: Vec<_> =
            PHOTOGRAPHS.iter().zip(wrong).map(|(&count, wrong)| (count / 800.0, count, predictions(wrong))).collect();
        LearningCurve::new(&said)
    }

    #[test]
    fn a_falling_error_asks_for_more_and_a_flat_one_does_not() {
        let falling = curve([0.4, 0.28, 0.2, 0.14]);
        assert!((falling.gain.value - 0.042).abs() < 0.01, "{:?}", falling.gain);
        assert!(falling.gain.low < falling.gain.value && falling.gain.value < falling.gain.high);
        assert!(
            falling.verdict().starts_with("More photographs would help: 1600 instead of 800"),
            "{}",
            falling.verdict()
        );
        let flat = curve([0.1, 0.1, 0.1, 0.1]);
        assert!(flat.verdict().contains("hardly help"), "{} {:?}", flat.verdict(), flat.gain);
    }

    #[test]
    fn points_have_the_accuracy_of_all_images_and_of_each_fold() {
        let Point { accuracy, folds, photographs, share } = &curve([0.4, 0.28, 0.2, 0.14]).points[0];
        assert!((accuracy.value - 0.6).abs() < 1e-9 && accuracy.low < 0.6 && accuracy.high > 0.6);
        assert!((folds.iter().sum::<f64>() / 5.0 - 0.6).abs() < 1e-9 && folds.len() == 5);
        assert_eq!((*photographs, *share), (100.0, 0.125));
    }
}
