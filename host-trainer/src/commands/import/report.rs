//! What `import` says about the blob that it made.

use anyhow::Result;
use model_compiler::Compiled;
use model_compiler::layout::stripes::Layers;
use model_compiler::quantise::noise::LayerSqnr;
use model_compiler::quantise::search::Choice;
use model_training::measure::metrics::Share;
use model_training::system::hints::program;
use no_std_infer::Model;
use no_std_infer::format::Tensor;
use serde::Serialize;

use super::ImportArgs;
use crate::report::export::{choice_text, layers_text};

/// Share of the images below which int8 and float disagree so often that the user is warned.
const ENOUGH_AGREEMENT: f64 = 0.9;
/// Signal-to-noise ratio in dB below which the user is warned of a model that has no classes: outputs are off by a tenth.
const ENOUGH_DB: f64 = 20.0;

/// What became of the model.
#[derive(Serialize)]
pub(super) struct Report {
    model: String,
    blob: String,
    input: Side,
    input_kind: &'static str,
    output: Side,
    /// Two of a sigmoid of one output.
    classes: usize,
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
pub(in crate::commands) fn real_text(scale: f32, zero_point: i8) -> String {
    match zero_point {
        0 => format!("real = {scale} * byte"),
        1.. => format!("real = {scale} * (byte - {zero_point})"),
        _ => format!("real = {scale} * (byte + {})", -i32::from(zero_point)),
    }
}

/// How close the int8 model is to the float model.
#[derive(Serialize)]
struct Quantisation {
    /// What is subtracted from pixels, of a model of pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    mean: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    std: Option<f64>,
    calibration_images: usize,
    #[serde(flatten)]
    choice: Choice,
    /// Inputs, other than those for calibration, that both put into the same class, of a model of two classes or more.
    #[serde(skip_serializing_if = "Option::is_none")]
    agreement: Option<Share>,
    /// How many these other inputs are.
    checked: usize,
    /// Signal-to-noise ratio on them in dB, of the outputs or of the scores before a last softmax or sigmoid; none where they
    /// are exact.
    checked_db: Option<f64>,
    layers: Vec<LayerSqnr>,
}

impl Report {
    pub(super) fn new(args: &ImportArgs, compiled: Compiled) -> Result<Self> {
        let Compiled { blob, plan, input, changes, quantisation, .. } = compiled;
        let model = Model::parse(&blob)?;
        Ok(Self {
            model: args.model.display().to_string(),
            blob: args.out.display().to_string(),
            input: Side::new(&model.info().input.tensor),
            input_kind: if input.image().is_some() { "image" } else { "tensor" },
            output: Side::new(&model.output()),
            classes: model.classes(),
            labels: model.labels().count(),
            layers: Layers::of(&blob, &model)?.count(),
            operators: model.ops().count(),
            macs: model.ops().map(|op| op.macs()).sum(),
            flash_bytes: blob.len(),
            arena_bytes: plan.arena_len,
            arena_lower_bound: plan.lower_bound,
            changes,
            quantisation: quantisation.map(|found| Quantisation {
                mean: input.image().map(|_| args.mean),
                std: input.image().map(|_| args.std),
                calibration_images: found.calibrated,
                choice: found.choice,
                agreement: found.agreeing.map(|agreeing| Share::new(agreeing, found.checked)),
                checked: found.checked,
                checked_db: found.db,
                layers: found.layers,
            }),
        })
    }

    /// Prints it; `assumed` where nobody said what the input is.
    pub(super) fn print(&self, assumed: bool) {
        println!("{} -> {}", self.model, self.blob);
        let (is, other) = match self.input_kind {
            "image" => (format!("{}, a picture: bytes are pixel - 128", self.input.shape_text()), "tensor"),
            _ => (format!("{}, raw int8 values", self.input.to_text()), "image"),
        };
        let assumed = if assumed { format!(" (assumed; change it with --input {other})") } else { String::new() };
        println!("input   {is}{assumed}");
        let labels = match (self.labels, self.classes) {
            (0, 1) => "no classes".to_owned(),
            (0, classes) => format!("{classes} classes without names (--labels FILE gives them)"),
            (labels, _) => format!("{labels} class names"),
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
        println!("\nSee its layers:      {program} inspect {}", self.blob, program = program());
        if self.input_kind == "image" {
            println!("Classify an image:   {program} predict {} IMAGE", self.blob, program = program());
        }
        println!("Run raw tensors:     {program} run {} --input IN.i8 --output OUT.i8", self.blob, program = program());
    }
}

impl Quantisation {
    fn print(&self) {
        if let (Some(mean), Some(std)) = (self.mean, self.std) {
            println!(
                "quantised here for inputs of (pixel - {mean}) / {std}, folded into the first layer; change it with --mean, --std"
            );
        } else {
            println!("quantised here for inputs like those of --calibrate");
        }
        let (checked, from) = (self.checked, self.calibration_images);
        let exact = || "exact".to_owned();
        let ratio = self.checked_db.map_or_else(exact, |db| format!("{db:.1} dB signal-to-noise ratio"));
        match &self.agreement {
            Some(Share { count, total, .. }) => {
                println!(
                    "int8 and float agree on the class of {count} of {total} inputs ({ratio}); ranges from {from} others"
                );
            }
            None => {
                println!("the outputs of int8 for {checked} inputs beside float's: {ratio}; ranges from {from} others")
            }
        }
        print!("{}", choice_text(&self.choice));
        println!("\n{}", layers_text(&self.layers));
        if let Some(what) = self.doubt() {
            println!(
                "\nwarning: {what}: calibrate on more inputs, like those that the model will see; a model made for int8 \
                 (quantisation-aware training) loses less"
            );
        }
    }

    /// What is worse than it should be.
    fn doubt(&self) -> Option<String> {
        match &self.agreement {
            Some(agreement) => (agreement.value < ENOUGH_AGREEMENT).then(|| {
                format!(
                    "int8 and float disagree on {} of {} inputs",
                    agreement.total - agreement.count,
                    agreement.total
                )
            }),
            None => self.checked_db.filter(|db| *db < ENOUGH_DB).map(|db| format!("int8 is {db:.1} dB from float")),
        }
    }
}
