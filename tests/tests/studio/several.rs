//! Several boards in one studio, and frames that are collected by what the model makes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use model_compiler::blob::with_calibration;
use model_compiler::graph::{Clamp, FloatOp, Graph, Node, Shape};
use model_training::run::known::Known;
use model_training::system::files::GRAPH_FILE;
use no_std_infer::Model;
use no_std_infer::format::Calibration;
use serde_json::{Value, json};

use crate::set::{Set, count, frames, sequence, shipped, without_pictures};

/// A frame as the page shows it.
fn frame(view: &Value) -> Option<String> {
    view["sight"]["frame"].as_str().map(str::to_owned)
}

/// The saved pictures of a class, in the same way.
fn saved(set: &Set, class: &str) -> Result<BTreeSet<String>> {
    let folder = set.folder.path().join("pictures").join(class);
    let mut pictures = BTreeSet::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "png") {
            pictures.insert(format!("data:image/png;base64,{}", BASE64_STANDARD.encode(fs::read(path)?)));
        }
    }
    Ok(pictures)
}

/// Each has its own camera, state and pictures; all save into one folder.
pub fn two_boards() -> Result<()> {
    let films = vec![frames(&[20, 40, 60]), frames(&[150, 190, 230])];
    let set = Set::over(films, &shipped()?, &[], |inner| Box::new(inner))?;
    let mut shown = Vec::new();
    for (board, class) in [(0, "happy"), (1, "sad")] {
        let view = set.until_of(board, |view| view["boards"][board]["compared"].as_u64() > Some(3))?;
        ensure!(view["boards"][board]["differing"] == 0, "{}", without_pictures(view));
        set.act(json!({ "do": "pause", "board": board, "paused": true }))?;
        set.until_of(board, |view| view["boards"][board]["paused"] == true)?;
        let view = set.view_of(board)?;
        ensure!(view["boards"][1 - board]["paused"] == (board == 1), "{}", without_pictures(view));
        set.act(json!({ "do": "save", "board": board, "number": sequence(&view), "class": class }))?;
        ensure!(saved(&set, class)?.into_iter().eq(frame(&view)), "what is saved as {class} is not what was shown");
        shown.push(frame(&view));
    }
    ensure!(shown[0].is_some() && shown[0] != shown[1], "both boards show the same");
    let groups: BTreeSet<_> = set.pictures()?.into_values().collect();
    ensure!(groups.len() == 2 && !groups.contains(&None), "{groups:?}");
    let links: Vec<_> =
        set.view()?["boards"].as_array().into_iter().flatten().map(|state| state["link"].clone()).collect();
    ensure!(links == ["board 0 in this process", "board 1 in this process"], "{links:?}");
    ensure!(set.view_of(2).is_err() && set.refusal(json!({ "do": "step", "board": 2 }))?.contains("no such board"));
    Ok(())
}

/// The rule takes the frames of which the model is unsure, below a probability that a person names or below its own threshold, and no
/// others.
pub fn frames_of_which_the_model_is_unsure() -> Result<()> {
    let (levels, blob) = ([20, 60, 90, 120, 160, 200, 230], shipped()?);
    let set = Set::new(&levels)?;
    let mut probabilities = BTreeMap::new();
    set.until(|view| {
        if let (Some(frame), Some(probability)) = (frame(view), view["sight"]["probability"].as_f64()) {
            probabilities.insert(frame, (256.0 * probability) as u8);
        }
        probabilities.len() == levels.len()
    })?;
    let most = probabilities.values().copied().max().unwrap_or_default();
    let unsure: BTreeSet<String> =
        probabilities.iter().filter(|(_, probability)| **probability < most).map(|(frame, _)| frame.clone()).collect();
    ensure!(!unsure.is_empty(), "the model is as sure of all frames: {most}");
    let takes = |set: &Set, percent: Option<f64>, class: Option<&str>| {
        set.act(json!({ "do": "automatic", "board": 0, "rule": "unsure", "percent": percent, "class": class }))?;
        let folder = class.unwrap_or("unlabelled");
        let seen = sequence(&set.until(|view| count(view, folder) == unsure.len() as u64)?);
        let view = set.until(|view| sequence(view) > seen + 2 * levels.len() as u64)?;
        ensure!(count(&view, folder) == unsure.len() as u64, "{}", without_pictures(view));
        ensure!(saved(set, folder)? == unsure, "others are saved than those of which it is unsure");
        anyhow::Ok(())
    };
    takes(&set, Some(100.0 * f64::from(most) / 256.0), Some("sad"))?;
    let own = Calibration { threshold: most, images: 7, coverage: 0.5, accuracy: 1.0 };
    let set = Set::over(vec![frames(&levels)], &with_calibration(&blob, &own)?, &[], |inner| Box::new(inner))?;
    set.until(|view| view["boards"][0]["compared"].as_u64() > Some(0))?;
    takes(&set, None, None)
}

/// A run of the shipped model, whose float network names one class whatever it sees.
fn stubborn(folder: &Path, class: usize) -> Result<Known> {
    let blob = shipped()?;
    let tensor = Model::parse(&blob)?.info().input.tensor;
    let input = Shape { height: tensor.height.into(), width: tensor.width.into(), channels: tensor.channels as usize };
    let classes = Model::parse(&blob)?.labels().count();
    let bias = (0..classes).map(|other| if other == class { 1.0 } else { 0.0 }).collect();
    let op = FloatOp::Dense { weights: vec![0.0; classes * input.len()], bias, clamp: Clamp::None };
    let output = Shape { height: 1, width: 1, channels: classes };
    let graph = Graph { input, zero: 0, nodes: vec![Node { name: "dense".into(), op, inputs: vec![0], output }] };
    fs::create_dir_all(folder)?;
    fs::write(folder.join("model.blob"), &*blob)?;
    fs::write(folder.join(GRAPH_FILE), graph.to_bytes()?)?;
    Known::read(folder)
}

/// The rule takes the frames for which the float network of the board's model names another class, and no others.
pub fn frames_on_which_the_float_network_disagrees() -> Result<()> {
    let (levels, blob) = ([20, 60, 90, 120, 160, 200, 230], shipped()?);
    let labels: Vec<String> = Model::parse(&blob)?.labels().map(str::to_owned).collect();
    let mut disagreed = 0;
    for (class, label) in labels.iter().enumerate().take(2) {
        let folder = tempfile::tempdir()?;
        let models = vec![stubborn(&folder.path().join("run"), class)?];
        let set = Set::within(folder, vec![frames(&levels)], &blob, models, |inner| Box::new(inner))?;
        let mut seen = BTreeMap::new();
        set.until(|view| {
            let answers: Vec<(String, f64)> =
                serde_json::from_value(view["sight"]["answers"].clone()).unwrap_or_default();
            let most = answers.into_iter().reduce(|best, other| if other.1 > best.1 { other } else { best });
            seen.extend(frame(view).zip(most.map(|(class, _)| class)));
            seen.len() == levels.len()
        })?;
        let other: BTreeSet<String> =
            seen.into_iter().filter(|(_, said)| said != label).map(|(frame, _)| frame).collect();
        set.act(json!({ "do": "automatic", "board": 0, "rule": "disagreeing", "percent": null, "class": "sad" }))?;
        let begun = sequence(&set.view()?);
        let view = set.until(|view| sequence(view) > begun + 2 * levels.len() as u64)?;
        ensure!(count(&view, "sad") == other.len() as u64, "{}", without_pictures(view));
        ensure!(other.is_empty() || saved(&set, "sad")? == other, "others are saved than those of which they disagree");
        disagreed += other.len();
    }
    // Each frame has one class, which one of the two denies at least.
    ensure!(disagreed >= levels.len(), "{disagreed} of {levels:?}");
    Ok(())
}
