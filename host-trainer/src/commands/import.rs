//! `import`: a TensorFlow Lite or ONNX model becomes a blob.

mod report;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use model_compiler::graph::Shape;
use model_compiler::{Cause, Compiled, Error, InputChoice, Normalisation, Onnx, Tflite};
use model_training::config::InputConfig;
use model_training::data::dataset::{View, image_files, input_for};
use model_training::system::{atomic, log, read};
use no_std_infer::format::{Color, Fit};
use rayon::prelude::*;

use super::arguments::{CostArgs, LimitArgs, too_costly};
use super::{named, refuse_overwriting};
use crate::report::export::PRODUCER;
use report::Report;

pub(super) use report::real_text;

/// Most images that ranges are taken from; as many others measure the agreement.
const IMAGES: usize = 200;
/// What an input can be, by its name.
const INPUTS: [(InputChoice, &str, &str); 2] = [
    (InputChoice::Image, "image", "A picture: the input's bytes are `pixel - 128`"),
    (InputChoice::Tensor, "tensor", "Raw int8 values: a vector, a spectrogram"),
];

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// The model, a TensorFlow Lite or ONNX file: int8, or float with --calibrate.
    #[arg(value_name = "MODEL.tflite|MODEL.onnx")]
    pub(super) model: PathBuf,
    /// The blob to write.
    #[arg(long, value_name = "FILE.blob")]
    pub(super) out: PathBuf,
    /// Names of the classes, one a line, in the order of the outputs.
    #[arg(long, value_name = "FILE")]
    pub(super) labels: Option<PathBuf>,
    /// What the input is; guessed from its shape and scale when left out.
    #[arg(long, value_parser = named(INPUTS), conflicts_with = "calibrate")]
    pub(super) input: Option<InputChoice>,
    /// Quantise a float model on the images in this folder. Of a model that reads no pictures: on this file of float32 numbers
    /// as it reads them, the lowest byte first, one input after the other.
    #[arg(long, value_name = "DIR|FILE.f32")]
    pub(super) calibrate: Option<PathBuf>,
    /// What the float model wants subtracted from pixels of 0 to 255.
    #[arg(long, default_value_t = 127.5, requires = "calibrate")]
    pub(super) mean: f64,
    /// What the float model wants the difference divided by.
    #[arg(long, default_value_t = 127.5, requires = "calibrate")]
    pub(super) std: f64,
    /// Which of a model's outputs the blob makes, by its name in the file; what only the others need is left out.
    #[arg(long, value_name = "NAME")]
    pub(super) output: Option<String>,
    /// Add a softmax over the outputs of a model that ends with neither a softmax nor a sigmoid.
    #[arg(long)]
    pub(super) softmax: bool,
    #[command(flatten)]
    pub(super) limits: LimitArgs,
    #[command(flatten)]
    pub(super) cost: CostArgs,
    /// Print the report as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn run(args: &ImportArgs) -> Result<ExitCode> {
    let name = args.model.display();
    refuse_overwriting(&args.model, &args.out, "--out")?;
    let bytes = read::bytes(&args.model, read::MODEL).with_context(|| format!("cannot read the model {name}"))?;
    let labels = args.labels.as_deref().map_or(Ok(Vec::new()), read_labels)?;
    let compiled = log::stage("importing", || compile(args, &bytes, labels))
        .with_context(|| format!("{name} cannot be imported"))?;
    atomic::write(&args.out, &compiled.blob)?;
    let code = args.limits.verdict(&compiled.blob);
    let report = Report::new(args, compiled)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        report.print(args.input.is_none());
    }
    Ok(code)
}

fn compile(args: &ImportArgs, bytes: &[u8], labels: Vec<String>) -> Result<Compiled> {
    let name = args.model.file_stem().map_or("model".into(), |name| name.to_string_lossy());
    let read = || -> Result<Compiled, Error> {
        let output = args.output.as_deref();
        let onnx = if Onnx::recognises(bytes) { Some(Onnx::read_output(bytes, output)?) } else { None };
        let model = onnx.as_ref().map_or_else(|| Tflite::read_output(bytes, output), Onnx::model)?;
        let mut model = model.name(name).producer(PRODUCER).labels(labels).limits(args.limits.limits());
        model = model.run_at_most(args.cost.most()).softmax(args.softmax);
        if let Some(input) = args.input {
            model = model.input(input);
        }
        if let Some(file) = args.calibrate.as_deref().filter(|path| path.is_file()) {
            model = model.calibrate_on_numbers(|shape| numbers(file, shape).map_err(Cause::from));
        } else if let Some(folder) = &args.calibrate {
            let normalisation = Normalisation { mean: args.mean, std: args.std };
            model = model.calibrate(normalisation, |shape| inputs(folder, shape).map_err(Cause::from));
        }
        model.compile()
    };
    read().map_err(|error| by_options(args, error))
}

/// An error in the words of the command line, where an option is at fault.
fn by_options(args: &ImportArgs, error: Error) -> anyhow::Error {
    match (error, &args.labels) {
        (Error::Labels { names, classes }, Some(path)) => anyhow!(
            "{} has {names} names, the model {classes} {}: give one name a line, in the order of the outputs",
            path.display(),
            if classes == 1 { "class" } else { "classes" }
        ),
        (Error::Cost { needed, most }, _) => anyhow!(too_costly(needed, most)),
        (Error::AlreadyInt8, _) => anyhow!("it is an int8 model already: leave --calibrate out"),
        (Error::Ended, _) => anyhow!("the model ends with a softmax or a sigmoid already: leave --softmax out"),
        (Error::OneOutput, _) => anyhow!("the model has one output, whose softmax is always 1: leave --softmax out"),
        (Error::NoPicture(shape), _) => anyhow!(
            "the input {shape} is no picture, which has one channel or three: give --calibrate a file of float32 numbers as the \
             network reads them, one input after the other"
        ),
        (Error::Deviation(std), _) => anyhow!("--std is {std}: give a positive number"),
        (error, _) => error.into(),
    }
}

/// One name a line; empty lines at the end do not count.
fn read_labels(path: &Path) -> Result<Vec<String>> {
    let shown = path.display();
    let bytes = read::bytes(path, read::SETTINGS).with_context(|| format!("cannot read the labels {shown}"))?;
    let text = String::from_utf8(bytes).ok();
    let text = text.with_context(|| format!("{shown} is no text: the labels are one name a line"))?;
    // What some editors put at the start of UTF-8 is no part of a name.
    let text = text.trim_start_matches('\u{FEFF}');
    let labels: Vec<String> = text.trim_end().lines().map(|line| line.trim().to_owned()).collect();
    ensure!(!labels.is_empty(), "{shown} has no names: the labels are one name a line");
    let mut earlier = HashSet::new();
    for (at, label) in labels.iter().enumerate() {
        ensure!(!label.is_empty(), "line {} of {shown} has no name", at + 1);
        ensure!(
            earlier.insert(label),
            "{shown} has the name {label} in line {} and earlier: name each class once",
            at + 1
        );
    }
    Ok(labels)
}

/// Inputs for a network that reads tensors of this shape, spread over the file.
fn numbers(file: &Path, shape: Shape) -> Result<Vec<Vec<f32>>> {
    let shown = file.display();
    let bytes = read::bytes(file, read::DATA).with_context(|| format!("cannot read the numbers {shown}"))?;
    let len = size_of::<f32>() * shape.len();
    ensure!(
        bytes.len().is_multiple_of(len),
        "{shown} has {} bytes, which is no multiple of {len}, the length of an input of {shape} float32 numbers: give whole \
         inputs, one after the other",
        bytes.len()
    );
    let inputs: Vec<&[u8]> = bytes.chunks_exact(len).collect();
    let count = inputs.len().min(2 * IMAGES);
    let chosen = (0..count).filter_map(|index| inputs.get(index * inputs.len() / count));
    let real = |input: &&[u8]| input.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    Ok(chosen.map(real).collect())
}

/// Inputs for a network that reads pictures of this shape, of files spread over the folder.
fn inputs(folder: &Path, shape: Shape) -> Result<Vec<Vec<i8>>> {
    ensure!(
        folder.is_dir(),
        "--calibrate: there is no folder or file {}: give a folder of typical images, or a file of numbers",
        folder.display()
    );
    let side = |side: usize| u16::try_from(side).context("the network's input is too large");
    let color = if shape.channels == 1 { Color::Grey } else { Color::Rgb };
    let config = InputConfig { width: side(shape.width)?, height: side(shape.height)?, color, fit: Fit::Stretch };
    let files = image_files(folder)?;
    let count = files.len().min(2 * IMAGES);
    let chosen: Vec<&PathBuf> = (0..count).filter_map(|index| files.get(index * files.len() / count)).collect();
    chosen.par_iter().map(|path| input_for(path, &config, View::Rgb888)).collect()
}
