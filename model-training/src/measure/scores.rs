//! Accuracy, difference and agreement of float and int8 on images that were not trained on, with intervals over groups.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::data::bootstrap::{self, Estimate};
use crate::measure::comparison::text_table;
use crate::measure::metrics::Confusion;
use crate::measure::predictions::Predictions;

/// What predictions are worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Number of images.
    pub images: usize,
    /// Number of groups; an image without one counts as a group.
    pub groups: usize,
    /// The float network.
    pub float: Score,
    /// The int8 model.
    pub int8: Score,
    /// Accuracy of int8 minus that of float.
    pub difference: Estimate,
    /// Share of the images for which both say the same class.
    pub agreement: Estimate,
    /// Each fold by itself; none outside of a cross-validation.
    pub folds: Vec<FoldScore>,
}

/// One engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Share of the images that it has right.
    pub accuracy: Estimate,
    /// Mean F1 of the classes.
    pub macro_f1: f64,
    /// Images by true and predicted class.
    pub confusion: Confusion,
}

/// One fold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoldScore {
    /// Counted from 0.
    pub fold: usize,
    /// Number of images.
    pub images: usize,
    /// Number of groups.
    pub groups: usize,
    /// Images that the float network has right.
    pub float: usize,
    /// Images that the int8 model has right.
    pub int8: usize,
}

/// One for each pair that is equal, 0 for each that is not.
fn equal(a: &[usize], b: &[usize]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| f64::from(u8::from(a == b))).collect()
}

fn minus(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

impl Scores {
    /// Counts.
    #[must_use]
    pub fn new(predictions: &Predictions) -> Self {
        let (truth, float, int8) = (predictions.truth(), predictions.float(), predictions.int8());
        let groups = predictions.clusters();
        let (float_right, int8_right) = (equal(&truth, &float), equal(&truth, &int8));
        let score = |predicted: &[usize], right: &[f64]| {
            let confusion = Confusion::from_predictions(predictions.classes.len(), &truth, predicted);
            Score { accuracy: bootstrap::mean(&groups, right), macro_f1: confusion.macro_f1(), confusion }
        };
        let mut by_fold: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (index, image) in predictions.images.iter().enumerate() {
            image.fold.into_iter().for_each(|fold| by_fold.entry(fold).or_default().push(index));
        }
        let fold = |(fold, images): (usize, Vec<usize>)| FoldScore {
            fold,
            images: images.len(),
            groups: images.iter().map(|&index| groups[index]).collect::<BTreeSet<_>>().len(),
            float: images.iter().filter(|&&index| truth[index] == float[index]).count(),
            int8: images.iter().filter(|&&index| truth[index] == int8[index]).count(),
        };
        Self {
            classes: predictions.classes.clone(),
            images: truth.len(),
            groups: groups.iter().collect::<BTreeSet<_>>().len(),
            float: score(&float, &float_right),
            int8: score(&int8, &int8_right),
            difference: bootstrap::lead(&groups, &int8_right, &float_right),
            agreement: bootstrap::mean(&groups, &equal(&float, &int8)),
            folds: by_fold.into_iter().map(fold).collect(),
        }
    }

    /// Tables for people.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut table = text_table(&["fold", "images", "groups", "float", "int8"], 1);
        for fold in &self.folds {
            let share = |right: usize| format!("{:.3}", right as f64 / fold.images as f64);
            let FoldScore { fold, images, groups, float, int8 } = *fold;
            table.add_row([fold.to_string(), images.to_string(), groups.to_string(), share(float), share(int8)]);
        }
        let mut text = if self.folds.is_empty() { String::new() } else { format!("{}\n\n", table.trim_fmt()) };
        text += &format!("{} images in {} groups; 95 % intervals by drawing groups\n", self.images, self.groups);
        for (name, score) in [("float", &self.float), ("int8", &self.int8)] {
            text += &format!("{name:<14}accuracy {}, macro F1 {:.3}\n", score.accuracy, score.macro_f1);
        }
        text + &format!("{:<14}{}\n{:<14}{}\n", "int8 - float", self.difference, "agreement", self.agreement)
    }
}

/// Two runs on the same images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Paired {
    /// Number of images.
    pub images: usize,
    /// Number of groups.
    pub groups: usize,
    /// The float networks.
    pub float: PairedScore,
    /// The int8 models.
    pub int8: PairedScore,
}

/// One engine of two runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairedScore {
    /// Accuracy of the first run.
    pub first: Estimate,
    /// Accuracy of the second.
    pub second: Estimate,
    /// Accuracy of the second minus that of the first.
    pub difference: Estimate,
    /// Images that only the first has right.
    pub only_first: usize,
    /// Images that only the second has right.
    pub only_second: usize,
}

impl PairedScore {
    /// Of two engines that are right, 1, or wrong, 0, an entry an image; `groups` names each image's group.
    ///
    /// # Panics
    /// When the lists differ in length.
    #[must_use]
    pub fn new(groups: &[&str], first: &[f64], second: &[f64]) -> Self {
        let difference = minus(second, first);
        let count = |value: f64| difference.iter().filter(|&&found| found == value).count();
        Self {
            first: bootstrap::mean(groups, first),
            second: bootstrap::mean(groups, second),
            only_first: count(-1.0),
            only_second: count(1.0),
            difference: bootstrap::mean(groups, &difference),
        }
    }
}

impl Paired {
    /// Compares the runs image by image.
    ///
    /// # Errors
    /// When they are not about the same images, classes and groups.
    pub fn new(first: &Predictions, second: &Predictions) -> Result<Self> {
        let [first, second] = [first, second].map(|run| {
            let mut run = run.clone();
            run.images.sort_by(|a, b| a.path.cmp(&b.path));
            run
        });
        ensure!(
            first.classes == second.classes,
            "the runs tell different classes apart, {} and {}: compare runs on one data set, or on pictures that neither has \
             learnt from, `--data DIR`",
            first.classes.join(", "),
            second.classes.join(", ")
        );
        let names = |run: &Predictions| run.images.iter().map(|image| image.path.clone()).collect::<BTreeSet<_>>();
        let (a, b) = (names(&first), names(&second));
        let only: Vec<&String> = a.symmetric_difference(&b).take(3).map(|name| name as _).collect();
        ensure!(
            only.is_empty(),
            "the runs were scored on different images, among them {only:?}: compare runs on one data set and split, or \
             on pictures that neither has learnt from, `--data DIR`"
        );
        let about = |run: &Predictions| run.images.iter().map(|i| (i.label, i.group.clone())).collect::<Vec<_>>();
        ensure!(
            about(&first) == about(&second),
            "the runs have different labels or groups: use one groups file for both"
        );

        let (truth, groups) = (first.truth(), first.clusters());
        let score = |a: &[usize], b: &[usize]| PairedScore::new(&groups, &equal(&truth, a), &equal(&truth, b));
        Ok(Self {
            images: truth.len(),
            groups: groups.iter().collect::<BTreeSet<_>>().len(),
            float: score(&first.float(), &second.float()),
            int8: score(&first.int8(), &second.int8()),
        })
    }

    /// A table for people.
    #[must_use]
    pub fn to_text(&self) -> String {
        let header = ["engine", "first", "second", "second - first", "only first right", "only second right"];
        let mut table = text_table(&header, 1);
        for (name, score) in [("float", &self.float), ("int8", &self.int8)] {
            table.add_row([
                name.to_owned(),
                format!("{:.3}", score.first.value),
                format!("{:.3}", score.second.value),
                score.difference.to_string(),
                score.only_first.to_string(),
                score.only_second.to_string(),
            ]);
        }
        format!(
            "{} images in {} groups; 95 % intervals by drawing groups\n{}\n",
            self.images,
            self.groups,
            table.trim_fmt()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::predictions::Prediction;

    /// Images of two classes; each is (true class, float's class, int8's class, group, fold).
    fn predictions(images: &[(usize, usize, usize, &str, usize)]) -> Predictions {
        let image = |(index, &(label, float, int8, group, fold)): (usize, &(usize, usize, usize, &str, usize))| {
            let mut prediction = Prediction {
                path: format!("{index:02}.png"),
                label,
                group: Some(group.to_owned()),
                fold: Some(fold),
                float: vec![0.0; 2],
                int8: vec![0; 2],
                scale: 0.1,
            };
            prediction.float[float] = 1.0;
            prediction.int8[int8] = 1;
            prediction
        };
        Predictions { classes: vec!["a".into(), "b".into()], images: images.iter().enumerate().map(image).collect() }
    }

    #[test]
    fn scores_by_hand() {
        let scores =
            Scores::new(&predictions(&[(0, 0, 0, "p", 0), (0, 0, 1, "p", 0), (1, 1, 1, "q", 1), (1, 0, 0, "r", 1)]));
        assert_eq!((scores.images, scores.groups), (4, 3));
        assert_eq!((scores.float.accuracy.value, scores.int8.accuracy.value), (0.75, 0.5));
        assert_eq!((scores.difference.value, scores.agreement.value), (-0.25, 0.75));
        assert_eq!(scores.int8.confusion.counts, [[1, 1], [1, 1]]);
        assert_eq!(
            scores.folds,
            [
                FoldScore { fold: 0, images: 2, groups: 1, float: 2, int8: 1 },
                FoldScore { fold: 1, images: 2, groups: 2, float: 1, int8: 1 }
            ]
        );
        // All three draws may be of group p, which int8 has half right and float wholly.
        assert_eq!((scores.difference.low, scores.difference.high), (-0.5, 0.0));
        let text = scores.to_text();
        assert!(text.contains("4 images in 3 groups") && text.contains("int8 - float  -0.250"), "{text}");
    }

    #[test]
    fn pairs_by_hand_in_any_order() {
        let first = predictions(&[(0, 0, 0, "p", 0), (0, 1, 1, "p", 0), (1, 1, 1, "q", 1), (1, 1, 0, "r", 1)]);
        let mut second = predictions(&[(0, 0, 1, "p", 0), (0, 0, 0, "p", 0), (1, 1, 1, "q", 1), (1, 1, 1, "r", 1)]);
        second.images.reverse();
        let paired = Paired::new(&first, &second).unwrap();
        assert_eq!((paired.float.first.value, paired.float.second.value), (0.75, 1.0));
        assert_eq!(paired.float.difference.value, 0.25);
        assert_eq!((paired.int8.only_first, paired.int8.only_second), (1, 2));
        let same = Paired::new(&first, &first).unwrap();
        assert_eq!(same.int8.difference, Estimate { value: 0.0, low: 0.0, high: 0.0 });
    }

    #[test]
    fn different_images_groups_or_classes_are_no_pair() {
        let first = predictions(&[(0, 0, 0, "p", 0), (1, 1, 1, "q", 0)]);
        let mut fewer = first.clone();
        fewer.images.pop();
        assert!(Paired::new(&first, &fewer).unwrap_err().to_string().contains("01.png"));
        let regrouped = predictions(&[(0, 0, 0, "p", 0), (1, 1, 1, "p", 0)]);
        assert!(Paired::new(&first, &regrouped).unwrap_err().to_string().contains("groups"));
        let mut renamed = first.clone();
        renamed.classes[0] = "z".into();
        assert!(Paired::new(&first, &renamed).unwrap_err().to_string().contains("z, b"));
    }
}
