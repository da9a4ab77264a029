//! `import`: a TensorFlow Lite model becomes a blob.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use model_compiler::blob::emit::{Description, Emitted, emit_within};
use model_compiler::import::kind::{InputChoice, input_kind};
use model_compiler::import::lower::lower;
use model_compiler::import::{self, Arithmetic, NEEDS_CALIBRATION, arithmetic};
use model_compiler::layout::stripes::Layers;
use model_compiler::quantise::QuantModel;
use no_std_infer::format::{InputKind, Provenance, Tensor};
use no_std_infer::{Error, Model};
use serde::Serialize;

use super::import_float::{Quantisation, quantised};
use super::{LimitArgs, named, refuse_overwriting};
use crate::atomic;
use crate::export::PRODUCER;

/// What an input can be, by its name.
const INPUTS: [(InputChoice, &str, &str); 2] = [
    (InputChoice::Image, "image", "A picture: the input's bytes are `pixel - 128`"),
    (InputChoice::Tensor, "tensor", "Raw int8 values: a vector, a spectrogram"),
];

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// The model: int8, or float with --calibrate.
    #[arg(value_name = "MODEL.tflite")]
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
    /// Quantise a float model on the images in this folder.
    #[arg(long, value_name = "DIR")]
    pub(super) calibrate: Option<PathBuf>,
    /// What the float model wants subtracted from pixels of 0 to 255.
    #[arg(long, default_value_t = 127.5, requires = "calibrate")]
    pub(super) mean: f64,
    /// What the float model wants the difference divided by.
    #[arg(long, default_value_t = 127.5, requires = "calibrate")]
    pub(super) std: f64,
    #[command(flatten)]
    pub(super) limits: LimitArgs,
    /// Print the report as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// What became of the model.
#[derive(Serialize)]
struct Report {
    model: String,
    blob: String,
    input: Side,
    input_kind: &'static str,
    output: Side,
    labels: usize,
    layers: usize,
    /// More than layers where these run in stripes.
    operators: usize,
    macs: u64,
    flash_bytes: usize,
    arena_bytes: u32,
    arena_lower_bound: u32,
    changes: Vec<String>,
    /// Of a float model.
    #[serde(skip_serializing_if = "Option::is_none")]
    quantisation: Option<Quantisation>,
}

/// Shape and quantisation of the input or the output.
#[derive(Serialize)]
struct Side {
    shape: [usize; 3],
    scale: f32,
    zero_point: i8,
}

impl Side {
    fn new(tensor: &Tensor) -> Self {
        let shape = [tensor.height.into(), tensor.width.into(), tensor.channels as usize];
        Self { shape, scale: tensor.scale, zero_point: tensor.zero_point }
    }

    fn shape_text(&self) -> String {
        self.shape.map(|side| side.to_string()).join("x")
    }

    fn to_text(&self) -> String {
        format!("{}, {}", self.shape_text(), real_text(self.scale, self.zero_point))
    }
}

/// What the bytes of a tensor stand for.
pub(super) fn real_text(scale: f32, zero_point: i8) -> String {
    match zero_point {
        0 => format!("real = {scale} * byte"),
        1.. => format!("real = {scale} * (byte - {zero_point})"),
        _ => format!("real = {scale} * (byte + {})", -i32::from(zero_point)),
    }
}

pub(super) fn run(args: &ImportArgs) -> Result<ExitCode> {
    let name = args.model.display();
    refuse_overwriting(&args.model, &args.out, "--out")?;
    let bytes = std::fs::read(&args.model).with_context(|| format!("cannot read the model {name}"))?;
    let labels = args.labels.as_deref().map_or(Ok(Vec::new()), read_labels)?;
    let (emitted, report) = imported(args, &bytes, &labels).with_context(|| format!("{name} cannot be imported"))?;
    atomic::write(&args.out, &emitted.blob)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        report.print(args);
    }
    Ok(ExitCode::SUCCESS)
}

fn imported(args: &ImportArgs, bytes: &[u8], labels: &[String]) -> Result<(Emitted, Report)> {
    let network = import::read(bytes)?;
    match (arithmetic(&network)?, &args.calibrate) {
        (Arithmetic::Int8, None) => {
            let lowered = lower(&network)?;
            check_labels(args, labels, lowered.model.logits.channels as usize)?;
            let kind = input_kind(&lowered.model.input, args.input)?;
            let emitted = emitted(args, &lowered.model, labels, kind)?;
            let changes = lowered.changes.into_iter().chain(lowered.model.notes).collect();
            let report = Report::new(args, &emitted, kind, labels.len(), changes)?;
            Ok((emitted, report))
        }
        (Arithmetic::Float, Some(folder)) => {
            let quantised = quantised(args, &network, folder, labels)?;
            let changes = network.changes.into_iter().chain(quantised.notes).collect();
            let report = Report::new(args, &quantised.emitted, quantised.kind, labels.len(), changes)?;
            Ok((quantised.emitted, Report { quantisation: Some(quantised.quantisation), ..report }))
        }
        (Arithmetic::Int8, Some(_)) => bail!("it is an int8 model already: leave --calibrate out"),
        (Arithmetic::Float, None) => bail!(NEEDS_CALIBRATION),
    }
}

/// One name a line; empty lines at the end do not count.
fn read_labels(path: &Path) -> Result<Vec<String>> {
    let shown = path.display();
    let bytes = std::fs::read(path).with_context(|| format!("cannot read the labels {shown}"))?;
    let text = String::from_utf8(bytes).ok();
    let text = text.with_context(|| format!("{shown} is no text: the labels are one name a line"))?;
    let labels: Vec<String> = text.trim_end().lines().map(|line| line.trim().to_owned()).collect();
    ensure!(!labels.is_empty(), "{shown} has no names: the labels are one name a line");
    for (at, label) in labels.iter().enumerate() {
        ensure!(!label.is_empty(), "line {} of {shown} has no name", at + 1);
        let earlier = labels.iter().take(at).position(|other| other == label);
        ensure!(earlier.is_none(), "{shown} has the name {label} in line {} and earlier: name each class once", at + 1);
    }
    Ok(labels)
}

/// Refuses another number of names than there are classes.
pub(super) fn check_labels(args: &ImportArgs, labels: &[String], classes: usize) -> Result<()> {
    let Some(path) = args.labels.as_deref() else { return Ok(()) };
    ensure!(
        labels.len() == classes,
        "{} has {} names, the model {classes} outputs: give one name a line, in the order of the outputs",
        path.display(),
        labels.len()
    );
    Ok(())
}

/// The name that the blob gives the model: the file's.
pub(super) fn model_name(args: &ImportArgs) -> String {
    args.model.file_stem().map_or("model".into(), |name| name.to_string_lossy().into_owned())
}

/// What the blob says about an imported model.
pub(super) fn description<'a>(name: &'a str, labels: &'a [String], input: InputKind) -> Description<'a> {
    Description { name, labels, input, provenance: Provenance { producer: PRODUCER, ..Provenance::default() } }
}

fn emitted(args: &ImportArgs, model: &QuantModel, labels: &[String], input: InputKind) -> Result<Emitted> {
    let emitted = emit_within(model, &description(&model_name(args), labels, input), args.limits.limits());
    emitted.map_err(|error| match error.downcast_ref::<Error>() {
        Some(Error::Op { index, .. }) => {
            let layer = model.names.get(usize::from(*index)).cloned().unwrap_or_default();
            error.context(format!("the layer that makes {layer} is out of the format's limits"))
        }
        _ => error,
    })
}

impl Report {
    fn new(args: &ImportArgs, emitted: &Emitted, kind: InputKind, labels: usize, changes: Vec<String>) -> Result<Self> {
        let model = Model::parse(&emitted.blob)?;
        Ok(Self {
            model: args.model.display().to_string(),
            blob: args.out.display().to_string(),
            input: Side::new(&model.info().input.tensor),
            input_kind: if kind.image().is_some() { "image" } else { "tensor" },
            output: Side::new(&model.output()),
            labels,
            layers: Layers::of(&emitted.blob, &model)?.count(),
            operators: model.ops().count(),
            macs: model.ops().map(|op| op.macs()).sum(),
            flash_bytes: emitted.blob.len(),
            arena_bytes: emitted.plan.arena_len,
            arena_lower_bound: emitted.plan.lower_bound,
            changes,
            quantisation: None,
        })
    }

    fn print(&self, args: &ImportArgs) {
        println!("{} -> {}", self.model, self.blob);
        let (is, other) = match self.input_kind {
            "image" => (format!("{}, a picture: bytes are pixel - 128", self.input.shape_text()), "tensor"),
            _ => (format!("{}, raw int8 values", self.input.to_text()), "image"),
        };
        let assumed =
            if args.input.is_none() { format!(" (assumed; change it with --input {other})") } else { String::new() };
        println!("input   {is}{assumed}");
        let labels = match self.labels {
            0 => "no class names (--labels FILE gives them)".to_owned(),
            labels => format!("{labels} class names"),
        };
        println!("output  {}, {labels}", self.output.to_text());
        let operators =
            if self.operators > self.layers { format!(" in {} operators", self.operators) } else { String::new() };
        println!(
            "{} layers{operators}, {} MACs, flash {} bytes, arena {} bytes (lower bound {})",
            self.layers, self.macs, self.flash_bytes, self.arena_bytes, self.arena_lower_bound
        );
        self.changes.iter().for_each(|change| println!("  {change}"));
        self.quantisation.iter().for_each(Quantisation::print);
        println!("\nSee its layers:      cargo run -- inspect {}", self.blob);
        if self.input_kind == "image" {
            println!("Classify an image:   cargo run -- predict {} IMAGE", self.blob);
        }
        println!("Run raw tensors:     cargo run -- run {} --input IN.i8 --output OUT.i8", self.blob);
    }
}
