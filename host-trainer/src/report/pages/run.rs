//! The page of a training run.

use anyhow::Result;

use super::parts::{
    Group, Member, augmentation, augmented, confidence, confusions, copies, data, facts, largest_groups, mistakes,
    section, sqnr, worst,
};
use crate::data::dataset::{Images, Loaded, Sample};
use crate::data::record::Record;
use crate::measure::confidence::{answers, float_forecasts, int8_forecasts, reliability, risk_coverage};
use crate::measure::predictions::{Prediction, Predictions};
use crate::report::export::Report;
use crate::report::plots;
use crate::run::folder::RunDir;
use crate::system::html;

/// The page of a run whose `predictions` are those of its test images, or of its validation images where there are no
/// others.
///
/// # Errors
/// When the run's files cannot be read or a picture cannot be drawn.
pub fn training_run(
    run: &RunDir,
    record: &Record,
    images: &Loaded,
    report: &Report,
    predictions: &Predictions,
) -> Result<String> {
    let config = run.config()?;
    let name = run.path().file_name().map_or("run".into(), |name| name.to_string_lossy());
    let (unseen, split) = if images.test.is_empty() { (&images.valid, "validation") } else { (&images.test, "test") };
    let largest = groups_of_training(record);
    let copied: Vec<usize> = largest.iter().flat_map(|group| group.shown.iter().copied()).collect();
    let sides = [("train", &record.train), ("validation", &record.valid), ("test", &record.test)]
        .map(|(name, entries)| (name.to_owned(), members(entries)));

    let mut body = summary(report);
    body += &section("Data", &(data(&record.classes, &sides) + &copies(&images.train.only(&copied), &largest)?));
    let chosen = augmented(record.train.len());
    let [originals, sources] = [&images.train, images.source()].map(|images| images.only(&chosen));
    body += &section("Augmentation", &augmentation(&chosen, [&originals, &sources], &config)?);
    body += &section("Training", &plots::curves(&run.epochs()?)?);
    if let Some(last) = report.comparison.splits.last() {
        let engines: Vec<(&str, _)> = last.engines.iter().map(|e| (e.name.as_str(), &e.confusion)).collect();
        body += &section(&format!("Confusion, {split} images"), &confusions(&record.classes, &engines)?);
    }
    body += &section(&format!("Probabilities, {split} images"), &probabilities(report, predictions)?);
    if let Some(of_folds) = &report.confidence {
        body += &section("Probabilities, cross-validated", &confidence(of_folds)?);
    }
    body += &section("Quantisation", &sqnr(&report.layers));
    body += &section("Worst mistakes", &worst_mistakes(unseen, report, predictions)?);
    Ok(html::page(&format!("Training run {name}"), &body))
}

fn groups_of_training(record: &Record) -> Vec<Group<'_>> {
    largest_groups(&record.train.iter().map(|sample| sample.group.as_deref()).collect::<Vec<_>>())
}

/// Indices of the training images that the page shows.
#[must_use]
pub fn shown(record: &Record) -> Vec<usize> {
    let copied = groups_of_training(record).into_iter().flat_map(|group| group.shown);
    copied.chain(augmented(record.train.len())).collect()
}

fn members(entries: &[Sample]) -> Vec<Member<'_>> {
    entries.iter().map(|entry| Member { label: entry.label, group: entry.group.as_deref() }).collect()
}

fn summary(report: &Report) -> String {
    let mut rows = Vec::new();
    for split in &report.comparison.splits {
        for engine in &split.engines {
            let agreement = engine.agreement.map_or_else(String::new, |agreement| agreement.same.to_string());
            rows.push(vec![split.name.clone(), engine.name.clone(), engine.accuracy.to_string(), agreement]);
        }
    }
    let table = html::table(&["images", "engine", "accuracy", "agreement with float"], &rows);
    let macs = format!("{:.2} million", report.macs as f64 / 1e6);
    let (method, rounds) = (report.quantisation.method.name(), report.quantisation.corrected);
    let sizes = facts(&[
        ("blob in flash, bytes", &report.flash),
        ("arena in RAM, bytes", &report.arena),
        ("multiply-accumulates", &macs),
        ("ranges of activations", &method),
        ("rounds of bias correction", &rounds),
        ("temperature", &format!("{:.3}", report.temperature)),
    ]);
    let notes: String = report.notes.iter().map(|note| format!("<p>{}</p>\n", html::escape(note))).collect();
    let verdict: String = report.verdict.iter().map(|said| format!("<p>{}</p>\n", html::escape(said))).collect();
    verdict + &table + &sizes + &notes
}

fn temperatures(report: &Report, predictions: &Predictions) -> Vec<f32> {
    vec![report.temperature; predictions.images.len()]
}

/// Reliability and risk-coverage of the run's own unseen images, at its temperature.
fn probabilities(report: &Report, predictions: &Predictions) -> Result<String> {
    let (truth, temperatures) = (predictions.truth(), temperatures(report, predictions));
    let float = reliability(&truth, &float_forecasts(predictions, &temperatures));
    let int8 = reliability(&truth, &int8_forecasts(predictions, &temperatures)?);
    let images: Vec<&Prediction> = predictions.images.iter().collect();
    let curve = risk_coverage(&answers(&images, &temperatures)?);
    let of = report.confidence.as_ref();
    let wanted = of.map_or(crate::measure::confidence::WANTED, |confidence| confidence.wanted);
    let chosen = of.and_then(|confidence| confidence.threshold);
    let threshold = chosen.and_then(|least| curve.iter().map(|point| point.threshold).find(|&byte| byte >= least));
    Ok(plots::reliability("Reliability", &[("float", &float), ("int8", &int8)])?
        + &plots::risk_coverage("Answers, int8", &curve, wanted, threshold)?)
}

fn worst_mistakes(unseen: &Images, report: &Report, predictions: &Predictions) -> Result<String> {
    let images: Vec<&Prediction> = predictions.images.iter().collect();
    let answers = answers(&images, &temperatures(report, predictions))?;
    let worst = worst(&answers);
    mistakes(&unseen.only(&worst), &worst, predictions, &answers)
}
