//! Temperature and threshold from cross-validation: fitted on all folds for the model that ships, judged on each fold by
//! what the other folds alone would have given.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use model_compiler::graph::softmax;
use model_compiler::quantise::calibrate::temperature;
use no_std_infer::argmax;
use serde::{Deserialize, Serialize};

use super::{Answer, Bin, Forecast, Measures, Point, engine_bytes, perfect_ece, reliability, risk_coverage, threshold};
use crate::data::bootstrap::{self, Estimate};
use crate::measure::comparison::text_table;
use crate::measure::predictions::{Prediction, Predictions};

/// Fewest images that a temperature is fitted on.
const FEWEST_IMAGES: usize = 200;

/// The probabilities of float network and int8 model, and when not to answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Confidence {
    /// Number of images.
    pub images: usize,
    /// The float network.
    pub float: Calibrated,
    /// The int8 model, its probabilities the bytes that the engine gives; a byte of 0 stands for half a 256th.
    pub int8: Calibrated,
    /// The int8 model's bytes at its temperature: how many answers each threshold leaves, and how many of them right.
    pub curve: Vec<Point>,
    /// Share of the answers that is wanted right.
    pub wanted: f64,
    /// Least byte that is answered; `None` where no threshold reaches what is wanted.
    pub threshold: Option<u8>,
    /// Share of the images that is answered, cross-fitted.
    pub coverage: Estimate,
    /// Share of those answers that is right; 0 without an answer.
    pub accuracy: Estimate,
}

/// One engine's probabilities, before and after its temperature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibrated {
    /// Fitted on all folds: for the model that ships.
    pub temperature: f32,
    /// Without a temperature.
    pub before: Measures,
    /// With one, cross-fitted.
    pub after: Measures,
    /// The middle 95 % of the ECE of a perfectly calibrated model with the probabilities of `after`.
    pub perfect_ece: [f64; 2],
    /// Reliability diagrams, before and after.
    pub reliability: [Vec<Bin>; 2],
}

impl Confidence {
    /// Fits and judges on joined folds; `wanted` is the share of the answers to be right, 0 to 1.
    ///
    /// # Errors
    /// When the predictions are no cross-validation's, or too few.
    pub fn new(predictions: &Predictions, wanted: f64) -> Result<Self> {
        let images = &predictions.images;
        let folds: BTreeSet<Option<usize>> = images.iter().map(|image| image.fold).collect();
        ensure!(
            folds.len() > 1 && !folds.contains(&None),
            "calibration needs the joined folds of a cross-validation: give a folder that `cv` made"
        );
        ensure!(
            images.len() >= FEWEST_IMAGES,
            "calibration needs at least {FEWEST_IMAGES} images, and the cross-validation has {}",
            images.len()
        );
        let all: Vec<&Prediction> = images.iter().collect();
        let mut others = BTreeMap::new();
        for &fold in &folds {
            let outside: Vec<&Prediction> = images.iter().filter(|image| image.fold != fold).collect();
            let float = fit(&outside, float_logits);
            others.insert(fold, (float, Int8Fit::new(&outside, wanted)?));
        }
        let ones = vec![1.0; images.len()];
        let float = Calibrated::new(
            predictions,
            fit(&all, float_logits),
            [
                &float_forecasts(predictions, &ones),
                &float_forecasts(predictions, &images.iter().map(|image| others[&image.fold].0).collect::<Vec<_>>()),
            ],
        );
        let temperatures: Vec<f32> = images.iter().map(|image| others[&image.fold].1.temperature).collect();
        let shipped = Int8Fit::new(&all, wanted)?;
        let int8 = Calibrated::new(
            predictions,
            shipped.temperature,
            [&int8_forecasts(predictions, &ones)?, &int8_forecasts(predictions, &temperatures)?],
        );
        let answers = answers(&all, &temperatures)?;
        let given = |(answer, image): (&Answer<'_>, &Prediction)| {
            others[&image.fold].1.threshold.is_some_and(|least| answer.byte >= least)
        };
        let given: Vec<bool> = answers.iter().zip(images).map(given).collect();
        let right = answers.iter().zip(&given).filter(|(_, given)| **given).map(|(a, _)| (a.group, a.right));
        Ok(Self {
            images: images.len(),
            float,
            int8,
            wanted,
            threshold: shipped.threshold,
            curve: shipped.curve,
            coverage: share(answers.iter().map(|answer| answer.group).zip(given.iter().copied())),
            accuracy: share(right),
        })
    }
}

/// What the int8 model gets from some images.
struct Int8Fit {
    temperature: f32,
    curve: Vec<Point>,
    threshold: Option<u8>,
}

impl Int8Fit {
    fn new(images: &[&Prediction], wanted: f64) -> Result<Self> {
        let temperature = fit(images, Prediction::int8_real);
        let curve = risk_coverage(&answers(images, &vec![temperature; images.len()])?);
        Ok(Self { temperature, threshold: threshold(&curve, wanted), curve })
    }
}

impl Calibrated {
    /// Measures forecasts before and after a temperature.
    fn new(predictions: &Predictions, temperature: f32, [before, after]: [&[Forecast]; 2]) -> Self {
        let truth = predictions.truth();
        Self {
            temperature,
            before: Measures::new(&truth, before),
            after: Measures::new(&truth, after),
            perfect_ece: perfect_ece(&predictions.clusters(), after),
            reliability: [reliability(&truth, before), reliability(&truth, after)],
        }
    }

    /// Whether a perfectly calibrated model has an ECE as large as this one's after its temperature in one of 40 cases or
    /// more.
    #[must_use]
    pub fn is_calibrated(&self) -> bool {
        self.after.ece <= self.perfect_ece[1]
    }
}

fn float_logits(image: &Prediction) -> Vec<f32> {
    image.float.clone()
}

fn fit(images: &[&Prediction], logits: impl Fn(&Prediction) -> Vec<f32>) -> f32 {
    let logits: Vec<Vec<f32>> = images.iter().map(|image| logits(image)).collect();
    temperature(&logits, &images.iter().map(|image| image.label).collect::<Vec<_>>())
}

/// The float network's forecasts with a temperature for each image.
#[must_use]
pub fn float_forecasts(predictions: &Predictions, temperatures: &[f32]) -> Vec<Forecast> {
    let forecast = |((image, class), &temperature): ((&Prediction, usize), &f32)| Forecast {
        class,
        probabilities: softmax(&image.float, temperature),
    };
    predictions.images.iter().zip(predictions.float()).zip(temperatures).map(forecast).collect()
}

/// The int8 model's forecasts with a temperature for each image: the engine's bytes, a 0 taken for half a 256th.
///
/// # Errors
/// When the logits' scale is too small for the softmax.
pub fn int8_forecasts(predictions: &Predictions, temperatures: &[f32]) -> Result<Vec<Forecast>> {
    let forecast = |(image, &temperature): (&Prediction, &f32)| {
        let bytes = engine_bytes(&image.int8, image.scale, temperature)?;
        let probabilities = bytes.iter().map(|&byte| f64::from(byte).max(0.5) / 256.0).collect();
        Ok(Forecast { class: argmax(&image.int8), probabilities })
    };
    predictions.images.iter().zip(temperatures).map(forecast).collect()
}

/// The int8 model's answers with a temperature for each image.
///
/// # Errors
/// When the logits' scale is too small for the softmax.
pub fn answers<'p>(images: &[&'p Prediction], temperatures: &[f32]) -> Result<Vec<Answer<'p>>> {
    let answer = |(image, &temperature): (&&'p Prediction, &f32)| {
        let class = argmax(&image.int8);
        let byte = engine_bytes(&image.int8, image.scale, temperature)?[class];
        Ok(Answer { byte, right: class == image.label, group: image.cluster() })
    };
    images.iter().zip(temperatures).map(answer).collect()
}

fn share<'g>(values: impl Iterator<Item = (&'g str, bool)>) -> Estimate {
    let (groups, values): (Vec<&str>, Vec<f64>) = values.map(|(group, is)| (group, f64::from(u8::from(is)))).unzip();
    bootstrap::mean(&groups, &values)
}

impl Confidence {
    /// A table and what it means, for people.
    #[must_use]
    pub fn to_text(&self) -> String {
        let header = ["engine", "temperature", "NLL", "Brier", "ECE", "perfect model's ECE"];
        let mut table = text_table(&header, 2);
        for (name, engine) in [("float", &self.float), ("int8", &self.int8)] {
            let [low, high] = engine.perfect_ece;
            let band = format!("{low:.3} to {high:.3}");
            for (temperature, m, band) in [
                ("1".to_owned(), engine.before, String::new()),
                (format!("{:.3}", engine.temperature), engine.after, band),
            ] {
                let [nll, brier, ece] = [m.nll, m.brier, m.ece].map(|value| format!("{value:.3}"));
                table.add_row([name.to_owned(), temperature, nll, brier, ece, band]);
            }
        }
        format!(
            "Probabilities, temperatures fitted on the other folds\n{}\n{}\n",
            table.trim_fmt(),
            self.decision_text()
        )
    }

    /// When the model answers, in a sentence.
    #[must_use]
    pub fn decision_text(&self) -> String {
        let wanted = 100.0 * self.wanted;
        match self.threshold {
            Some(threshold) => format!(
                "answers from {threshold} of 256 on, for {wanted} of 100 answers right; cross-fitted it answers {} of the \
                 images, {} of these right",
                self.coverage, self.accuracy
            ),
            None => {
                format!("no threshold makes {wanted} of 100 answers right in enough groups: the model always answers")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Images of two classes whose logits are `sharpness` times too large: the class with the larger logit is right with the
    /// probability that the softmax of the logits themselves gives. Each has a group and one of four folds.
    fn overconfident(sharpness: f32) -> Predictions {
        let image = |index: usize| {
            let level = index % 8;
            let logit = 0.5 * (level as f32 + 1.0);
            let probability = 1.0 / (1.0 + (-logit).exp());
            // Of the 50 images of a level, as many are right as the probability says.
            let right = ((index / 8) as f32 + 0.5) / 50.0 < probability;
            let first = index.is_multiple_of(3);
            let [high, low] = [sharpness * logit, 0.0];
            let float = if first { vec![high, low] } else { vec![low, high] };
            Prediction {
                path: format!("{index}.png"),
                label: usize::from(first != right),
                group: None,
                fold: Some(index * 7 / 8 % 4),
                int8: float.iter().map(|logit| (logit * 4.0 / sharpness).round() as i8).collect(),
                float,
                scale: sharpness / 4.0,
            }
        };
        Predictions { classes: vec!["a".into(), "b".into()], images: (0..400).map(image).collect() }
    }

    #[test]
    fn a_temperature_undoes_overconfidence() {
        let confidence = Confidence::new(&overconfident(4.0), 0.9).unwrap();
        for engine in [&confidence.float, &confidence.int8] {
            assert!((engine.temperature / 4.0 - 1.0).abs() < 0.1, "{}", engine.temperature);
            assert!(engine.after.nll < engine.before.nll && engine.after.brier < engine.before.brier);
            assert!(engine.after.ece < 0.06 && engine.before.ece > 0.1, "{engine:?}");
            assert!(engine.is_calibrated());
        }
        let same = Confidence::new(&overconfident(4.0), 0.9).unwrap();
        assert_eq!(confidence, same);
    }

    #[test]
    fn the_threshold_reaches_what_is_wanted() {
        let confidence = Confidence::new(&overconfident(2.0), 0.9).unwrap();
        let least = confidence.threshold.unwrap();
        let at = confidence.curve.iter().find(|point| point.threshold == least).unwrap();
        assert!(at.accuracy() >= 0.9 && at.answered < 400);
        assert!(confidence.curve.iter().all(|point| point.threshold >= least || point.accuracy() < 0.9));
        assert!((confidence.accuracy.value - 0.9).abs() < 0.05 && confidence.coverage.value < 1.0);
        let never = Confidence::new(&overconfident(2.0), 1.0).unwrap();
        assert!(never.threshold.is_none() && never.coverage.value < 0.1, "{:?} {}", never.threshold, never.coverage);
        assert!(never.to_text().contains("always answers"));
    }

    #[test]
    fn too_few_images_or_no_folds_are_refused() {
        let mut few = overconfident(1.0);
        few.images.truncate(36);
        assert!(Confidence::new(&few, 0.9).unwrap_err().to_string().contains("36"));
        let mut single = overconfident(1.0);
        single.images.iter_mut().for_each(|image| image.fold = None);
        assert!(Confidence::new(&single, 0.9).unwrap_err().to_string().contains("joined folds"));
    }
}
