//! Labels that may be wrong, by confident learning (Northcutt, Jiang and Chuang 2021): what models that were not trained on a
//! picture say of it, against how sure they are of each class elsewhere.
//!
//! The images of one photograph under one label are one case, with the mean of their probabilities. A class's threshold is the
//! mean probability that cases of this label have of it. A case is suspected where another class reaches its own threshold with
//! a larger probability than the label's: so that a class that the model is never sure of accuses as easily as one that it always
//! is. Suspects are sorted by the margin: how far the other class is above its threshold, less how far the label's is.

use std::collections::BTreeMap;

use model_compiler::graph::{class, softmax};
use serde::Serialize;

use super::predictions::Predictions;

/// A photograph whose label may be wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Suspect {
    /// Paths of its images below the data folder.
    pub paths: Vec<String>,
    /// The class that it is filed under.
    pub label: usize,
    /// The class that the models say.
    pub said: usize,
    /// Mean probability of the label, 0 to 1.
    pub of_label: f64,
    /// Mean probability of what is said, 0 to 1.
    pub of_said: f64,
    /// How suspicious it is, -2 to 2; the larger, the more.
    pub margin: f64,
}

/// What is suspected of a data set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Suspects {
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Number of photographs that were looked at; one under two labels counts twice.
    pub photographs: usize,
    /// Share of the photographs whose label the models say, 0 to 1.
    pub agreement: f64,
    /// The most suspicious first.
    pub suspects: Vec<Suspect>,
}

/// The images of one photograph under one label.
struct Case {
    images: Vec<usize>,
    label: usize,
    probabilities: Vec<f64>,
}

impl Suspects {
    /// Looks at the float network's predictions, of images that it was not trained on.
    #[must_use]
    pub fn new(predictions: &Predictions) -> Self {
        let classes = predictions.classes.len();
        let cases = cases(predictions);
        let thresholds = thresholds(&cases, classes);
        let right = cases.iter().filter(|case| class(&case.probabilities) == case.label).count();
        let mut suspects: Vec<Suspect> =
            cases.iter().filter_map(|case| suspect(case, &thresholds, predictions)).collect();
        suspects.sort_by(|a, b| b.margin.total_cmp(&a.margin).then_with(|| a.paths.cmp(&b.paths)));
        Self {
            classes: predictions.classes.clone(),
            photographs: cases.len(),
            agreement: right as f64 / cases.len().max(1) as f64,
            suspects,
        }
    }

    /// How many are filed under one class and said to be another: label, said, count; the most first.
    #[must_use]
    pub fn pairs(&self) -> Vec<(usize, usize, usize)> {
        let mut counts: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        self.suspects.iter().for_each(|suspect| *counts.entry((suspect.label, suspect.said)).or_default() += 1);
        let mut pairs: Vec<_> = counts.into_iter().map(|((label, said), count)| (label, said, count)).collect();
        pairs.sort_by_key(|&(label, said, count)| (std::cmp::Reverse(count), label, said));
        pairs
    }
}

fn cases(predictions: &Predictions) -> Vec<Case> {
    let mut images: BTreeMap<(&str, usize), Vec<usize>> = BTreeMap::new();
    for (index, image) in predictions.images.iter().enumerate() {
        images.entry((image.cluster(), image.label)).or_default().push(index);
    }
    let case = |((_, label), images): ((&str, usize), Vec<usize>)| {
        let mut probabilities = vec![0.0; predictions.classes.len()];
        for &index in &images {
            let said = softmax(&predictions.images[index].float, 1.0);
            probabilities.iter_mut().zip(said).for_each(|(sum, share)| *sum += share / images.len() as f64);
        }
        Case { images, label, probabilities }
    };
    images.into_iter().map(case).collect()
}

/// Each class's mean probability among the cases of its label; none where it has no case.
fn thresholds(cases: &[Case], classes: usize) -> Vec<Option<f64>> {
    let mut sums = vec![(0.0, 0_usize); classes];
    for case in cases {
        let (sum, count) = &mut sums[case.label];
        *sum += case.probabilities[case.label];
        *count += 1;
    }
    sums.into_iter().map(|(sum, count)| (count > 0).then(|| sum / count as f64)).collect()
}

fn suspect(case: &Case, thresholds: &[Option<f64>], predictions: &Predictions) -> Option<Suspect> {
    let of_label = case.probabilities[case.label];
    let above = |class: usize| Some((class, case.probabilities[class] - thresholds[class]?));
    let others = (0..thresholds.len()).filter(|&class| class != case.label).filter_map(above);
    let (said, above_own) = others
        .filter(|&(class, above)| above >= 0.0 && case.probabilities[class] > of_label)
        .reduce(|first, other| if other.1 > first.1 { other } else { first })?;
    let (_, above_label) = above(case.label)?;
    let paths = case.images.iter().map(|&index| predictions.images[index].path.clone()).collect();
    let of_said = case.probabilities[said];
    Some(Suspect { paths, label: case.label, said, of_label, of_said, margin: above_own - above_label })
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, Normal};

    use super::*;
    use crate::measure::predictions::Prediction;

    fn prediction(path: &str, label: usize, group: Option<&str>, shares: &[f64]) -> Prediction {
        Prediction {
            path: path.to_owned(),
            label,
            group: group.map(str::to_owned),
            fold: Some(0),
            float: shares.iter().map(|share| share.ln() as f32).collect(),
            int8: vec![0; shares.len()],
            scale: 1.0,
        }
    }

    fn suspects(images: Vec<Prediction>) -> Suspects {
        Suspects::new(&Predictions { classes: ["a", "b", "c"].map(str::to_owned).to_vec(), images })
    }

    #[test]
    fn thresholds_are_the_classes_own_and_the_margin_is_by_hand() {
        let found = suspects(vec![
            prediction("1", 0, None, &[0.9, 0.05, 0.05]),
            prediction("2", 0, None, &[0.1, 0.7, 0.2]),
            prediction("3", 1, None, &[0.3, 0.6, 0.1]),
            // The model is never surer of b than this, so that 0.55 of it would be enough, but a's 0.4 is not.
            prediction("4", 1, None, &[0.4, 0.5, 0.1]),
            prediction("5", 2, None, &[0.1, 0.56, 0.34]),
        ]);
        // Thresholds: a (0.9 + 0.1) / 2 = 0.5, b (0.6 + 0.5) / 2 = 0.55, c 0.34.
        let shown: Vec<_> = found.suspects.iter().map(|s| (s.paths[0].as_str(), s.label, s.said)).collect();
        assert_eq!(shown, [("2", 0, 1), ("5", 2, 1)]);
        assert!((found.suspects[0].margin - ((0.7 - 0.55) - (0.1 - 0.5))).abs() < 1e-6);
        assert!((found.suspects[1].margin - (0.56 - 0.55)).abs() < 1e-6);
        assert_eq!((found.photographs, found.pairs()), (5, vec![(0, 1, 1), (2, 1, 1)]));
        assert!((found.agreement - 0.6).abs() < 1e-9);
    }

    #[test]
    fn of_classes_that_are_equally_likely_the_first_is_said() {
        let found = suspects(vec![
            prediction("1", 0, None, &[0.5, 0.5, 0.0]),
            prediction("2", 0, None, &[0.02, 0.49, 0.49]),
            prediction("3", 1, None, &[0.1, 0.45, 0.45]),
            prediction("4", 2, None, &[0.1, 0.45, 0.45]),
        ]);
        // The first and the third are right; b and c have the threshold 0.45, and 0.49 of the second.
        assert!((found.agreement - 0.5).abs() < 1e-9, "{found:?}");
        assert_eq!(found.suspects.iter().map(|suspect| (suspect.label, suspect.said)).collect::<Vec<_>>(), [(0, 1)]);
    }

    #[test]
    fn images_of_a_photograph_are_judged_together_under_each_label() {
        let found = suspects(vec![
            prediction("1", 0, Some("g"), &[0.2, 0.7, 0.1]),
            prediction("2", 0, Some("g"), &[0.4, 0.5, 0.1]),
            prediction("3", 1, Some("g"), &[0.3, 0.6, 0.1]),
            prediction("4", 0, None, &[0.8, 0.1, 0.1]),
        ]);
        assert_eq!(found.photographs, 3);
        assert_eq!(found.suspects.len(), 1);
        let Suspect { paths, of_label, of_said, .. } = &found.suspects[0];
        assert_eq!(paths, &["1", "2"]);
        assert!((of_label - 0.3).abs() < 1e-6 && (of_said - 0.6).abs() < 1e-6);
    }

    /// Pictures whose logits are noise around their true class, with so many of 100 labels wrong: recall and precision of the
    /// first as many suspects as there are wrong labels.
    fn found_of_wrong(wrong_of_100: usize) -> [f64; 2] {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let noise = Normal::new(0.0, 1.0).unwrap();
        let images = 2000;
        let picture = |index: usize| {
            let truth = rng.random_range(0..3);
            // One class is told with less certainty than the others.
            let signal = if truth == 2 { 2.0 } else { 3.5 };
            let logits: Vec<f64> =
                (0..3).map(|class| noise.sample(&mut rng) + f64::from(class == truth) * signal).collect();
            let wrong = index % 100 < wrong_of_100;
            let label = (truth as usize + usize::from(wrong)) % 3;
            let shares: Vec<f64> = logits.iter().map(|logit| logit.exp()).collect();
            prediction(&format!("{}/{index}", if wrong { "wrong" } else { "right" }), label, None, &shares)
        };
        let found = suspects((0..images).map(picture).collect());
        let wrong = images / 100 * wrong_of_100;
        let first = &found.suspects[..wrong.min(found.suspects.len())];
        let hits = first.iter().filter(|suspect| suspect.paths[0].starts_with("wrong")).count() as f64;
        [hits / wrong as f64, hits / first.len() as f64]
    }

    #[test]
    fn wrong_labels_come_first() {
        let [recall, precision] = found_of_wrong(5);
        println!("recall {recall:.2}, precision {precision:.2}");
        assert!(recall > 0.6 && precision > 0.6, "recall {recall}, precision {precision}, by chance 0.05");
    }

    #[test]
    fn nothing_is_suspected_where_the_models_agree_with_the_labels() {
        let sure = |index: usize| {
            let shares = [0, 1, 2].map(|class| if class == index % 3 { 0.8 } else { 0.1 });
            prediction(&index.to_string(), index % 3, None, &shares)
        };
        let found = suspects((0..30).map(sure).collect());
        assert!(found.suspects.is_empty() && (found.agreement - 1.0).abs() < 1e-9);
    }
}
