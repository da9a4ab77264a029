//! `inspect`: shows what is in a blob.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use host_kernels::Isa;
use model_compiler::layout::pack::Price;
use model_compiler::layout::stripes::{Layers, price};
use model_training::measure::comparison::text_table;
use model_training::measure::evaluate::{parse, read_blob, shape};
use model_training::system::terminal::escaped;
use no_std_infer::Model;
use no_std_infer::format::{ADD_TABLE_LEN, Calibration, Conv2d, Dense, Input, InputKind, Layout, Op};
use no_std_infer::kernels::{Kernel, KernelSet};
use no_std_infer::operators::{
    DensePacked, DensePlain, Form, Packed, PackedDepthwise, Plain, Winograd, plain_depthwise_weights, plain_weights,
};
use serde::Serialize;

use crate::device::signing::Signer;

#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// The blob.
    blob: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Inspection {
    name: String,
    labels: Vec<String>,
    input: String,
    logits: String,
    flash_bytes: usize,
    weights_bytes: usize,
    arena_bytes: usize,
    macs: u64,
    temperature: f32,
    producer: String,
    config_sha256: String,
    dataset_sha256: String,
    measured_on_images: u32,
    float_accuracy: f32,
    int8_accuracy: f32,
    golden_vector: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    calibration: Option<Calibration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<Signer>,
    crc32: String,
    /// What firmware must link to run it.
    kernels: Vec<&'static str>,
    /// Name of the set of these that this program runs on.
    kernel_set: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    stripes: Option<Stripes>,
    layers: Vec<Layer>,
}

/// That layers run in stripes of rows, each stripe an operator of its own.
#[derive(Serialize)]
struct Stripes {
    layers: usize,
    operators: usize,
    /// Instructions of a Cortex-M4 more than those of whole layers, as the exporter estimates them.
    more_instructions: u64,
}

impl Stripes {
    fn new(layers: &Layers, model: &Model<'_>) -> Option<Self> {
        let (layer_count, operators) = (layers.count(), model.ops().count());
        let more_instructions = price(model.ops(), &layers.whole(model));
        (operators > layer_count).then_some(Self { layers: layer_count, operators, more_instructions })
    }
}

#[derive(Serialize)]
struct Layer {
    index: usize,
    /// The layer that the operator makes rows of; none where it only moves rows.
    layer: Option<usize>,
    op: &'static str,
    output: String,
    kernel: String,
    macs: u64,
    /// How the weights lie, where there are any.
    layout: &'static str,
    /// Bytes of weights, parameters and tables.
    constants: usize,
    /// What a convolution's layout takes and saves beside packed weights, where that is known.
    transform: Option<Transform>,
    arena_offset: u32,
    scale: f32,
    zero_point: i8,
}

#[derive(Serialize)]
struct Transform {
    /// Bytes more.
    bytes: usize,
    /// Instructions of a Cortex-M4 less, as the exporter estimates them.
    saved_instructions: u64,
}

impl Transform {
    fn new(op: &Op) -> Option<Self> {
        let Op::Conv2d(conv) = op else { return None };
        let form = Form::of(conv.weights.layout);
        let [packed, chosen] = [None, form].map(|form| Price::new(conv, form));
        (conv.weights.layout != Layout::Plain).then(|| Self {
            bytes: chosen.bytes.saturating_sub(packed.bytes),
            saved_instructions: packed.instructions.saturating_sub(chosen.instructions),
        })
    }
}

pub(super) fn run(args: &InspectArgs) -> Result<ExitCode> {
    let blob = read_blob(&args.blob)?;
    let model = parse(&blob, &args.blob)?;
    let inspection = Inspection::new(&model, &blob, &Layers::of(&blob, &model)?);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&inspection)?);
    } else {
        inspection.print();
    }
    Ok(ExitCode::SUCCESS)
}

fn input(input: &Input) -> String {
    let shape = shape(&input.tensor);
    match input.kind {
        InputKind::Image(image) => format!("{shape} {:?}, {:?}", image.color, image.fit),
        InputKind::Tensor => format!("{shape} int8 values"),
    }
}

fn kernel(op: &Op) -> String {
    match op {
        Op::Conv2d(conv) | Op::DepthwiseConv2d(conv) => {
            format!("{}x{} / {}", conv.window.kernel_h, conv.window.kernel_w, conv.window.stride_h)
        }
        Op::MaxPool2d(pool) | Op::AveragePool2d(pool) => {
            format!("{}x{} / {}", pool.window.kernel_h, pool.window.kernel_w, pool.window.stride_h)
        }
        _ => String::new(),
    }
}

/// The layout of a convolution's constants, and their bytes; `None` when they lie outside the weights section.
fn of_convolution(op: &Op, conv: &Conv2d, section: &[u8]) -> Option<(&'static str, usize)> {
    let depthwise = matches!(op, Op::DepthwiseConv2d(_));
    Some(match (conv.weights.layout, Form::of(conv.weights.layout)) {
        (Layout::Plain, _) => {
            let find = if depthwise { plain_depthwise_weights } else { plain_weights };
            let Plain { weights, channels } = find(conv, section)?;
            ("plain", weights.len() + channels.bytes().len())
        }
        (_, Some(form)) => {
            let Winograd { words, channels, .. } = Winograd::find(section, conv, form)?;
            (form.name(), words.len() + channels.bytes().len())
        }
        _ if depthwise => {
            let outputs = conv.output.channels as usize;
            let PackedDepthwise { weights, channels } = PackedDepthwise::find(section, conv.weights, outputs)?;
            ("packed", weights.len() + channels.bytes().len())
        }
        _ => {
            let Packed { words, channels, .. } = Packed::find(section, conv)?;
            ("packed", words.len() + channels.bytes().len())
        }
    })
}

/// The same for a fully connected layer.
fn of_dense(dense: &Dense, section: &[u8]) -> Option<(&'static str, usize)> {
    Some(if dense.weights.layout == Layout::Plain {
        let DensePlain { weights, channels } = DensePlain::find(dense, section)?;
        ("plain", weights.len() + channels.bytes().len())
    } else {
        let packed = DensePacked::find(dense, section)?;
        let (blocks, channels) = (packed.blocks, packed.channels());
        ("packed", size_of_val(blocks) + channels.bytes().len())
    })
}

/// How an operator's weights lie, and the bytes of its constants.
fn constants(op: &Op, section: &[u8]) -> (&'static str, usize) {
    match op {
        Op::Conv2d(conv) | Op::DepthwiseConv2d(conv) => of_convolution(op, conv, section).unwrap_or_default(),
        Op::Dense(dense) => of_dense(dense, section).unwrap_or_default(),
        Op::Add(add) => ("", add.tables.iter().flatten().count() * ADD_TABLE_LEN),
        Op::Lookup(_) => ("", 256),
        Op::Constant(constant) => ("", constant.output.len()),
        _ => ("", 0),
    }
}

impl Inspection {
    fn new(model: &Model<'_>, blob: &[u8], layers: &Layers) -> Self {
        let info = model.info();
        let layer = |(index, op): (usize, Op)| {
            let output = op.output();
            let (layout, constants) = constants(&op, model.weights());
            Layer {
                index,
                layer: layers.layer(index),
                op: op.name(),
                output: shape(output),
                kernel: kernel(&op),
                macs: op.macs(),
                layout,
                constants,
                transform: Transform::new(&op),
                arena_offset: output.offset,
                scale: output.scale,
                zero_point: output.zero_point,
            }
        };
        Self {
            name: info.name.to_owned(),
            labels: model.labels().map(str::to_owned).collect(),
            logits: shape(&info.logits),
            input: input(&info.input),
            flash_bytes: blob.len(),
            weights_bytes: model.weights().len(),
            arena_bytes: model.arena_len(),
            macs: model.ops().map(|op| op.macs()).sum(),
            temperature: info.temperature,
            producer: info.provenance.producer.to_owned(),
            config_sha256: info.provenance.config.to_owned(),
            dataset_sha256: info.provenance.dataset.to_owned(),
            measured_on_images: info.provenance.images,
            float_accuracy: info.provenance.float_accuracy,
            int8_accuracy: info.provenance.int8_accuracy,
            golden_vector: model.golden().is_some(),
            calibration: model.calibration().copied(),
            signature: Signer::of(blob),
            crc32: format!("{:08x}", model.crc()),
            kernels: KernelSet::needed_by(blob).iter().map(Kernel::name).collect(),
            kernel_set: Isa::best().name(),
            stripes: Stripes::new(layers, model),
            layers: model.ops().enumerate().map(layer).collect(),
        }
    }

    fn print(&self) {
        let logits = if self.labels.is_empty() { self.logits.clone() } else { self.labels.join(", ") };
        println!("{}: {} -> {}", escaped(&self.name), self.input, escaped(&logits));
        println!(
            "flash {} bytes (constants {}), arena {} bytes, {} MACs, CRC-32 {}",
            self.flash_bytes, self.weights_bytes, self.arena_bytes, self.macs, self.crc32
        );
        if self.measured_on_images > 0 {
            println!(
                "accuracy on {} images: float {:.3}, int8 {:.3}",
                self.measured_on_images, self.float_accuracy, self.int8_accuracy
            );
        }
        let golden = if self.golden_vector { "yes" } else { "no" };
        println!("temperature {:.3}; golden vector: {golden}; made by {}", self.temperature, escaped(&self.producer));
        if let Some(Calibration { threshold, images, coverage, accuracy }) = self.calibration {
            println!(
                "answers from a probability of {threshold}/256 on: {:.1} % of {images} images, {:.1} % of these right",
                100.0 * coverage,
                100.0 * accuracy
            );
        }
        if let Some(Signer { number, key, valid }) = &self.signature {
            let state = if *valid { "signed" } else { "WRONGLY signed" };
            println!("model number {number}, {state} with the key {key}");
        }
        for (name, hash) in [("configuration", &self.config_sha256), ("data", &self.dataset_sha256)] {
            if !hash.is_empty() {
                println!("SHA-256 of the {name}: {hash}");
            }
        }
        println!("kernels: {}; this program runs its {} ones", self.kernels.join("; "), self.kernel_set);
        println!();
        let header = [
            "#",
            "layer",
            "operator",
            "kernel",
            "output",
            "MACs",
            "layout",
            "constants",
            "of them for speed",
            "instructions saved",
            "arena at",
            "scale",
            "zero point",
        ];
        let mut table = text_table(&header, 5);
        for layer in &self.layers {
            table.add_row([
                layer.index.to_string(),
                layer.layer.map_or_else(|| "-".to_owned(), |layer| layer.to_string()),
                layer.op.to_owned(),
                layer.kernel.clone(),
                layer.output.clone(),
                layer.macs.to_string(),
                layer.layout.to_owned(),
                layer.constants.to_string(),
                layer.transform.as_ref().map_or(String::new(), |transform| transform.bytes.to_string()),
                layer.transform.as_ref().map_or(String::new(), |transform| transform.saved_instructions.to_string()),
                layer.arena_offset.to_string(),
                format!("{:.6}", layer.scale),
                layer.zero_point.to_string(),
            ]);
        }
        println!("{}", table.trim_fmt());
        if let Some(Stripes { layers, operators, more_instructions }) = self.stripes {
            println!(
                "\n{layers} layers in {operators} operators: stripes take about {more_instructions} instructions of a \
                 Cortex-M4 more an inference (estimated)."
            );
        }
        let saved: u64 =
            self.layers.iter().flat_map(|layer| &layer.transform).map(|transform| transform.saved_instructions).sum();
        if saved > 0 {
            println!("\nTransformed weights save about {saved} instructions of a Cortex-M4 an inference (estimated).");
        }
    }
}
