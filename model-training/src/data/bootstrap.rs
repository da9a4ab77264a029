//! Intervals by resampling groups. Images of one group show one photograph, so groups are what is drawn independently:
//! an interval over images would be too narrow.

use std::collections::BTreeMap;
use std::fmt;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Number of resamples.
const RESAMPLES: usize = 4000;
/// Standard errors in half a 95 % interval.
const HALF: f64 = 1.96;
/// Seed of the resamples: the same data give the same interval.
const SEED: u64 = 1;

/// A mean over images with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The mean.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(3);
        let Self { value, low, high } = self;
        write!(f, "{value:.digits$} [{low:.digits$}, {high:.digits$}]")
    }
}

impl Estimate {
    /// Whether a lead is more than its standard error: what is simpler, or usual, is kept otherwise (L. Breiman et al.,
    /// "Classification and Regression Trees", 1984, section 3.4.3).
    #[must_use]
    pub fn is_more_than_chance(&self) -> bool {
        self.value > self.standard_error()
    }

    /// As the interval tells, which is that of a normal value.
    #[must_use]
    pub fn standard_error(&self) -> f64 {
        (self.high - self.low) / (2.0 * HALF)
    }
}

/// Mean of `values`, one an image, with the percentile interval of the cluster bootstrap: as many groups as there are
/// are drawn with replacement, with all their images (A. C. Davison, D. V. Hinkley, "Bootstrap Methods and their
/// Application", Cambridge 1997, sections 3.8 and 5.3.1). `groups` names each image's group; 0 of nothing.
///
/// # Panics
/// When the lists differ in length.
#[must_use]
pub fn mean(groups: &[&str], values: &[f64]) -> Estimate {
    assert_eq!(groups.len(), values.len(), "one value an image");
    let mut sums: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for (group, value) in groups.iter().zip(values) {
        let (sum, images) = sums.entry(group).or_default();
        *sum += value;
        *images += 1.0;
    }
    let clusters: Vec<(f64, f64)> = sums.into_values().collect();
    if clusters.is_empty() {
        return Estimate { value: 0.0, low: 0.0, high: 0.0 };
    }
    let ratio = |clusters: &mut dyn Iterator<Item = (f64, f64)>| {
        let (sum, images) = clusters.fold((0.0, 0.0), |(sum, images), (s, n)| (sum + s, images + n));
        sum / images
    };
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| ratio(&mut (0..clusters.len()).map(|_| clusters[random.random_range(0..clusters.len())])))
        .collect();
    let [low, high] = middle(&mut means);
    Estimate { value: ratio(&mut clusters.iter().copied()), low, high }
}

/// By how much more `one` has on average than `other`, an entry an image each; see [`mean`].
///
/// # Panics
/// When the lists differ in length.
#[must_use]
pub fn lead<T: Copy + Into<f64>>(groups: &[&str], one: &[T], other: &[T]) -> Estimate {
    assert_eq!(one.len(), other.len(), "two values an image");
    let more: Vec<f64> = one.iter().zip(other).map(|(&one, &other)| one.into() - other.into()).collect();
    mean(groups, &more)
}

/// The ends of the middle 95 % of `values`.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn middle(values: &mut [f64]) -> [f64; 2] {
    values.sort_by(f64::total_cmp);
    let last = (values.len() - 1) as f64;
    [0.025, 0.975].map(|share: f64| values[(share * last).round() as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half the width of the interval over the standard error that the variance of a mean gives.
    fn half_width(groups: &[String], values: &[f64], standard_error: f64) -> f64 {
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        let estimate = mean(&groups, values);
        (estimate.high - estimate.low) / 2.0 / standard_error
    }

    #[test]
    fn the_width_is_that_of_the_known_variance() {
        // 400 shares of 0.3: variance p (1 - p) / n, and 1.96 standard errors on each side.
        let values: Vec<f64> = (0..400).map(|i| f64::from(u8::from(i % 10 < 3))).collect();
        let singles: Vec<String> = (0..400).map(|i| i.to_string()).collect();
        let alone = (0.3_f64 * 0.7 / 400.0).sqrt();
        assert!((half_width(&singles, &values, alone) - 1.96).abs() < 0.1);
        // Each value four times in a group: as many groups as before, so the width is the same.
        let copies: Vec<f64> = values.iter().flat_map(|&value| [value; 4]).collect();
        let grouped: Vec<String> = (0..1600).map(|i| (i / 4).to_string()).collect();
        assert!((half_width(&grouped, &copies, alone) - 1.96).abs() < 0.1);
        // Taken for 1600 independent images, the interval would be half as wide.
        let ungrouped: Vec<String> = (0..1600).map(|i| i.to_string()).collect();
        assert!((half_width(&ungrouped, &copies, alone) - 0.98).abs() < 0.05);
    }

    #[test]
    fn the_mean_is_that_of_images_and_nothing_is_random() {
        let groups = ["a", "a", "a", "b"];
        let first = mean(&groups, &[1.0, 1.0, 0.0, 0.0]);
        assert_eq!(first.value, 0.5);
        assert_eq!(first, mean(&groups, &[1.0, 1.0, 0.0, 0.0]));
        // Both ends are possible: only group b is drawn, only group a is drawn.
        assert_eq!((first.low, first.high), (0.0, 2.0 / 3.0));
        assert_eq!(mean(&["a", "b", "c"], &[0.25; 3]), Estimate { value: 0.25, low: 0.25, high: 0.25 });
        assert_eq!(mean(&[], &[]).value, 0.0);
        assert_eq!(format!("{first:.2}"), "0.50 [0.00, 0.67]");
    }

    #[test]
    fn the_middle_leaves_a_fortieth_on_each_side() {
        let mut values: Vec<f64> = (0..=1000).rev().map(f64::from).collect();
        assert_eq!(middle(&mut values), [25.0, 975.0]);
        assert_eq!(middle(&mut [3.0]), [3.0, 3.0]);
    }
}
