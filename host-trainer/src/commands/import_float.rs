//! `import --calibrate`: a float model is quantised here.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use model_compiler::blob::emit::{Emitted, Limits, emit_within};
use model_compiler::graph::Graph;
use model_compiler::import::float::{Normalisation, float};
use model_compiler::import::model::Network;
use model_compiler::layout::schedule::schedule_graph;
use model_compiler::quantise::noise::LayerSqnr;
use model_compiler::quantise::search::{self, Best, Choice};
use model_compiler::quantise::{Method, QuantModel};
use no_std_infer::Model;
use no_std_infer::format::{Color, Fit, ImageInput, InputKind};
use rayon::prelude::*;
use serde::Serialize;

use super::import::{ImportArgs, check_labels, description, model_name};
use crate::config::InputConfig;
use crate::dataset::{View, image_files, input_for};
use crate::evaluate::{float_classes, infer_all, int8_classes};
use crate::export::{choice_text, layers_text};
use crate::metrics::Share;

/// Share of the images below which int8 and float disagree so often that the user is warned.
const ENOUGH_AGREEMENT: f64 = 0.9;
/// Most images that ranges are taken from; as many others measure the agreement.
const IMAGES: usize = 200;

/// How close the int8 model is to the float model.
#[derive(Serialize)]
pub(super) struct Quantisation {
    mean: f64,
    std: f64,
    calibration_images: usize,
    #[serde(flatten)]
    choice: Choice,
    /// Images, other than those for calibration, that both put into the same class.
    agreement: Share,
    layers: Vec<LayerSqnr>,
}

/// A float model, quantised.
pub(super) struct Quantised {
    pub(super) emitted: Emitted,
    pub(super) kind: InputKind,
    pub(super) notes: Vec<String>,
    pub(super) quantisation: Quantisation,
}

pub(super) fn quantised(
    args: &ImportArgs,
    network: &Network<'_>,
    folder: &Path,
    labels: &[String],
) -> Result<Quantised> {
    ensure!(args.std.is_finite() && args.std > 0.0, "--std is {}: give a positive number", args.std);
    ensure!(folder.is_dir(), "--calibrate: there is no folder {}: give a folder of typical images", folder.display());
    let normalisation = Normalisation { mean: args.mean, std: args.std };
    let graph = schedule_graph(float(network, normalisation)?);
    check_labels(args, labels, graph.nodes.last().map_or(0, |node| node.output.channels))?;
    let config = input_config(&graph)?;
    let [mean, std] = [args.mean, args.std].map(|value| [(value / 255.0) as f32; 3]);
    let kind = InputKind::Image(ImageInput { color: config.color, fit: config.fit, mean, std });
    let name = model_name(args);
    let limits = args.limits.limits();
    let description = description(&name, labels, kind);
    // Whole layers can be compared with the float graph's.
    let write = |model: &QuantModel| emit_within(model, &description, Limits { arena: None, ..limits });

    let inputs = read(&image_files(folder)?, &config)?;
    let [calibration, others] = [0, 1].map(|first| inputs.iter().skip(first).step_by(2).cloned().collect::<Vec<_>>());
    let Best { choice, model, plain, layers } = search::best(&graph, &calibration, &Method::ALL, 1.0, write)?;
    let emitted = if limits.arena.is_some() { emit_within(&model, &description, limits)? } else { plain };
    let agreement = agreement(&graph, &Model::parse(&emitted.blob)?, &others);
    let calibration_images = calibration.len();
    let quantisation = Quantisation { mean: args.mean, std: args.std, calibration_images, choice, agreement, layers };
    Ok(Quantised { emitted, kind, notes: model.notes, quantisation })
}

fn input_config(graph: &Graph) -> Result<InputConfig> {
    let side = |side: usize| u16::try_from(side).context("the network's input is too large");
    let color = if graph.input.channels == 1 { Color::Grey } else { Color::Rgb };
    Ok(InputConfig { width: side(graph.input.width)?, height: side(graph.input.height)?, color, fit: Fit::Stretch })
}

/// The network's inputs for files spread over the folder.
fn read(files: &[PathBuf], config: &InputConfig) -> Result<Vec<Vec<i8>>> {
    let count = files.len().min(2 * IMAGES);
    ensure!(count > 0, "there is no image to calibrate on");
    ensure!(count > 1, "there is one image to calibrate on: give at least two, the second checks the result");
    let chosen: Vec<&PathBuf> = (0..count).filter_map(|index| files.get(index * files.len() / count)).collect();
    chosen.par_iter().map(|path| input_for(path, config, View::Rgb888)).collect()
}

fn agreement(graph: &Graph, model: &Model<'_>, inputs: &[Vec<i8>]) -> Share {
    let float: Vec<Vec<f32>> = inputs.par_iter().map(|input| graph.logits(input)).collect();
    let pairs = float_classes(&float).into_iter().zip(int8_classes(&infer_all(model, inputs.par_iter())));
    Share::new(pairs.filter(|(float, int8)| float == int8).count(), inputs.len())
}

impl Quantisation {
    pub(super) fn print(&self) {
        println!(
            "quantised here for inputs of (pixel - {}) / {}, folded into the first layer; change it with --mean, --std",
            self.mean, self.std
        );
        println!(
            "int8 and float agree on the class of {} of {} images; ranges from {} others",
            self.agreement.count, self.agreement.total, self.calibration_images
        );
        print!("{}", choice_text(&self.choice));
        println!("\n{}", layers_text(&self.layers));
        if self.agreement.value < ENOUGH_AGREEMENT {
            println!(
                "\nwarning: int8 and float disagree on {} of {} images: calibrate on more pictures, like those that the \
                 model will see; a model made for int8 (quantisation-aware training) loses less",
                self.agreement.total - self.agreement.count,
                self.agreement.total
            );
        }
    }
}
