//! The loop through a camera as one number: a network that learnt drawings sees them through another camera, learns from frames of
//! that camera that somebody has labelled, and is compared with what it was on other frames.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use host_trainer::collect::{Collection, Filing, Saved};
use model_training::data::dataset::{Dataset, View, image_files, rgb565};
use model_training::data::faces::{CLASSES, PerClass, Shift, generate, generate_shifted};
use model_training::data::record::Record;
use model_training::measure::evaluate::{parse, read_blob};
use model_training::measure::held_out::{Contender, HeldOut, held_out, known_classes};
use no_std_device::link::Shape;
use no_std_infer::image::PixelFormat;

use crate::processes::call;

/// How large the experiment is.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Seed of the drawings and of the runs.
    pub seed: u64,
    /// Width and height of drawings and frames in pixels.
    pub size: u32,
    /// Drawings that the first network learns from and is measured with.
    pub drawings: PerClass,
    /// The camera.
    pub shift: Shift,
    /// Frames of each class that are collected and labelled.
    pub collected: usize,
    /// Other frames of each class, to measure with.
    pub held_out: usize,
    /// How the first network learns, as TOML.
    pub config: String,
}

impl Plan {
    /// An output layer on a pretrained network's features, fitted to 1,000 drawings, and 200 labelled frames.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let config = include_str!("../../data/loop.toml").replace("seed = 1\n", &format!("seed = {seed}\n"));
        Self {
            seed,
            size: 64,
            drawings: PerClass { train: 250, valid: 50, test: 150 },
            shift: Shift::Poor,
            collected: 50,
            held_out: 150,
            config,
        }
    }

    /// As [`Self::new`] with the network of the demo, which learns 4,000 drawings from random weights.
    #[must_use]
    pub fn scratch(seed: u64) -> Self {
        let config = include_str!("../../data/faces.toml").replace("seed = 1\n", &format!("seed = {seed}\n"));
        Self { drawings: PerClass { train: 1000, valid: 100, test: 150 }, config, ..Self::new(seed) }
    }
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// On frames of the camera.
    pub frames: HeldOut,
    /// On drawings like those that were learnt first.
    pub drawings: HeldOut,
}

/// Runs the experiment in a folder, which is empty or holds the first network.
///
/// # Errors
/// When a step of it fails.
pub fn measure(plan: &Plan, folder: &Path) -> Result<Outcome> {
    let [drawings, frames, collected, others, before, after, config] =
        ["drawings", "frames", "collected", "others", "before", "after", "config.toml"].map(|name| folder.join(name));
    let seed = |part: u64| plan.seed.wrapping_mul(1000).wrapping_add(part);
    if !before.join("predictions.csv").exists() {
        generate(&drawings, seed(1), &plan.drawings, plan.size)?;
        fs::write(&config, &plan.config)?;
        call(&["train", "--data", text(&drawings)?, "--config", text(&config)?, "--out", text(&before)?])?;
    }

    let of = |train, test| PerClass { train, valid: 0, test };
    generate_shifted(&frames, seed(2), &of(plan.collected, 0), plan.size, Some(plan.shift))?;
    generate_shifted(&others, seed(3), &of(0, plan.held_out), plan.size, Some(plan.shift))?;
    collect(&frames.join("train"), &collected)?;
    call(&["train", "--from", text(&before)?, "--data", text(&collected)?, "--out", text(&after)?])?;
    Ok(Outcome {
        frames: compare([&before, &after], &others, View::Rgb565)?,
        drawings: compare([&before, &after], &drawings, View::Rgb888)?,
    })
}

/// Saves each picture as a camera gives it, in 16 bits a pixel, under the class that somebody says it has.
fn collect(frames: &Path, folder: &Path) -> Result<()> {
    let mut collection = Collection::open(folder)?;
    let files: Vec<PathBuf> = image_files(frames)?;
    let classes = CLASSES.map(|class| files.iter().filter(move |file| file.starts_with(frames.join(class))));
    let mut classes = classes.map(Iterator::peekable);
    while classes.iter_mut().any(|files| files.peek().is_some()) {
        for (class, files) in CLASSES.iter().zip(&mut classes) {
            let Some(file) = files.next() else { continue };
            let picture = image::open(file)?.to_rgb8();
            let (width, height) = picture.dimensions();
            let shape =
                Shape { format: PixelFormat::Rgb565Le, width: u16::try_from(width)?, height: u16::try_from(height)? };
            let saved =
                collection.save(&shape, &rgb565(&picture), Filing { label: Some(class), camera: 0, near: false })?;
            ensure!(saved != Saved::Again, "{} was saved before", file.display());
        }
    }
    Ok(())
}

fn compare(runs: [&Path; 2], data: &Path, view: View) -> Result<HeldOut> {
    let paths = runs.map(|run| run.join("model.blob"));
    let blobs = [read_blob(&paths[0])?, read_blob(&paths[1])?];
    let contender = |index: usize| {
        let model = parse(&blobs[index], &paths[index])?;
        let record = Record::beside(&paths[index], model.info().provenance.dataset)?;
        let name = runs[index].file_name().unwrap_or_default().to_string_lossy().into_owned();
        Contender::new(name, model, &paths[index], Some(record.context("a run has a record")?))
    };
    let contenders = [&contender(0)?, &contender(1)?];
    held_out(contenders, &Dataset::open_for(data, &known_classes(contenders), false)?, view)
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is no UTF-8", path.display()))
}
