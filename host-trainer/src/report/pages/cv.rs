//! The page of a cross-validation.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use maud::{Markup, PreEscaped, html};
use model_compiler::quantise::noise::LayerSqnr;
use model_training::data::dataset::{Images, Sample, load};
use model_training::measure::cam::ClassMap;
use model_training::measure::confidence::{Confidence, answers};
use model_training::measure::predictions::{Prediction, Predictions};
use model_training::measure::scores::{FoldScore, Scores};
use model_training::run::cross_validation::{CvDir, Plan};
use model_training::system::html::{self, facts, section, table};
use model_training::system::read;

use super::calibration::of_folds;
use super::data::{Member, augmentation, augmented, copies, data, largest_groups};
use super::mistakes::{Mistakes, Said};
use super::{REPORT_FILE, sqnr, verdict};
use crate::report::made::Made;
use crate::report::verdict::of_folds as verdict_of_folds;
use crate::report::{export, plots};

/// The page of joined folds.
///
/// # Errors
/// When a fold's files cannot be read or a picture cannot be drawn. Photographs that are not there any more are left out.
pub fn cross_validation(
    dir: &CvDir,
    plan: &Plan,
    predictions: &Predictions,
    scores: &Scores,
    confidence: Option<&Confidence>,
) -> Result<String> {
    let record = dir.fold(0).record()?;
    let config = plan.config()?;
    let photographs = Photographs { plan, root: &record.root };
    let graphs = (0..plan.folds).filter_map(|fold| Some((Some(fold), ClassMap::new(dir.fold(fold).graph().ok()?)?)));
    let maps = graphs.collect();
    let temperature = confidence.map_or(1.0, |confidence| confidence.int8.temperature);
    let body = html! {
        (verdict(&verdict_of_folds(scores)))
        (section("Result", &result(scores)))
        (section("Mistakes, all folds", &photographs.mistakes(predictions, scores, (temperature, &maps))?))
        @match confidence {
            Some(confidence) => (section("Calibration", &of_folds(confidence)?)),
            None => (section("Calibration", &html! { p { "There are too few images to fit a temperature on." } })),
        }
        (section("Data", &html! { (data(&plan.classes, &sides(plan))) (or_note(photographs.groups())) }))
        (section("Augmentation", &or_note(photographs.changes())))
        (section("Training", &curves(dir, plan.folds)?))
        (section("Quantisation, the worst fold of each layer", &sqnr(&worst_layers(dir, plan.folds)?)))
        (section("How this was made", &Made::now(config.seed).to_html(Some(&record.hash))))
    };
    Ok(html::page(&format!("Cross-validation, {} folds", plan.folds), &body))
}

fn result(scores: &Scores) -> Markup {
    let lines = [
        ("accuracy, float", scores.float.accuracy.to_string()),
        ("accuracy, int8", scores.int8.accuracy.to_string()),
        ("int8 − float", scores.difference.to_string()),
        ("int8 says what float says", scores.agreement.to_string()),
        ("macro F1, float", format!("{:.3}", scores.float.macro_f1)),
        ("macro F1, int8", format!("{:.3}", scores.int8.macro_f1)),
        ("images", scores.images.to_string()),
        ("groups", scores.groups.to_string()),
    ];
    let row = |fold: &FoldScore| {
        let share = |right: usize| format!("{:.3}", right as f64 / fold.images as f64);
        let numbers = [fold.fold, fold.images, fold.groups].map(|number| number.to_string());
        numbers.into_iter().chain([share(fold.float), share(fold.int8)]).collect()
    };
    let rows: Vec<Vec<String>> = scores.folds.iter().map(row).collect();
    html! {
        p.soft { "In brackets: 95 % intervals, by drawing groups." }
        (facts(&lines))
        (table(&["fold", "images", "groups", "float", "int8"], &rows))
    }
}

fn sides(plan: &Plan) -> Vec<(String, Vec<Member<'_>>)> {
    let side = |fold: usize| {
        let images = plan.images.iter().filter(|image| image.fold == fold).map(|image| &image.sample);
        let members = images.map(|sample| Member { label: sample.label, group: sample.group.as_deref() });
        (format!("fold {fold}"), members.collect())
    };
    (0..plan.folds).map(side).collect()
}

/// The section, or why there is none.
fn or_note(section: Result<Markup>) -> Markup {
    section.unwrap_or_else(|error| html! { p { "The photographs cannot be shown: " (error) "." } })
}

/// The images of a plan, as far as they are still there.
struct Photographs<'a> {
    plan: &'a Plan,
    root: &'a Path,
}

impl Photographs<'_> {
    fn read(&self, samples: &[Sample]) -> Result<Images> {
        load(self.root, samples, &self.plan.config()?.input, &|_, _| {})
    }

    /// The images of the plan with these indices.
    fn planned(&self, indices: &[usize]) -> Vec<Sample> {
        indices.iter().map(|&index| self.plan.images[index].sample.clone()).collect()
    }

    fn groups(&self) -> Result<Markup> {
        let groups: Vec<Option<&str>> = self.plan.images.iter().map(|image| image.sample.group.as_deref()).collect();
        let largest = largest_groups(&groups);
        let shown: Vec<usize> = largest.iter().flat_map(|group| group.shown.iter().copied()).collect();
        copies(&self.read(&self.planned(&shown))?, &largest)
    }

    fn changes(&self) -> Result<Markup> {
        let (config, chosen) = (self.plan.config()?, augmented(self.plan.images.len()));
        let samples = self.planned(&chosen);
        let read = |input| load(self.root, &samples, input, &|_, _| {});
        augmentation(&chosen, [&read(&config.input)?, &read(&config.augment.source(&config.input))?], &config)
    }

    /// Predictions are in another order than the plan's images.
    fn mistakes(
        &self,
        predictions: &Predictions,
        scores: &Scores,
        (temperature, maps): (f32, &BTreeMap<Option<usize>, ClassMap>),
    ) -> Result<Markup> {
        let all: Vec<&Prediction> = predictions.images.iter().collect();
        let answers = answers(&all, &vec![temperature; all.len()])?;
        let mistakes = Mistakes::new(&scores.int8.confusion, predictions, &answers);
        let predicted = |index: usize| {
            let Prediction { path, label, group, .. } = all[index];
            (index, Sample { name: path.clone(), label: *label, group: group.clone(), digest: None })
        };
        let is_there = |(_, sample): &(usize, Sample)| sample.path(self.root).is_file();
        let there = mistakes.images().into_iter().map(predicted).filter(is_there);
        let (indices, samples): (Vec<usize>, Vec<Sample>) = there.unzip();
        let [confusion, float] = [&scores.int8, &scores.float].map(|score| &score.confusion);
        let said = Said { confusion, float, predictions, answers: &answers, maps };
        mistakes.to_html(&said, &self.read(&samples)?, &indices)
    }
}

fn curves(dir: &CvDir, folds: usize) -> Result<Markup> {
    let curves: Vec<String> = (0..folds).map(|fold| plots::curves(&dir.fold(fold).epochs()?)).collect::<Result<_>>()?;
    Ok(html! {
        @for (fold, curves) in curves.iter().enumerate() {
            details {
                summary { "fold " (fold) " (" a href={ "fold-" (fold) "/" (REPORT_FILE) } { "its own report" } ")" }
                (PreEscaped(curves))
            }
        }
    })
}

/// For each layer the fold with the lowest SQNR.
fn worst_layers(dir: &CvDir, folds: usize) -> Result<Vec<LayerSqnr>> {
    let mut worst: Vec<LayerSqnr> = Vec::new();
    for fold in 0..folds {
        let path = dir.fold(fold).file("report.json");
        let damaged = || format!("{} is missing or damaged: run the fold again", path.display());
        let text = read::text(&path, read::DATA).with_context(damaged)?;
        let report: export::Report = serde_json::from_str(&text).with_context(damaged)?;
        if worst.is_empty() {
            worst = report.layers;
            continue;
        }
        for (worst, layer) in worst.iter_mut().zip(report.layers) {
            if layer.db.unwrap_or(f64::INFINITY) < worst.db.unwrap_or(f64::INFINITY) {
                *worst = layer;
            }
        }
    }
    Ok(worst)
}
