//! `predict`: classifies images.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use image::{ColorType, ImageFormat};
use model_compiler::aligned::Aligned;
use model_compiler::graph::Shape;
use model_training::data::dataset::{View, image_files, input_for};
use model_training::measure::cam::ClassMap;
use model_training::measure::evaluate::{class_names, class_probabilities, infer, input_config, parse, read_blob};
use model_training::run::folder::RunDir;
use model_training::system::atomic;
use model_training::system::terminal::escaped;
use no_std_infer::rank;
use serde::Serialize;

use super::arguments::CostArgs;

#[derive(Debug, Args)]
pub(super) struct PredictArgs {
    /// The blob.
    blob: PathBuf,
    /// Image files, and folders of them.
    #[arg(required = true)]
    images: Vec<PathBuf>,
    /// Classes to show for each image, 1 or more, the likeliest first.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    top: u16,
    /// Of one image a picture, PNG, tinted where the run's float network finds what speaks for the answer. The blob lies in its run
    /// folder.
    #[arg(long, value_name = "FILE.png")]
    cam: Option<PathBuf>,
    #[command(flatten)]
    cost: CostArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Prediction {
    image: String,
    class: String,
    /// Whether the class is probable enough for the model to answer.
    answers: bool,
    /// How many there are: 1 where the one output is no class.
    classes: usize,
    top: Vec<Score>,
    /// What the last operator gives, as real numbers.
    outputs: Vec<f32>,
    logits: Vec<i8>,
}

#[derive(Serialize)]
struct Score {
    class: String,
    probability: f32,
}

pub(super) fn run(args: &PredictArgs) -> Result<ExitCode> {
    let blob = read_blob(&args.blob)?;
    let model = parse(&blob, &args.blob)?;
    args.cost.check(&model)?;
    let config = input_config(&model, &args.blob)?;
    let labels = class_names(&model);
    let mut arena = Aligned::new(model.arena_len());
    let (mut predictions, mut failures) = (Vec::new(), Vec::new());
    let images = expanded(&args.images)?;
    let map = args.cam.as_ref().map(|_| class_map(args, &images, config.shape())).transpose()?;
    for image in &images {
        let input = match input_for(image, &config, View::Rgb888) {
            Ok(input) => input,
            Err(error) => {
                failures.push(format!("{error:#}"));
                continue;
            }
        };
        let output = infer(&model, &mut arena, &input);
        let shares = class_probabilities(&model, &output.logits, &output.output);
        let scores = model.scores(&output.logits, &output.output);
        let mut order: Vec<usize> = (0..labels.len()).collect();
        order.sort_by(|&one, &other| rank(scores.logits(), one, other));
        if let (Some(map), Some(file)) = (&map, &args.cam) {
            let pixels: Vec<u8> = input.iter().map(|value| value.cast_unsigned() ^ 0x80).collect();
            atomic::write(file, &png(&map.tinted(&pixels, order[0]), config.shape())?)?;
        }
        let score = |&class: &usize| Score { class: labels[class].clone(), probability: shares[class] };
        predictions.push(Prediction {
            image: image.display().to_string(),
            class: labels[order[0]].clone(),
            answers: output.decision.is_some(),
            classes: labels.len(),
            top: order.iter().take(usize::from(args.top)).map(score).collect(),
            outputs: output.output.iter().map(|&byte| model.output().real(byte)).collect(),
            logits: output.logits,
        });
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&predictions)?);
    } else {
        predictions.iter().for_each(print);
    }
    match failures.as_slice() {
        [] => Ok(ExitCode::SUCCESS),
        [failure] => bail!("{failure}"),
        _ => bail!("{} of {} files: {}", failures.len(), images.len(), failures.join("; ")),
    }
}

/// What shows where the network of the blob's run looks.
fn class_map(args: &PredictArgs, images: &[PathBuf], input: Shape) -> Result<ClassMap> {
    ensure!(images.len() == 1, "`--cam` is of one image, and there are {}", images.len());
    let folder = args.blob.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let graph =
        RunDir::new(folder).graph().context("`--cam` needs the float network of the blob's run beside the blob")?;
    ensure!(graph.input == input, "the float network in {} has another input than the blob", folder.display());
    ClassMap::new(graph).context(
        "this network has no class activation map: it does not end with a global average and one dense layer after it",
    )
}

/// Pixels in colours as a file.
fn png(pixels: &[u8], shape: Shape) -> Result<Vec<u8>> {
    let mut file = Cursor::new(Vec::new());
    let [width, height] = [shape.width, shape.height].map(|side| side as u32);
    image::write_buffer_with_format(&mut file, pixels, width, height, ColorType::Rgb8, ImageFormat::Png)?;
    Ok(file.into_inner())
}

/// The files, with those below each folder in its place.
fn expanded(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut images = Vec::new();
    for path in paths {
        if path.is_dir() {
            images.extend(image_files(path)?);
        } else {
            images.push(path.clone());
        }
    }
    Ok(images)
}

fn print(prediction: &Prediction) {
    // One output that is no probability tells no classes apart.
    if let (1, [output]) = (prediction.classes, &prediction.outputs[..]) {
        return println!("{}: {output}", escaped(&prediction.image));
    }
    let scores =
        prediction.top.iter().map(|score| format!("{} {:.1} %", escaped(&score.class), 100.0 * score.probability));
    let abstains = if prediction.answers { "" } else { "no answer; " };
    println!("{}: {abstains}{}", escaped(&prediction.image), scores.collect::<Vec<_>>().join(", "));
}
