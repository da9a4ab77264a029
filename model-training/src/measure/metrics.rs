//! What is counted about predictions: accuracy with its interval, the confusion matrix and what follows from it,
//! agreement between two engines.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::data::bootstrap;

/// The 97.5 % quantile of the standard normal distribution, for two-sided 95 % intervals.
const Z: f64 = 1.959_963_984_540_054;

/// A share of a whole with its 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// How many of `total`.
    pub count: usize,
    /// Size of the whole.
    pub total: usize,
    /// `count / total`, 0 to 1; 0 when `total` is 0.
    pub value: f64,
    /// Lower end of the interval, 0 to 1.
    pub low: f64,
    /// Upper end of the interval, 0 to 1.
    pub high: f64,
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} ({} of {}; {:.3} to {:.3})", self.value, self.count, self.total, self.low, self.high)
    }
}

impl Share {
    /// `count` of `total` with Wilson's score interval, without continuity correction: E. B. Wilson, "Probable
    /// inference, the law of succession, and statistical inference", JASA 22 (1927) 209-212; method 3 in
    /// R. G. Newcombe, Statistics in Medicine 17 (1998) 857-872. Of nothing, the interval is 0 to 1.
    #[must_use]
    pub fn new(count: usize, total: usize) -> Self {
        if total == 0 {
            return Self { count, total, value: 0.0, low: 0.0, high: 1.0 };
        }
        let n = total as f64;
        let p = count as f64 / n;
        let denominator = 1.0 + Z * Z / n;
        let centre = (p + Z * Z / (2.0 * n)) / denominator;
        let half = Z / denominator * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        let low = if count == 0 { 0.0 } else { (centre - half).max(0.0) };
        let high = if count == total { 1.0 } else { (centre + half).min(1.0) };
        Self { count, total, value: p, low, high }
    }
}

impl Share {
    /// The share of the images that are `hit`, with an interval over groups where some group has several: `groups` names each
    /// image's. Where all or none are hit, so are all or none in every drawing of groups, and the interval is Wilson's for as
    /// many images as there are groups.
    ///
    /// # Panics
    /// When the lists differ in length.
    #[must_use]
    pub fn over(hit: &[bool], groups: &[&str]) -> Self {
        let share = Self::new(hit.iter().filter(|hit| **hit).count(), hit.len());
        let distinct = groups.iter().collect::<BTreeSet<_>>().len();
        let (low, high) = if distinct == groups.len() {
            (share.low, share.high)
        } else if share.count == 0 || share.count == share.total {
            let share = Self::new(share.count.min(distinct), distinct);
            (share.low, share.high)
        } else {
            let values: Vec<f64> = hit.iter().map(|&hit| f64::from(u8::from(hit))).collect();
            let drawn = bootstrap::mean(groups, &values);
            (drawn.low, drawn.high)
        };
        Self { low, high, ..share }
    }
}

/// Counts of images by true and predicted class. As JSON, the number of classes and the entries that are not 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Entries", try_from = "Entries")]
pub struct Confusion {
    /// `counts[truth][predicted]`, as many rows as columns.
    pub counts: Vec<Vec<usize>>,
}

/// A [`Confusion`] as it is written.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Entries {
    /// What is not 0, each with its true and its predicted class.
    Sparse { classes: usize, entries: Vec<(usize, usize, usize)> },
    /// All rows, as earlier versions wrote them.
    Dense { counts: Vec<Vec<usize>> },
}

impl From<Confusion> for Entries {
    fn from(confusion: Confusion) -> Self {
        Self::Sparse { classes: confusion.classes(), entries: confusion.entries().collect() }
    }
}

impl TryFrom<Entries> for Confusion {
    type Error = &'static str;

    fn try_from(entries: Entries) -> Result<Self, Self::Error> {
        let (classes, entries) = match entries {
            Entries::Sparse { classes, entries } => (classes, entries),
            Entries::Dense { counts } => {
                let square = counts.iter().all(|row| row.len() == counts.len());
                return if square { Ok(Self { counts }) } else { Err("the matrix is not square") };
            }
        };
        let mut confusion = Self::new(classes);
        for (truth, predicted, count) in entries {
            let entry = confusion.counts.get_mut(truth).and_then(|row| row.get_mut(predicted));
            *entry.ok_or("an entry is of no class")? = count;
        }
        Ok(confusion)
    }
}

/// How well one class is found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassMetrics {
    /// Share of the predictions of this class that are right; 0 when it is never predicted.
    pub precision: f64,
    /// Share of the images of this class that are found; 0 when there is none.
    pub recall: f64,
    /// Harmonic mean of precision and recall; 0 when both are.
    pub f1: f64,
    /// Number of images of this class.
    pub support: usize,
}

impl Confusion {
    /// A matrix of zeros for so many classes.
    #[must_use]
    pub fn new(classes: usize) -> Self {
        Self { counts: vec![vec![0; classes]; classes] }
    }

    /// Counts pairs of true and predicted class.
    ///
    /// # Panics
    /// When the lists differ in length or name a class that is not below `classes`.
    #[must_use]
    pub fn from_predictions(classes: usize, truth: &[usize], predicted: &[usize]) -> Self {
        assert_eq!(truth.len(), predicted.len(), "one prediction an image");
        let mut confusion = Self::new(classes);
        for (&truth, &predicted) in truth.iter().zip(predicted) {
            confusion.counts[truth][predicted] += 1;
        }
        confusion
    }

    /// What is not 0: true class, predicted class, number of images.
    pub fn entries(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        let rows = self.counts.iter().enumerate();
        let all =
            rows.flat_map(|(truth, row)| row.iter().enumerate().map(move |(class, &count)| (truth, class, count)));
        all.filter(|&(_, _, count)| count > 0)
    }

    /// The entries of wrong predictions, those of most images first.
    #[must_use]
    pub fn mistakes(&self) -> Vec<(usize, usize, usize)> {
        let mut wrong: Vec<_> = self.entries().filter(|(truth, predicted, _)| truth != predicted).collect();
        wrong.sort_by_key(|&(truth, predicted, count)| (std::cmp::Reverse(count), truth, predicted));
        wrong
    }

    /// Number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.counts.len()
    }

    /// Number of images.
    #[must_use]
    pub fn total(&self) -> usize {
        self.counts.iter().flatten().sum()
    }

    /// Share of the images whose class is predicted rightly.
    #[must_use]
    pub fn accuracy(&self) -> Share {
        let correct = self.counts.iter().enumerate().map(|(class, row)| row[class]).sum();
        Share::new(correct, self.total())
    }

    /// Precision, recall and F1 of each class.
    #[must_use]
    pub fn per_class(&self) -> Vec<ClassMetrics> {
        let of = |part: usize, whole: usize| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        (0..self.classes())
            .map(|class| {
                let right = self.counts[class][class];
                let support = self.counts[class].iter().sum();
                let predicted = self.predicted(class);
                ClassMetrics {
                    precision: of(right, predicted),
                    recall: of(right, support),
                    f1: of(2 * right, predicted + support),
                    support,
                }
            })
            .collect()
    }

    /// Number of images predicted to be of a class.
    fn predicted(&self, class: usize) -> usize {
        self.counts.iter().map(|row| row[class]).sum()
    }

    /// Mean F1 of the classes that occur as truth or as prediction (as in scikit-learn); 0 when none does.
    #[must_use]
    pub fn macro_f1(&self) -> f64 {
        let per_class = self.per_class();
        let occurring = per_class.iter().enumerate().filter(|(class, m)| m.support + self.predicted(*class) > 0);
        let (sum, count) = occurring.fold((0.0, 0), |(sum, count), (_, m)| (sum + m.f1, count + 1));
        if count == 0 { 0.0 } else { sum / f64::from(count) }
    }
}

/// How far two engines say the same about the same images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// Images for which both predict the same class.
    pub same: Share,
    /// Images that the reference has right and the candidate wrong.
    pub newly_wrong: usize,
    /// Images that the reference has wrong and the candidate right.
    pub newly_right: usize,
}

impl Agreement {
    /// Compares the predictions of a candidate with those of a reference.
    ///
    /// # Panics
    /// When the lists differ in length.
    #[must_use]
    pub fn between(truth: &[usize], reference: &[usize], candidate: &[usize]) -> Self {
        assert!(truth.len() == reference.len() && truth.len() == candidate.len(), "one prediction an image");
        let count = |holds: fn(usize, usize, usize) -> bool| {
            truth.iter().zip(reference).zip(candidate).filter(|&((&t, &r), &c)| holds(t, r, c)).count()
        };
        Self {
            same: Share::new(count(|_, r, c| r == c), truth.len()),
            newly_wrong: count(|t, r, c| r == t && c != t),
            newly_right: count(|t, r, c| r != t && c == t),
        }
    }

    /// Number of images of which only one of the two is right.
    #[must_use]
    pub fn changed_correctness(&self) -> usize {
        self.newly_wrong + self.newly_right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64, within: f64) {
        assert!((a - b).abs() <= within, "{a} is not {b} within {within}");
    }

    #[test]
    fn wilson_intervals_are_those_of_newcombe() {
        // Newcombe (1998), table I, method 3.
        for (count, total, low, high) in
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
        {
            let share = Share::new(count, total);
            close(share.low, low, 5e-5);
            close(share.high, high, 5e-5);
            let mirrored = Share::new(total - count, total);
            close(mirrored.low, 1.0 - share.high, 1e-12);
            close(mirrored.high, 1.0 - share.low, 1e-12);
        }
    }

    #[test]
    fn nothing_tells_nothing() {
        assert_eq!(Share::new(0, 0), Share { count: 0, total: 0, value: 0.0, low: 0.0, high: 1.0 });
        assert_eq!(Confusion::new(3).macro_f1(), 0.0);
    }

    #[test]
    fn class_metrics_by_hand() {
        // Class 0: 2 of 3 found, 1 false alarm. Class 1: 1 of 2 found. Class 2: absent, predicted once. Class 3: neither.
        let confusion = Confusion::from_predictions(4, &[0, 0, 0, 1, 1], &[0, 0, 2, 1, 0]);
        assert_eq!(confusion.counts[0], [2, 0, 1, 0]);
        assert_eq!(confusion.accuracy(), Share::new(3, 5));
        let per_class = confusion.per_class();
        let expected =
            [(2.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0, 3), (1.0, 0.5, 2.0 / 3.0, 2), (0.0, 0.0, 0.0, 0), (0.0, 0.0, 0.0, 0)];
        for (m, (precision, recall, f1, support)) in per_class.iter().zip(expected) {
            close(m.precision, precision, 1e-12);
            close(m.recall, recall, 1e-12);
            close(m.f1, f1, 1e-12);
            assert_eq!(m.support, support);
        }
        close(confusion.macro_f1(), (2.0 / 3.0 + 2.0 / 3.0 + 0.0) / 3.0, 1e-12);
    }

    #[test]
    fn agreement_counts_each_way() {
        // Same and right, same and wrong, newly wrong, newly right, both wrong in different ways.
        let agreement = Agreement::between(&[0, 0, 1, 1, 2], &[0, 1, 1, 0, 0], &[0, 1, 0, 1, 1]);
        assert_eq!(agreement.same, Share::new(2, 5));
        assert_eq!((agreement.newly_wrong, agreement.newly_right, agreement.changed_correctness()), (1, 1, 2));
    }
}
