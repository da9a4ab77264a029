//! Weights of a network that was trained elsewhere: a `.safetensors` file with a map of names, the convolutions of a
//! float `.tflite` file in their order, the layers of another run, or what the program brings along.

mod imagenet;
mod names;
mod tflite;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};

use crate::config::{IMAGENET, PretrainedConfig};
use crate::system::read;
use names::Names;

/// Constants of one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerWeights {
    /// `[out][in / groups][height][width]` of a convolution; `[out]` comes first in a dense layer too.
    pub shape: Vec<usize>,
    /// Row by row.
    pub values: Vec<f32>,
    /// What is added to the products.
    pub offset: Offset,
}

/// What follows the products of a layer.
#[derive(Clone, Debug, PartialEq)]
pub enum Offset {
    /// A bias for each output.
    Bias(Vec<f32>),
    /// Batch-norm: `scale · (x − mean) / √(variance + ε) + offset` for each output.
    Norm {
        /// Learnt scale.
        scale: Vec<f32>,
        /// Learnt offset.
        offset: Vec<f32>,
        /// Running mean.
        mean: Vec<f32>,
        /// Running variance.
        variance: Vec<f32>,
    },
}

/// A file of weights.
#[derive(Debug)]
pub struct Pretrained {
    path: PathBuf,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// The bytes of a file that [`SafeTensors`] has checked.
    Safetensors { bytes: Cow<'static, [u8]>, names: Names },
    /// Convolutions in their order.
    Tflite(Vec<LayerWeights>),
    /// A run's layers by name, and its classes.
    Run { layers: BTreeMap<String, LayerWeights>, classes: Vec<String> },
}

impl Pretrained {
    /// All layers of the network that the run in `folder` has trained, which tells `classes` apart.
    #[must_use]
    pub fn of_run(folder: &Path, layers: BTreeMap<String, LayerWeights>, classes: Vec<String>) -> Self {
        Self { path: folder.to_owned(), source: Source::Run { layers, classes } }
    }

    /// The classes of the output layer's rows, where the weights are a run's.
    #[must_use]
    pub fn classes(&self) -> Option<&[String]> {
        match &self.source {
            Source::Run { classes, .. } => Some(classes),
            Source::Safetensors { .. } | Source::Tflite(_) => None,
        }
    }

    /// Reads the file that the configuration names, or takes the weights that are in the program.
    ///
    /// # Errors
    /// When it names none, or the file cannot be read or understood.
    pub fn open(config: &PretrainedConfig) -> Result<Self> {
        let path = config.file.as_deref().context("model.pretrained names no file: give it with --pretrained FILE")?;
        if path == Path::new(IMAGENET) {
            let names = Names::new(&imagenet::names(&config.names))?;
            return Ok(Self {
                path: path.to_owned(),
                source: Source::Safetensors { bytes: imagenet::BYTES.into(), names },
            });
        }
        let source = Self::read(path, config);
        let source = source.with_context(|| format!("the pretrained weights {} cannot be used", path.display()))?;
        Ok(Self { path: path.to_owned(), source })
    }

    fn read(path: &Path, config: &PretrainedConfig) -> Result<Source> {
        let bytes = read::bytes(path, read::MODEL).context("the file cannot be read")?;
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("safetensors") => {
                SafeTensors::deserialize(&bytes).context("it is no safetensors file")?;
                Ok(Source::Safetensors { bytes: bytes.into(), names: Names::new(&config.names)? })
            }
            Some("tflite") => {
                ensure!(config.names.is_empty(), "a .tflite file goes by its order: leave model.pretrained.names out");
                Ok(Source::Tflite(tflite::convolutions(&bytes)?))
            }
            _ => bail!(
                "give a .safetensors or a float .tflite file, the folder of a run, or `{IMAGENET}` for the weights that are in \
                 the program"
            ),
        }
    }

    /// The weights of a convolution of the network, given its name and its place among the convolutions; `None` where
    /// the file is not said to have it.
    ///
    /// # Errors
    /// When tensors that the map of names asks for are missing.
    pub fn convolution(&self, name: &str, index: usize) -> Result<Option<LayerWeights>> {
        match &self.source {
            Source::Safetensors { .. } => self.named(name),
            Source::Tflite(layers) => Ok(layers.get(index).cloned()),
            Source::Run { layers, .. } => Ok(layers.get(name).cloned()),
        }
    }

    /// As [`convolution`](Self::convolution) for a dense layer, which a `.tflite` file never has.
    ///
    /// # Errors
    /// As there.
    pub fn dense(&self, name: &str) -> Result<Option<LayerWeights>> {
        match &self.source {
            Source::Safetensors { .. } => self.named(name),
            Source::Tflite(_) => Ok(None),
            Source::Run { layers, .. } => Ok(layers.get(name).cloned()),
        }
    }

    fn named(&self, name: &str) -> Result<Option<LayerWeights>> {
        let Source::Safetensors { bytes, names } = &self.source else { return Ok(None) };
        let Some(theirs) = names.get(name) else { return Ok(None) };
        let file = SafeTensors::deserialize(bytes)?;
        let (shape, values) = self.tensor(&file, &format!("{theirs}.weight"))?;
        let vector = |name: String| Ok::<_, anyhow::Error>(self.tensor(&file, &name)?.1);
        let offset = match names.get(&format!("{name}.norm")) {
            Some(norm) if names.is_map() || file.tensor(&format!("{norm}.weight")).is_ok() => Offset::Norm {
                scale: vector(format!("{norm}.weight"))?,
                offset: vector(format!("{norm}.bias"))?,
                mean: vector(format!("{norm}.running_mean"))?,
                variance: vector(format!("{norm}.running_var"))?,
            },
            _ => Offset::Bias(vector(format!("{theirs}.bias"))?),
        };
        let lengths = match &offset {
            Offset::Bias(bias) => vec![bias.len()],
            Offset::Norm { scale, offset, mean, variance } => [scale, offset, mean, variance].map(Vec::len).to_vec(),
        };
        let outputs = shape.first().copied().unwrap_or_default();
        ensure!(
            lengths.iter().all(|&len| len == outputs),
            "{theirs} of {} has {outputs} outputs, but other numbers of biases or of batch-norm's values",
            self.path.display()
        );
        Ok(Some(LayerWeights { shape, values, offset }))
    }

    /// Shape and values of a tensor.
    fn tensor(&self, file: &SafeTensors, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
        let shown = self.path.display();
        let tensor = file.tensor(name).ok().with_context(|| {
            let mut names = file.names();
            names.sort();
            let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
            format!("{shown} has no tensor {name}: correct model.pretrained.names; it has {}", names.join(", "))
        })?;
        let data = tensor.data();
        let halves = || data.as_chunks().0.iter().copied();
        let values: Vec<f32> = match tensor.dtype() {
            Dtype::F32 => data.as_chunks().0.iter().copied().map(f32::from_le_bytes).collect(),
            Dtype::F16 => halves().map(|half| f16::from_le_bytes(half).to_f32()).collect(),
            Dtype::BF16 => halves().map(|half| bf16::from_le_bytes(half).to_f32()).collect(),
            other => bail!("{name} of {shown} is {other:?}: convert it to F32, F16 or BF16"),
        };
        ensure!(values.iter().all(|value| value.is_finite()), "{name} of {shown} has a value that is no finite number");
        Ok((tensor.shape().to_vec(), values))
    }

    /// What to say about a layer that does not fit.
    #[must_use]
    pub fn unfit(&self, layer: &str) -> String {
        format!(
            "{} does not fit {layer}: choose the model's preset, width and blocks as in that file, and the names in \
             model.pretrained.names",
            self.path.display()
        )
    }
}
