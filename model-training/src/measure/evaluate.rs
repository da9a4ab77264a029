//! Runs models over images: the float graph, and the int8 model by the kernels of `host-kernels`, whose bytes are those of
//! `no-std-infer`.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use host_kernels::Prepared;
use model_compiler::aligned::Aligned;
use model_compiler::graph::{Graph, class};
use model_compiler::quantise::noise::{self, LayerSqnr};
use no_std_infer::format::{Info, Tensor};
use no_std_infer::score::probabilities;
use no_std_infer::{Interpreter, Model};
use rayon::prelude::*;

use crate::config::InputConfig;
use crate::data::dataset::Images;
use crate::data::progress;
use crate::system::hints::program;
use crate::system::read;

/// Reads a blob from a file.
///
/// # Errors
/// When the file cannot be read. Whether it is a model, `Model::parse` says.
pub fn read_blob(path: &Path) -> Result<Aligned<u8>> {
    let bytes = read::bytes(path, read::MODEL).with_context(|| format!("cannot read the blob {}", path.display()))?;
    Ok(Aligned::copy_of(&bytes))
}

/// Checks a blob that was read from `path`.
///
/// # Errors
/// When it is no valid model.
pub fn parse<'a>(blob: &'a Aligned<u8>, path: &Path) -> Result<Model<'a>> {
    Model::parse(blob).with_context(|| {
        let path = path.display();
        format!(
            "{path} cannot be used: make it again with `{program} quantize RUN_DIR` or `{program} import`",
            program = program()
        )
    })
}

/// How pictures become the input of a model, read from `path`, that gives one score a class.
///
/// # Errors
/// When the model reads no pictures, or its logits are of several rows or columns.
pub fn input_config(model: &Model<'_>, path: &Path) -> Result<InputConfig> {
    let Info { input, logits, .. } = model.info();
    let (shown, remedy) = (path.display(), format!("use `{} run`", program()));
    let image = input.kind.image();
    let image = image.with_context(|| {
        format!("{shown} reads a tensor of {} int8 values, not pictures: {remedy}", shape(&input.tensor))
    })?;
    let classifies = logits.height == 1 && logits.width == 1;
    ensure!(classifies, "{shown} gives {} values for a picture, not one score a class: {remedy}", shape(logits));
    Ok(InputConfig { width: input.tensor.width, height: input.tensor.height, color: image.color, fit: image.fit })
}

/// [`input_config`] of a model that tells classes apart.
///
/// # Errors
/// Those of [`input_config`], and when the model gives one number that is no probability.
pub fn classifier_config(model: &Model<'_>, path: &Path) -> Result<InputConfig> {
    let config = input_config(model, path)?;
    ensure!(
        model.classes() > 1,
        "{} gives one number for a picture, which is no class: `{} predict` prints it",
        path.display(),
        program()
    );
    Ok(config)
}

/// Names of a model's classes: its labels, or their indices where it has none.
#[must_use]
pub fn class_names(model: &Model<'_>) -> Vec<String> {
    let labels: Vec<String> = model.labels().map(str::to_owned).collect();
    if labels.is_empty() { (0..model.classes()).map(|class| class.to_string()).collect() } else { labels }
}

/// Probabilities of a model's classes, of what it has given: those of its own sigmoid, or what its logits come to by softmax.
#[must_use]
pub fn class_probabilities(model: &Model<'_>, logits: &[i8], output: &[i8]) -> Vec<f32> {
    let scores = model.scores(logits, output);
    if model.ends_in_sigmoid() {
        return scores.output().iter().map(|&byte| (f32::from(byte) + 128.0) / 256.0).collect();
    }
    let mut shares = vec![0.0; scores.logits().len()];
    probabilities(model.info(), scores.logits(), &mut shares);
    shares
}

/// A tensor's sides for people: `height x width x channels`, without leading sides of 1 for a vector.
#[must_use]
pub fn shape(tensor: &Tensor) -> String {
    match (tensor.height, tensor.width, tensor.channels) {
        (1, 1, channels) => format!("1x{channels}"),
        (height, width, channels) => format!("{height}x{width}x{channels}"),
    }
}

/// The float network's logits of each image, behind a progress bar.
#[must_use]
pub fn float_logits(graph: &Graph, images: &Images) -> Vec<Vec<f32>> {
    tracing::trace!("the float network runs over {} images", images.len());
    let bar = progress::scoring(images.len(), "float network");
    let logits = (0..images.len()).into_par_iter().map(|index| graph.logits(&images.input(index)));
    logits.inspect(|_| bar.inc(1)).collect()
}

/// The int8 model's logits and final outputs (probabilities) of each image, behind a progress bar.
///
/// # Panics
/// When the images do not have the size of the model's input.
#[must_use]
pub fn int8_outputs(model: &Model<'_>, images: &Images) -> Vec<Int8Output> {
    tracing::trace!("the int8 model runs over {} images", images.len());
    let bar = progress::scoring(images.len(), "int8 model");
    infer_all(model, (0..images.len()).into_par_iter().map(|index| images.input(index)).inspect(|_| bar.inc(1)))
}

/// What the int8 model makes of each input, in order, on all threads.
///
/// # Panics
/// When an input has another length than the model's input.
#[must_use]
pub fn infer_all<I: AsRef<[i8]>>(model: &Model<'_>, inputs: impl IndexedParallelIterator<Item = I>) -> Vec<Int8Output> {
    let prepared = Prepared::new(model);
    inputs.map_init(|| prepared.runner(), |runner, input| Int8Output::of(&runner.run(input.as_ref()))).collect()
}

/// The float network and the int8 model that was made of it, side by side on some images (`pixel − 128`, HWC): how close each
/// layer is, and what both say. `layers` is as [`side_by_side`](noise::side_by_side) has it.
///
/// # Errors
/// When the model was not made from this graph, or an input has the wrong length.
pub fn side_by_side<I: AsRef<[i8]> + Sync>(
    (graph, model): (&Graph, &Model<'_>),
    layers: &[Option<usize>],
    inputs: &[I],
) -> Result<(Vec<LayerSqnr>, Said)> {
    tracing::trace!("the float network runs over {} images", inputs.len());
    tracing::trace!("the int8 model runs over {} images", inputs.len());
    let (layers, results) = noise::side_by_side(graph, model, layers, inputs, Int8Output::of)?;
    let (float, int8) = results.into_iter().unzip();
    Ok((layers, Said { float, int8 }))
}

/// What both engines say about some images, an entry an image each.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// Logits of the float network.
    pub float: Vec<Vec<f32>>,
    /// What the int8 model says.
    pub int8: Vec<Int8Output>,
}

/// What the int8 model makes of one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Int8Output {
    /// Scores before softmax.
    pub logits: Vec<i8>,
    /// The last operator's output.
    pub output: Vec<i8>,
    /// The class, whether or not the model answers.
    pub class: usize,
    /// The class, or `None` where the model rather does not answer.
    pub decision: Option<usize>,
}

impl Int8Output {
    /// What an interpreter has made of its input.
    #[must_use]
    pub fn of(interpreter: &Interpreter<'_, '_>) -> Self {
        Self {
            logits: interpreter.logits().to_vec(),
            output: interpreter.output().to_vec(),
            class: interpreter.class(),
            decision: interpreter.decision(),
        }
    }
}

/// Runs the int8 model on one input, by the engine's own kernels.
///
/// # Panics
/// When `input` has another length than the model's input, or `arena` is shorter than the model needs.
pub fn infer(model: &Model<'_>, arena: &mut Aligned<i8>, input: &[i8]) -> Int8Output {
    let mut interpreter = Interpreter::new(*model, arena).expect("the arena has the length that the model asks for");
    interpreter.input_mut().copy_from_slice(input);
    interpreter.run();
    Int8Output::of(&interpreter)
}

/// The class of each image by the float logits; the first of equals.
#[must_use]
pub fn float_classes(logits: &[Vec<f32>]) -> Vec<usize> {
    logits.iter().map(|logits| class(logits)).collect()
}

/// The class of each image by the int8 logits; the first of equals.
#[must_use]
pub fn int8_classes(outputs: &[Int8Output]) -> Vec<usize> {
    outputs.iter().map(|output| output.class).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_first_class() {
        assert_eq!(float_classes(&[vec![1.0, 3.0, 3.0], vec![2.0, 2.0, 0.0]]), [1, 0]);
    }
}
