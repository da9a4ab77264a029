//! When a model should rather not answer: accuracy against coverage, and the threshold that reaches an accuracy.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Fewest groups that a threshold rests on: among fewer, an accuracy reached is likely luck.
const FEWEST_GROUPS: usize = 20;

/// What a model said about one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// Probability of the class answered, in 256ths.
    pub byte: u8,
    /// Whether it is the true class.
    pub right: bool,
    /// Images of one group show the same photograph.
    pub group: &'a str,
}

/// A point of the risk-coverage curve (Y. Geifman, R. El-Yaniv, "Selective Classification for Deep Neural Networks",
/// NeurIPS 2017): the answers whose probability is `threshold` or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// Least probability that is answered, in 256ths.
    pub threshold: u8,
    /// Images that are answered.
    pub answered: usize,
    /// Those of them that are right.
    pub right: usize,
    /// Groups that have an answer.
    pub groups: usize,
}

impl Point {
    /// Share of the answers that is right, 0 to 1.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        self.right as f64 / self.answered.max(1) as f64
    }
}

/// A point for each probability that occurs, from the lowest, at which all is answered, to the highest.
#[must_use]
pub fn risk_coverage(answers: &[Answer<'_>]) -> Vec<Point> {
    let mut sorted = answers.to_vec();
    sorted.sort_by_key(|answer| std::cmp::Reverse(answer.byte));
    let mut points: Vec<Point> = Vec::new();
    let (mut right, mut groups) = (0, BTreeSet::new());
    for (index, answer) in sorted.iter().enumerate() {
        right += usize::from(answer.right);
        groups.insert(answer.group);
        let point = Point { threshold: answer.byte, answered: index + 1, right, groups: groups.len() };
        match points.last_mut().filter(|last| last.threshold == answer.byte) {
            Some(last) => *last = point,
            None => points.push(point),
        }
    }
    points.reverse();
    points
}

/// The lowest threshold at which a share `accuracy` of the answers is right, in at least 20 groups; `None` where there is
/// none.
#[must_use]
pub fn threshold(curve: &[Point], accuracy: f64) -> Option<u8> {
    let reaches = |point: &&Point| point.groups >= FEWEST_GROUPS && point.accuracy() >= accuracy;
    curve.iter().find(reaches).map(|point| point.threshold)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_by_hand() {
        let answer = |byte, right, group| Answer { byte, right, group };
        let answers = [
            answer(200, true, "a"),
            answer(80, false, "b"),
            answer(200, false, "a"),
            answer(255, true, "c"),
            answer(100, true, "b"),
        ];
        let curve: Vec<_> =
            risk_coverage(&answers).iter().map(|p| (p.threshold, p.answered, p.right, p.groups)).collect();
        assert_eq!(curve, [(80, 5, 3, 3), (100, 4, 3, 3), (200, 3, 2, 2), (255, 1, 1, 1)]);
        assert_eq!(risk_coverage(&[]), []);
    }

    #[test]
    fn the_lowest_threshold_that_reaches_the_accuracy_in_enough_groups() {
        let point = |threshold, right, groups| Point { threshold, answered: 100, right, groups };
        let curve = [point(10, 60, 90), point(20, 90, 50), point(30, 85, 30), point(40, 95, 20), point(50, 100, 19)];
        assert_eq!(threshold(&curve, 0.9), Some(20));
        assert_eq!(threshold(&curve, 0.91), Some(40));
        assert_eq!(threshold(&curve, 0.96), None);
        assert_eq!(threshold(&curve, 0.0), Some(10));
    }
}
