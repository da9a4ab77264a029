//! The page of a cross-validation.

use std::path::Path;

use anyhow::{Context, Result};
use model_compiler::quantise::noise::LayerSqnr;

use super::REPORT_FILE;
use super::parts::{
    Member, augmentation, augmented, confidence, confusions, copies, data, facts, largest_groups, mistakes, section,
    sqnr, worst,
};
use crate::data::dataset::{Images, Sample, load};
use crate::measure::confidence::{Confidence, answers};
use crate::measure::predictions::{Prediction, Predictions};
use crate::measure::scores::Scores;
use crate::report::export;
use crate::report::plots;
use crate::run::cross_validation::{CvDir, Plan};
use crate::system::html;

/// The page of joined folds.
///
/// # Errors
/// When a fold's files cannot be read or a picture cannot be drawn. Photographs that are not there any more are left out.
pub fn cross_validation(
    dir: &CvDir,
    plan: &Plan,
    predictions: &Predictions,
    scores: &Scores,
    of_folds: Option<&Confidence>,
) -> Result<String> {
    let root = dir.fold(0).record()?.root;
    let mut body = summary(scores);
    body += &section("Data", &(data(&plan.classes, &sides(plan)) + &or_note(groups(plan, &root))));
    body += &section("Augmentation", &or_note(changes(plan, &root)));
    body += &section("Training", &curves(dir, plan.folds)?);
    let engines = [("float", &scores.float.confusion), ("int8", &scores.int8.confusion)];
    body += &section("Confusion, all folds", &confusions(&plan.classes, &engines)?);
    body += &section("Probabilities", &of_folds.map_or_else(|| Ok(TOO_FEW.to_owned()), confidence)?);
    body += &section("Quantisation, the worst fold of each layer", &sqnr(&worst_layers(dir, plan.folds)?));
    let temperature = of_folds.map_or(1.0, |confidence| confidence.int8.temperature);
    body += &section("Worst mistakes", &or_note(worst_mistakes(plan, &root, predictions, temperature)));
    Ok(html::page(&format!("Cross-validation, {} folds", plan.folds), &body))
}

const TOO_FEW: &str = "<p>There are too few images to fit a temperature on.</p>\n";

fn summary(scores: &Scores) -> String {
    let facts = facts(&[
        ("accuracy, float", &scores.float.accuracy),
        ("accuracy, int8", &scores.int8.accuracy),
        ("int8 − float", &scores.difference),
        ("int8 says what float says", &scores.agreement),
        ("images", &scores.images),
        ("groups", &scores.groups),
    ]);
    let share = |right: usize, images: usize| format!("{:.3}", right as f64 / images as f64);
    let row = |fold: &crate::measure::scores::FoldScore| {
        let numbers = [fold.fold, fold.images, fold.groups].map(|number| number.to_string());
        numbers.into_iter().chain([share(fold.float, fold.images), share(fold.int8, fold.images)]).collect()
    };
    let rows: Vec<Vec<String>> = scores.folds.iter().map(row).collect();
    let folds = html::table(&["fold", "images", "groups", "float", "int8"], &rows);
    format!("<p class=\"soft\">In brackets: 95 % intervals, by drawing groups.</p>\n{facts}{folds}")
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
fn or_note(html: Result<String>) -> String {
    html.unwrap_or_else(|error| {
        format!("<p>The photographs cannot be shown: {}.</p>\n", html::escape(&error.to_string()))
    })
}

fn groups(plan: &Plan, root: &Path) -> Result<String> {
    let groups: Vec<Option<&str>> = plan.images.iter().map(|image| image.sample.group.as_deref()).collect();
    let largest = largest_groups(&groups);
    let shown: Vec<usize> = largest.iter().flat_map(|group| group.shown.iter().copied()).collect();
    copies(&read(plan, root, &shown)?, &largest)
}

/// Reads the images of the plan with these indices.
fn read(plan: &Plan, root: &Path, indices: &[usize]) -> Result<Images> {
    let samples: Vec<Sample> = indices.iter().map(|&index| plan.images[index].sample.clone()).collect();
    load(root, &samples, &plan.config()?.input, &|_, _| {})
}

fn changes(plan: &Plan, root: &Path) -> Result<String> {
    let (config, chosen) = (plan.config()?, augmented(plan.images.len()));
    let samples: Vec<Sample> = chosen.iter().map(|&index| plan.images[index].sample.clone()).collect();
    let read = |input| load(root, &samples, input, &|_, _| {});
    augmentation(&chosen, [&read(&config.input)?, &read(&config.augment.source(&config.input))?], &config)
}

fn curves(dir: &CvDir, folds: usize) -> Result<String> {
    let of = |fold: usize| {
        let curves = plots::curves(&dir.fold(fold).epochs()?)?;
        let link = format!("<a href=\"fold-{fold}/{REPORT_FILE}\">its own report</a>");
        Ok(format!("<details><summary>fold {fold} ({link})</summary>{curves}</details>\n"))
    };
    (0..folds).map(of).collect()
}

/// For each layer the fold with the lowest SQNR.
fn worst_layers(dir: &CvDir, folds: usize) -> Result<Vec<LayerSqnr>> {
    let mut worst: Vec<LayerSqnr> = Vec::new();
    for fold in 0..folds {
        let path = dir.fold(fold).file("report.json");
        let damaged = || format!("{} is missing or damaged: run the fold again", path.display());
        let text = std::fs::read_to_string(&path).with_context(damaged)?;
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

fn worst_mistakes(plan: &Plan, root: &Path, predictions: &Predictions, temperature: f32) -> Result<String> {
    let images: Vec<&Prediction> = predictions.images.iter().collect();
    let answers = answers(&images, &vec![temperature; images.len()])?;
    let worst = worst(&answers);
    mistakes(&read(plan, root, &worst)?, &worst, predictions, &answers)
}
