//! The MLPerf Tiny models with what LiteRT's reference kernels made of them.
//!
//! They are not part of the repository. They are looked for in `$MLPERF_TINY`, then in `../shared/data/mlperf-tiny`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use host_trainer::device::Device;
use model_compiler::aligned::Aligned;
use model_compiler::blob::emit::{Description, Limits, emit_within};
use model_compiler::import;
use model_compiler::layout::stripes::Layers;
use no_std_infer::Model;
use no_std_infer::format::{InputKind, Provenance, Tensor};
use serde_json::Value;

use crate::Engine;

/// Folders of the models.
pub const MODELS: [&str; 3] = ["resnet8", "vww", "kws"];

/// Where the models are looked for.
#[must_use]
pub fn folder() -> PathBuf {
    let shared = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/mlperf-tiny");
    std::env::var_os("MLPERF_TINY").map_or_else(shared, PathBuf::from)
}

/// What to do when the models are not there.
#[must_use]
pub fn missing() -> Option<String> {
    let found = MODELS.iter().all(|model| folder().join(model).join("manifest.json").exists());
    (!found).then(|| "needs the MLPerf Tiny models: set MLPERF_TINY to their folder".to_owned())
}

/// The `.tflite` file of a model.
///
/// # Errors
/// When its manifest cannot be read.
pub fn file(name: &str) -> Result<PathBuf> {
    let folder = folder().join(name);
    let file = manifest(&folder)?["model"].as_str().context("the manifest names the model")?.to_owned();
    Ok(folder.join(file))
}

fn manifest(folder: &Path) -> Result<Value> {
    let path = folder.join("manifest.json");
    let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(serde_json::from_slice(&text)?)
}

/// A layer's output as LiteRT made it for input 0.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Shape and quantisation; its offset is 0.
    pub tensor: Tensor,
    /// The bytes.
    pub values: Vec<i8>,
}

/// A model, imported, with inputs and LiteRT's outputs.
#[derive(Debug)]
pub struct Golden {
    /// The imported model.
    pub blob: Aligned<u8>,
    /// Each as long as the network's input.
    pub inputs: Vec<Vec<i8>>,
    /// LiteRT's output for each input.
    pub outputs: Vec<Vec<i8>>,
    /// LiteRT's output of every operator for input 0.
    pub layers: Vec<Layer>,
}

/// How many of how many bytes are equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bytes {
    /// Equal bytes.
    pub equal: usize,
    /// All bytes.
    pub all: usize,
}

impl Bytes {
    fn add(&mut self, expected: &[i8], made: &[i8]) {
        self.all += expected.len().max(made.len());
        self.equal += expected.iter().zip(made).filter(|(a, b)| a == b).count();
    }
}

impl Golden {
    /// Imports a model and reads its golden outputs.
    ///
    /// # Errors
    /// When a file is missing or of another length than the model says, or the import changes operators, so that layers
    /// cannot be compared one to one.
    pub fn open(name: &str, limits: Limits) -> Result<Self> {
        let folder = folder().join(name);
        let manifest = manifest(&folder)?;
        let file = file(name)?;
        let lowered = import::int8(&std::fs::read(&file)?)?;
        ensure!(lowered.changes.is_empty(), "operators were changed: {:?}", lowered.changes);
        let name = &*file.file_stem().context("the model has a name")?.to_string_lossy();
        let description =
            Description { name, labels: &[], input: InputKind::Tensor, provenance: Provenance::default() };
        let blob = emit_within(&lowered.model, &description, limits)?.blob;
        let model = Model::parse(&blob)?;
        let count = manifest["count"].as_u64().context("the manifest counts the inputs")? as usize;
        let tensors = |file: &str, len: usize| -> Result<Vec<Vec<i8>>> {
            let values = signed(std::fs::read(folder.join(file))?);
            ensure!(count > 0 && values.len() == count * len, "{file} has {} bytes", values.len());
            Ok(values.chunks(len).map(<[i8]>::to_vec).collect())
        };
        let inputs = tensors("inputs.i8", model.info().input.tensor.len())?;
        let outputs = tensors("outputs.i8", model.output().len())?;
        let layers = manifest["layers_of_input_0"].as_array().context("the manifest lists layers")?;
        let layers: Vec<Layer> = layers.iter().map(|entry| layer(&folder, entry)).collect::<Result<_>>()?;
        ensure!(layers.len() == Layers::of(&blob, &model)?.count(), "LiteRT has {} layers", layers.len());
        Ok(Self { blob, inputs, outputs, layers })
    }

    /// Runs all inputs on this machine: the outputs' bytes, and those of every layer for input 0.
    ///
    /// # Errors
    /// When the blob is no valid model.
    pub fn compare<E: Engine>(&self) -> Result<[Bytes; 2]> {
        let model = Model::parse(&self.blob)?;
        let layers_of = Layers::of(&self.blob, &model)?;
        let (mut outputs, mut layers) = (Bytes::default(), Bytes::default());
        for (index, (input, expected)) in self.inputs.iter().zip(&self.outputs).enumerate() {
            let made = layers_of.outputs(&E::outputs(&model, input));
            outputs.add(expected, made.last().context("the model has no operator")?);
            if index == 0 {
                self.layers.iter().zip(&made).for_each(|(layer, made)| layers.add(&layer.values, made));
            }
        }
        Ok([outputs, layers])
    }

    /// Runs the first `count` inputs on a Cortex-M4 in QEMU: the outputs' bytes, and the instructions of an inference.
    ///
    /// # Errors
    /// When the device cannot be started or does not answer.
    pub fn compare_on_device(&self, count: usize) -> Result<(Bytes, u64)> {
        let mut device = Device::start(&self.blob)?;
        let (mut bytes, mut instructions) = (Bytes::default(), 0);
        for (input, expected) in self.inputs.iter().zip(&self.outputs).take(count) {
            let result = device.infer(input)?;
            bytes.add(expected, &result.output);
            instructions = result.total;
        }
        Ok((bytes, instructions))
    }
}

fn signed(bytes: Vec<u8>) -> Vec<i8> {
    bytes.into_iter().map(|byte| byte as i8).collect()
}

fn layer(folder: &Path, entry: &Value) -> Result<Layer> {
    let file = entry["file"].as_str().context("a layer names its file")?;
    let values = signed(std::fs::read(folder.join(file))?);
    let shape = entry["shape"].as_array().context("a layer has a shape")?;
    let side = |at: usize| shape[at].as_u64().unwrap_or(1);
    let (height, width) = if shape.len() == 4 { (side(1), side(2)) } else { (1, 1) };
    let tensor = Tensor {
        offset: 0,
        height: height as u16,
        width: width as u16,
        channels: side(shape.len() - 1) as u32,
        scale: entry["scale"].as_f64().context("a layer has a scale")? as f32,
        zero_point: entry["zero_point"].as_i64().context("a layer has a zero point")? as i8,
    };
    Ok(Layer { tensor, values })
}
