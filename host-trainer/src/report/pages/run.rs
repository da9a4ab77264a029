//! The page of a training run that has ended.

use anyhow::Result;
use maud::{Markup, PreEscaped, html};
use model_training::config::Config;
use model_training::data::dataset::{Images, Loaded, Sample};
use model_training::data::record::Record;
use model_training::measure::cam::ClassMap;
use model_training::measure::comparison::{Engine, Split};
use model_training::measure::confidence::{
    WANTED, answers, float_forecasts, int8_forecasts, reliability, risk_coverage,
};
use model_training::measure::predictions::{Prediction, Predictions};
use model_training::run::folder::RunDir;
use model_training::system::hints::{program, quoted};
use model_training::system::html::{self, facts, section, table};

use super::calibration::{OfRun, of_folds};
use super::data::{Group, Member, augmentation, augmented, copies, data, largest_groups};
use super::mistakes::{Mistakes, Said};
use super::{TWIN_FILE, sqnr, verdict};
use crate::report::export::{Report, choice_text};
use crate::report::{boards, plots};

/// The page of a run whose `predictions` are those of its test images, or of its validation images where there are no
/// others. It holds `twin`, the page of the run's blob.
///
/// # Errors
/// When the run's files cannot be read or a picture cannot be drawn.
pub fn training_run(
    run: &RunDir,
    record: &Record,
    images: &Loaded,
    report: &Report,
    predictions: &Predictions,
    twin: &str,
) -> Result<String> {
    let config = run.config()?;
    let (unseen, split) = if images.test.is_empty() { (&images.valid, "validation") } else { (&images.test, "test") };
    let body = html! {
        (verdict(&report.verdict))
        (in_this_browser(twin))
        (section("Result", &result(report)))
        (section(&format!("Mistakes, {split} images"), &mistakes(unseen, report, predictions, run)?))
        (section(&format!("Calibration, {split} images"), &calibration(report, predictions)?))
        @if let Some(confidence) = &report.confidence { (section("Calibration, cross-validated", &of_folds(confidence)?)) }
        @if let Some(target) = &report.target { (section("Target", &html! { p { (target.sentence()) } })) }
        @if !report.boards.is_empty() {
            (section("Boards", &boards::to_html(&report.boards, &program(), &quoted(&run.blob()))))
        }
        (section("Data", &html! { (of_record(record)) (shown_copies(record, &images.train)?) }))
        (section("Augmentation", &changes(record, [&images.train, images.source()], &config)?))
        (section("Training", &PreEscaped(plots::curves(&run.epochs()?)?)))
        (section("Quantisation", &quantisation(report)))
        @if let Some(made) = &report.made { (section("How this was made", &made.to_html(Some(&record.hash)))) }
    };
    Ok(html::page(&title(&report.name), &body))
}

/// The twin's page, which a browser reads once it is unfolded.
fn in_this_browser(twin: &str) -> Markup {
    html! {
        details id="twin" {
            summary { "Try it in this browser: the model as a device runs it, on your pictures or a camera" }
            iframe title="The model in this browser" srcdoc=(twin) loading="lazy" allow="camera" style="width:100%;height:48rem;border:0" {}
        }
        p.soft { "The same as a page of its own: " a href=(TWIN_FILE) { (TWIN_FILE) } "." }
    }
}

pub(super) fn title(name: &str) -> String {
    format!("Training run {name}")
}

/// Images of a record by class and split.
pub(super) fn of_record(record: &Record) -> Markup {
    let sides = [("train", &record.train), ("validation", &record.valid), ("test", &record.test)];
    data(&record.classes, &sides.map(|(name, entries)| (name.to_owned(), members(entries))))
}

fn members(entries: &[Sample]) -> Vec<Member<'_>> {
    entries.iter().map(|entry| Member { label: entry.label, group: entry.group.as_deref() }).collect()
}

/// The largest groups of copies among the training images.
pub(super) fn shown_copies(record: &Record, train: &Images) -> Result<Markup> {
    let largest = groups_of_training(record);
    let shown: Vec<usize> = largest.iter().flat_map(|group| group.shown.iter().copied()).collect();
    copies(&train.only(&shown), &largest)
}

/// What training sees of some images, which are among `images`: those that the network gets, and what augmentation samples.
pub(super) fn changes(record: &Record, images: [&Images; 2], config: &Config) -> Result<Markup> {
    let chosen = augmented(record.train.len());
    let [originals, sources] = images.map(|images| images.only(&chosen));
    augmentation(&chosen, [&originals, &sources], config)
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

fn result(report: &Report) -> Markup {
    let row = |(split, engine): (&Split, &Engine)| {
        let (accuracy, same) = (&engine.accuracy, engine.agreement.map(|agreement| agreement.same));
        vec![
            split.name.clone(),
            engine.name.clone(),
            format!("{} of {}", accuracy.count, accuracy.total),
            format!("{:.3}", accuracy.value),
            format!("{:.3} to {:.3}", accuracy.low, accuracy.high),
            format!("{:.3}", engine.macro_f1),
            same.map_or_else(String::new, |same| format!("{} of {}", same.count, same.total)),
        ]
    };
    let splits = &report.comparison.splits;
    let engines = splits.iter().flat_map(|split| split.engines.iter().map(move |engine| (split, engine)));
    let rows: Vec<Vec<String>> = engines.map(row).collect();
    let header = ["images", "engine", "right", "accuracy", "95 % interval", "macro F1", "says what float says"];
    html! {
        (table(&header, &rows))
        @for split in splits {
            @if let Some(groups) = split.groups {
                p.soft { "Intervals of " (split.name) " images are over " (groups) " groups of copies." }
            }
        }
    }
}

fn mistakes(unseen: &Images, report: &Report, predictions: &Predictions, run: &RunDir) -> Result<Markup> {
    let Some(Split { engines, .. }) = report.comparison.splits.last() else { return Ok(html! {}) };
    let [float, int8] = &engines[..] else { return Ok(html! {}) };
    let all: Vec<&Prediction> = predictions.images.iter().collect();
    let answers = answers(&all, &temperatures(report, predictions))?;
    let mistakes = Mistakes::new(&int8.confusion, predictions, &answers);
    let indices: Vec<usize> = mistakes.images().into_iter().collect();
    let maps = ClassMap::new(run.graph()?).map(|map| (None, map)).into_iter().collect();
    let said =
        Said { confusion: &int8.confusion, float: &float.confusion, predictions, answers: &answers, maps: &maps };
    mistakes.to_html(&said, &unseen.only(&indices), &indices)
}

fn temperatures(report: &Report, predictions: &Predictions) -> Vec<f32> {
    vec![report.temperature; predictions.images.len()]
}

/// Reliability and risk-coverage of the run's own unseen images, at its temperature.
fn calibration(report: &Report, predictions: &Predictions) -> Result<Markup> {
    let (truth, temperatures) = (predictions.truth(), temperatures(report, predictions));
    let float = reliability(&truth, &float_forecasts(predictions, &temperatures));
    let int8 = reliability(&truth, &int8_forecasts(predictions, &temperatures)?);
    let images: Vec<&Prediction> = predictions.images.iter().collect();
    let curve = risk_coverage(&answers(&images, &temperatures)?);
    let of = report.confidence.as_ref();
    let chosen = of.and_then(|confidence| confidence.threshold);
    let of_run = OfRun {
        temperature: report.temperature,
        measures: report.probabilities,
        reliability: [&float, &int8],
        wanted: of.map_or(WANTED, |confidence| confidence.wanted),
        threshold: chosen.and_then(|least| curve.iter().map(|point| point.threshold).find(|&byte| byte >= least)),
        curve: &curve,
    };
    of_run.to_html()
}

fn quantisation(report: &Report) -> Markup {
    let lines = [
        ("blob in flash, bytes", report.flash.to_string()),
        ("arena in RAM, bytes", report.arena.to_string()),
        ("multiply-accumulates", report.macs.to_string()),
        ("calibration images", report.calibration_images.to_string()),
        ("ranges of activations", report.quantisation.method.name().to_owned()),
        ("rounds of bias correction", report.quantisation.corrected.to_string()),
    ];
    html! {
        (facts(&lines))
        @for note in &report.notes { p { (note) } }
        details {
            summary { "What was tried, and the noise of each layer" }
            pre { (choice_text(&report.quantisation)) }
            (sqnr(&report.layers))
        }
    }
}
