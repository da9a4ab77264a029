//! `twin`: a page that runs a blob in a browser.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use clap::Args;
use image::RgbImage;
use image::imageops::thumbnail;
use model_training::data::dataset::{image_files, picture};
use model_training::measure::evaluate::{classifier_config, parse, read_blob};
use model_training::run::folder::RunDir;
use model_training::system::atomic;

use super::arguments::CostArgs;
use super::refuse_overwriting;
use crate::report::pages::{self, SAMPLES};

/// Width or height, whichever is larger, to which samples are reduced where the network's input is no larger.
const SIDE: u32 = 160;

#[derive(Debug, Args)]
pub(super) struct TwinArgs {
    /// The blob, or the folder that `train` made.
    model: PathBuf,
    /// Where the page goes.
    #[arg(long, value_name = "FILE.html")]
    out: PathBuf,
    /// Folder of pictures, of which some are put into the page; without it those that a run was measured on.
    #[arg(long, value_name = "DIR")]
    samples: Option<PathBuf>,
    #[command(flatten)]
    cost: CostArgs,
}

pub(super) fn run(args: &TwinArgs) -> Result<ExitCode> {
    let (run, path) = RunDir::or_blob(&args.model);
    let blob = read_blob(&path)?;
    let model = parse(&blob, &path)?;
    args.cost.check(&model)?;
    refuse_overwriting(&path, &args.out, "--out")?;
    let input = classifier_config(&model, &path)?;
    let files = match (&args.samples, &run) {
        (Some(folder), _) => image_files(folder)?,
        (None, Some(run)) => measured_on(run)?,
        (None, None) => Vec::new(),
    };
    let side = SIDE.max(input.width.into()).max(input.height.into());
    let chosen = pages::spread(files.len(), SAMPLES).into_iter().map(|index| &files[index]);
    let samples: Vec<pages::Sample> = chosen.map(|file| sample(file, side)).collect::<Result<_>>()?;
    let page = pages::twin(&blob, &model, &samples)?;
    atomic::write(&args.out, page.as_bytes())?;
    println!(
        "{} runs {} in a browser: {} KiB, with {} samples",
        args.out.display(),
        path.display(),
        page.len().div_ceil(1024),
        samples.len()
    );
    Ok(ExitCode::SUCCESS)
}

/// The run's test pictures, or those for validation where it has no others; none where they are not there any more.
fn measured_on(run: &RunDir) -> Result<Vec<PathBuf>> {
    let record = run.record()?;
    let samples = if record.test.is_empty() { &record.valid } else { &record.test };
    let files: Vec<PathBuf> = samples.iter().map(|sample| sample.path(&record.root)).collect();
    if files.iter().all(|file| file.is_file()) {
        return Ok(files);
    }
    tracing::warn!(
        "the page has no samples, since the run's pictures are not in {} any more: name a folder by --samples",
        record.root.display()
    );
    Ok(Vec::new())
}

/// A picture, reduced where a side is longer than `side`, by the name of its file and its folder.
fn sample(file: &Path, side: u32) -> Result<pages::Sample> {
    let pixels = picture(file).map_err(|error| anyhow!("{} {error:#}", file.display()))?;
    let parts = [file.parent().and_then(Path::file_name), file.file_name()];
    let parts: Vec<_> = parts.into_iter().flatten().map(|part| part.to_string_lossy()).collect();
    Ok(pages::Sample { name: parts.join("/"), pixels: reduced(pixels, side) })
}

fn reduced(picture: RgbImage, side: u32) -> RgbImage {
    let (width, height) = picture.dimensions();
    let larger = width.max(height);
    let scaled = |n: u32| (n * side / larger).max(1);
    if larger > side { thumbnail(&picture, scaled(width), scaled(height)) } else { picture }
}
