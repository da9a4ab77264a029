//! `import`: a TensorFlow Lite model becomes a blob.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use no_std_infer::format::{InputKind, Provenance, Tensor};
use no_std_infer::{Error, Model};
use serde::Serialize;

use super::ImportArgs;
use crate::atomic;
use crate::emit::{Description, Emitted, emit};
use crate::import::kind::input_kind;
use crate::import::{self, lower::Lowered};

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
    macs: u64,
    flash_bytes: usize,
    arena_bytes: u32,
    arena_lower_bound: u32,
    changes: Vec<String>,
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

    fn to_text(&self) -> String {
        let [height, width, channels] = self.shape;
        format!("{height}x{width}x{channels}, real = {} * (byte - {})", self.scale, self.zero_point)
    }
}

pub(super) fn run(args: &ImportArgs) -> Result<ExitCode> {
    let name = args.model.display();
    let bytes = std::fs::read(&args.model).with_context(|| format!("cannot read the model {name}"))?;
    let lowered = import::int8(&bytes).with_context(|| format!("{name} cannot be imported"))?;
    let labels = args.labels.as_deref().map_or(Ok(Vec::new()), read_labels)?;
    let kind = input_kind(&lowered.model.input, args.input)?;
    let emitted = emitted(args, &lowered, &labels, kind).with_context(|| format!("{name} cannot be imported"))?;
    atomic::write(&args.out, &emitted.blob)?;
    let report = Report::new(args, lowered, &emitted, kind, labels.len())?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        report.print(args);
    }
    Ok(ExitCode::SUCCESS)
}

/// One name a line; empty lines at the end do not count.
fn read_labels(path: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the labels {}", path.display()))?;
    let labels: Vec<String> = text.trim_end().lines().map(|line| line.trim().to_owned()).collect();
    ensure!(
        !labels.is_empty() && labels.iter().all(|label| !label.is_empty()),
        "{} has a line without a name",
        path.display()
    );
    Ok(labels)
}

fn emitted(args: &ImportArgs, lowered: &Lowered, labels: &[String], input: InputKind) -> Result<Emitted> {
    let name = args.model.file_stem().map_or("model".into(), |name| name.to_string_lossy());
    let producer = concat!("host-trainer ", env!("CARGO_PKG_VERSION"));
    let provenance = Provenance { producer, ..Provenance::default() };
    let description = Description { name: &name, labels, input, provenance };
    emit(&lowered.model, &description).map_err(|error| match error.downcast_ref::<Error>() {
        Some(Error::Op { index, .. }) => {
            let layer = lowered.model.names.get(usize::from(*index)).cloned().unwrap_or_default();
            error.context(format!("the layer that makes {layer} is out of the format's limits"))
        }
        _ => error,
    })
}

impl Report {
    fn new(args: &ImportArgs, lowered: Lowered, emitted: &Emitted, kind: InputKind, labels: usize) -> Result<Self> {
        let model = Model::parse(&emitted.blob)?;
        Ok(Self {
            model: args.model.display().to_string(),
            blob: args.out.display().to_string(),
            input: Side::new(&model.info().input.tensor),
            input_kind: if kind.image().is_some() { "image" } else { "tensor" },
            output: Side::new(&model.output()),
            labels,
            layers: model.ops().count(),
            macs: model.ops().map(|op| op.macs()).sum(),
            flash_bytes: emitted.blob.len(),
            arena_bytes: emitted.plan.arena_len,
            arena_lower_bound: emitted.plan.lower_bound,
            changes: lowered.changes.into_iter().chain(lowered.model.notes).collect(),
        })
    }

    fn print(&self, args: &ImportArgs) {
        println!("{} -> {}", self.model, self.blob);
        println!("input   {}", self.input.to_text());
        let image = "a picture (bytes are pixel - 128)";
        let (is, other) = if self.input_kind == "image" { (image, "tensor") } else { ("raw int8 values", "image") };
        let assumed =
            if args.input.is_none() { format!("; assumed, change it with --input {other}") } else { String::new() };
        println!("        {is}{assumed}");
        println!("output  {}, {} labels", self.output.to_text(), self.labels);
        println!(
            "{} layers, {} MACs, flash {} bytes, arena {} bytes (lower bound {})",
            self.layers, self.macs, self.flash_bytes, self.arena_bytes, self.arena_lower_bound
        );
        self.changes.iter().for_each(|change| println!("  {change}"));
        println!("\nSee its layers:      cargo run -- inspect {}", self.blob);
        if self.input_kind == "image" {
            println!("Classify an image:   cargo run -- predict {} IMAGE", self.blob);
        }
        println!("Run raw tensors:     cargo run -- run {} --input IN.i8 --output OUT.i8", self.blob);
    }
}
