//! How far probabilities can be believed: what they cost against the truth, whether they are calibrated, and when a model
//! should rather not answer.

mod crossfit;
mod engine;
mod risk;

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::data::bootstrap::middle;

pub use crossfit::{Calibrated, Confidence, answers, float_forecasts, int8_forecasts};
pub use engine::engine_bytes;
pub use risk::{Answer, Point, risk_coverage, threshold};

/// Share of the answers that is wanted right where nobody says otherwise.
pub const WANTED: f64 = 0.9;
/// Bins of the reliability diagram and of the ECE.
pub const BINS: usize = 15;
/// Simulations of a perfectly calibrated model.
const SIMULATIONS: usize = 1000;
/// Seed of the simulations.
const SEED: u64 = 1;

/// What was predicted for one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// The class that is answered, a likeliest one.
    pub class: usize,
    /// Probability of each class, more than 0; their sum may miss 1 by rounding.
    pub probabilities: Vec<f64>,
}

impl Forecast {
    /// Probability of the class that is answered.
    #[must_use]
    pub fn confidence(&self) -> f64 {
        self.probabilities[self.class]
    }
}

/// What probabilities cost against the truth; the mean over images of each.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    /// Negative log-likelihood of the true class, nats.
    pub nll: f64,
    /// Sum over the classes of the squared difference of probability and truth (G. W. Brier, Monthly Weather Review 78
    /// (1950) 1-3): 0 to 2.
    pub brier: f64,
    /// Expected calibration error, see [`expected_calibration_error`].
    pub ece: f64,
}

impl Measures {
    /// Measures forecasts of images whose classes are `truth`; 0 for no image.
    ///
    /// # Panics
    /// When the lists differ in length or name a class without a probability.
    #[must_use]
    pub fn new(truth: &[usize], forecasts: &[Forecast]) -> Self {
        assert_eq!(truth.len(), forecasts.len(), "one forecast an image");
        let mean = |cost: fn(usize, &Forecast) -> f64| {
            truth.iter().zip(forecasts).map(|(&truth, forecast)| cost(truth, forecast)).sum::<f64>()
                / truth.len().max(1) as f64
        };
        Self {
            nll: mean(|truth, forecast| -forecast.probabilities[truth].ln()),
            brier: mean(|truth, forecast| {
                let cost = |(class, p): (usize, &f64)| (p - f64::from(u8::from(class == truth))).powi(2);
                forecast.probabilities.iter().enumerate().map(cost).sum()
            }),
            ece: expected_calibration_error(&reliability(truth, forecasts)),
        }
    }
}

/// The images whose confidence lies in one of [`BINS`] equal parts of 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Number of images.
    pub images: usize,
    /// Sum of their confidences.
    pub confidence: f64,
    /// Number that is right.
    pub right: usize,
}

/// The reliability diagram: bin `m` of M holds the confidences in (m/M, (m+1)/M].
///
/// # Panics
/// When the lists differ in length.
#[must_use]
pub fn reliability(truth: &[usize], forecasts: &[Forecast]) -> Vec<Bin> {
    assert_eq!(truth.len(), forecasts.len(), "one forecast an image");
    bins(forecasts, |index| forecasts[index].class == truth[index])
}

fn bins(forecasts: &[Forecast], right: impl Fn(usize) -> bool) -> Vec<Bin> {
    let mut bins = vec![Bin::default(); BINS];
    for (index, forecast) in forecasts.iter().enumerate() {
        let confidence = forecast.confidence();
        let bin = &mut bins[((confidence * BINS as f64).ceil() as usize).clamp(1, BINS) - 1];
        bin.images += 1;
        bin.confidence += confidence;
        bin.right += usize::from(right(index));
    }
    bins
}

/// Mean over images of the distance between a bin's accuracy and its mean confidence (M. P. Naeini et al., "Obtaining Well
/// Calibrated Probabilities Using Bayesian Binning", AAAI 2015; C. Guo et al., "On Calibration of Modern Neural Networks",
/// ICML 2017, equation 3).
#[must_use]
pub fn expected_calibration_error(bins: &[Bin]) -> f64 {
    let distances: f64 = bins.iter().map(|bin| (bin.right as f64 - bin.confidence).abs()).sum();
    distances / bins.iter().map(|bin| bin.images).sum::<usize>().max(1) as f64
}

/// The middle 95 % of the ECE that a perfectly calibrated model has: one whose labels are drawn from its probabilities.
/// Images of a group are drawn by one random number, since copies of one photograph are right or wrong together; that
/// widens the band, as grouping widens every interval.
///
/// # Panics
/// When the lists differ in length.
#[must_use]
pub fn perfect_ece(groups: &[&str], forecasts: &[Forecast]) -> [f64; 2] {
    assert_eq!(groups.len(), forecasts.len(), "one group an image");
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut simulate = || {
        let mut draws: BTreeMap<&str, f64> = BTreeMap::new();
        groups.iter().for_each(|group| {
            draws.entry(group).or_insert_with(|| random.random());
        });
        let drawn = |index: usize| draw(&forecasts[index].probabilities, draws[groups[index]]);
        expected_calibration_error(&bins(forecasts, |index| drawn(index) == forecasts[index].class))
    };
    let mut errors: Vec<f64> = (0..SIMULATIONS).map(|_| simulate()).collect();
    middle(&mut errors)
}

/// The class whose part of the probabilities, laid end to end, covers the share `at` of the whole.
fn draw(probabilities: &[f64], at: f64) -> usize {
    let mut left = at * probabilities.iter().sum::<f64>();
    let covers = |p: &f64| {
        left -= p;
        left < 0.0
    };
    probabilities.iter().position(covers).unwrap_or(probabilities.len() - 1)
}

#[cfg(test)]
pub(crate) mod tests {
    use model_compiler::graph::class;

    use super::*;

    pub(crate) fn forecast(probabilities: &[f64]) -> Forecast {
        Forecast { class: class(probabilities), probabilities: probabilities.to_vec() }
    }

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-12, "{a} is not {b}");
    }

    #[test]
    fn measures_by_hand() {
        let forecasts = [forecast(&[0.5, 0.25, 0.25]), forecast(&[0.125, 0.75, 0.125])];
        let measures = Measures::new(&[1, 1], &forecasts);
        close(measures.nll, (4.0_f64.ln() + (4.0_f64 / 3.0).ln()) / 2.0);
        // (0.25 + 0.5625 + 0.0625) and (0.015625 + 0.0625 + 0.015625).
        close(measures.brier, (0.875 + 0.09375) / 2.0);
        // One image each in the bins of 0.5 (wrong) and of 0.75 (right).
        close(measures.ece, (0.5 + 0.25) / 2.0);
        assert_eq!(Measures::new(&[], &[]), Measures { nll: 0.0, brier: 0.0, ece: 0.0 });
    }

    #[test]
    fn bins_hold_their_upper_ends() {
        let confidence = |p: f64| Forecast { class: 0, probabilities: vec![p, 1.0 - p] };
        let forecasts = [0.2, 0.2 + 1e-9, 1.0, 0.0].map(confidence);
        let bins = reliability(&[0, 1, 0, 0], &forecasts);
        let filled: Vec<(usize, usize, usize)> =
            bins.iter().enumerate().filter(|(_, b)| b.images > 0).map(|(i, b)| (i, b.images, b.right)).collect();
        assert_eq!(filled, [(0, 1, 1), (2, 1, 1), (3, 1, 0), (14, 1, 1)]);
    }

    #[test]
    fn errors_of_one_bin_cancel_and_those_of_two_add() {
        // Confidence 0.7, right 7 times in 10: calibrated. The same with all at 0.9: off by 0.2.
        let truth: Vec<usize> = (0..10).map(|i| usize::from(i >= 7)).collect();
        close(Measures::new(&truth, &vec![forecast(&[0.7, 0.3]); 10]).ece, 0.0);
        close(Measures::new(&truth, &vec![forecast(&[0.9, 0.1]); 10]).ece, 0.2);
        // Half at 0.9 and all wrong, half at 0.6 and all right: 0.9 and 0.4, not their difference.
        let forecasts = [vec![forecast(&[0.9, 0.1]); 5], vec![forecast(&[0.6, 0.4]); 5]].concat();
        let truth: Vec<usize> = (0..10).map(|i| usize::from(i < 5)).collect();
        close(Measures::new(&truth, &forecasts).ece, (0.9 + 0.4) / 2.0);
    }

    #[test]
    fn draws_follow_the_probabilities() {
        let probabilities = [0.25, 0.5, 0.125];
        let drawn: Vec<usize> = (0..7).map(|step| draw(&probabilities, (f64::from(step) + 0.5) / 7.0)).collect();
        assert_eq!(drawn, [0, 0, 1, 1, 1, 1, 2]);
        assert_eq!(draw(&probabilities, 1.0), 2);
    }

    #[test]
    fn a_perfect_model_is_as_far_off_as_its_variance_says_and_copies_make_it_worse() {
        // All in one bin: the ECE is |accuracy − 0.6|, normal with standard error sqrt(0.24 / n).
        let forecasts = vec![forecast(&[0.6, 0.4]); 400];
        let error = (0.24_f64 / 400.0).sqrt();
        let groups: Vec<String> = (0..400).map(|i| i.to_string()).collect();
        let alone: Vec<&str> = groups.iter().map(String::as_str).collect();
        let [low, high] = perfect_ece(&alone, &forecasts);
        assert!(low < 0.1 * error && (high / error - 2.24).abs() < 0.2, "{low} {high} {error}");
        assert_eq!(perfect_ece(&alone, &forecasts), [low, high]);
        let of_four: Vec<String> = (0..400).map(|i| (i / 4).to_string()).collect();
        let copies: Vec<&str> = of_four.iter().map(String::as_str).collect();
        let [_, wide] = perfect_ece(&copies, &forecasts);
        assert!((wide / high - 2.0).abs() < 0.3, "{wide} {high}");
    }
}
