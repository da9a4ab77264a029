//! What the network is made of.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The network: a preset, or features and head of one's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// `resnet8` (alias `deep`), `mobilenet`, `mobilenetv2`, `dwresnet` or `shallow`; ignored where `features` is given.
    pub preset: Preset,
    /// Factor of the channels of `mobilenet`, `mobilenetv2` and `dwresnet`, 0.01 to 4.
    pub width: f64,
    /// Most blocks of a stage of `mobilenetv2`, and blocks of each stage of `dwresnet`, 1 to 8.
    pub depth: usize,
    /// What batch-norm adds to the variance; when absent, 1e-3 for `mobilenet`, as in Keras, and 1e-5 otherwise.
    pub batch_norm_epsilon: Option<f64>,
    /// The convolutional part, block by block, in place of the preset's.
    pub features: Option<Vec<Block>>,
    /// The MLP, in place of the preset's.
    pub head: Option<Head>,
    /// Weights to start from, in place of random ones.
    pub pretrained: Option<PretrainedConfig>,
    /// Filters that the first convolution starts from, learnt from the training images without their labels.
    pub kmeans: Option<KmeansConfig>,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            preset: Preset::Resnet8,
            width: 0.25,
            depth: 2,
            batch_norm_epsilon: None,
            features: None,
            head: None,
            pretrained: None,
            kmeans: None,
        }
    }
}

impl ModelConfig {
    /// Names the file of pretrained weights, where one is given.
    pub fn start_from(&mut self, file: Option<&Path>) {
        if let Some(file) = file {
            self.pretrained.get_or_insert_default().file = Some(file.to_owned());
        }
    }
}

/// What names the weights that are in the program, where a file is asked for.
pub const IMAGENET: &str = "imagenet";

/// Where initial weights come from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PretrainedConfig {
    /// A `.safetensors` file, or a float `.tflite` file whose convolutions come in the order of the network's; the folder of a run,
    /// whose network has the same layers; or `imagenet`, for the weights in the program: those of `mobilenet` at width 0.25,
    /// trained on ImageNet. `--pretrained` gives it too.
    pub file: Option<PathBuf>,
    /// For each layer the name that it has in a `.safetensors` file: `"features.0.conv" = "stem"` takes `stem.weight`
    /// and `stem.bias`. `NAME.norm` is the batch-norm of a layer: `weight`, `bias`, `running_mean` and `running_var`.
    /// `{}` stands for any number: `"features.{}.pointwise" = "block_{}"`. Layers that are not named start from random
    /// weights; where nothing is named, all have the network's own names. Convolutions are `[out][in][height][width]`;
    /// one that reads three colours is summed over them where the network reads grey.
    pub names: BTreeMap<String, String>,
}

/// Spherical k-means over whitened patches (Coates and Ng 2012): each filter is the mean of patches that look alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KmeansConfig {
    /// Patches drawn from the training images.
    pub patches: usize,
    /// How often each patch is given to its nearest filter and the filters follow.
    pub iterations: usize,
    /// Added to the variance of each direction before whitening, of pixels with variance 1: directions of less are noise.
    pub regularization: f64,
    /// Answers below this do not pass the ReLU; they have a standard deviation of about 1.
    pub threshold: f32,
}

impl Default for KmeansConfig {
    fn default() -> Self {
        Self { patches: 40_000, iterations: 8, regularization: 1e-3, threshold: 0.5 }
    }
}

/// Networks by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Two convolutions with large max-pools and an MLP.
    Shallow,
    /// MLPerf Tiny's ResNet8: residual blocks of 16, 32 and 64 channels with batch-norm.
    #[serde(alias = "deep")]
    #[value(alias = "deep")]
    Resnet8,
    /// MobileNetV1 (Howard et al. 2017): depthwise-separable blocks with ReLU6.
    Mobilenet,
    /// The first stages of MobileNetV2 (Sandler et al. 2018): inverted residuals with linear bottlenecks and ReLU6.
    Mobilenetv2,
    /// ResNet of depthwise-separable convolutions: three stages of residual blocks with batch-norm.
    Dwresnet,
}

impl Preset {
    /// The name in configurations and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Preset::Shallow => "shallow",
            Preset::Resnet8 => "resnet8",
            Preset::Mobilenet => "mobilenet",
            Preset::Mobilenetv2 => "mobilenetv2",
            Preset::Dwresnet => "dwresnet",
        }
    }
}

/// One block of the convolutional part. Padding is TFLite's SAME where nothing else is said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "type")]
pub enum Block {
    /// Convolution, batch-norm where asked, activation.
    Conv {
        /// Output channels.
        channels: usize,
        /// Kernel height and width.
        #[serde(default = "three")]
        kernel: usize,
        /// Stride.
        #[serde(default = "one")]
        stride: usize,
        /// What is read beyond the edge.
        #[serde(default)]
        padding: Padding,
        /// Batch-norm before the activation.
        #[serde(default = "yes")]
        batch_norm: bool,
        /// Activation.
        #[serde(default)]
        activation: Activation,
    },
    /// Depthwise 3x3 and pointwise convolution, each with batch-norm and activation.
    Separable {
        /// Output channels.
        channels: usize,
        /// Stride of the depthwise convolution.
        #[serde(default = "one")]
        stride: usize,
        /// Activation.
        #[serde(default)]
        activation: Activation,
    },
    /// Two 3x3 convolutions with batch-norm and a shortcut (1x1 convolution where the shape changes).
    Residual {
        /// Output channels.
        channels: usize,
        /// Stride of the first convolution.
        #[serde(default = "one")]
        stride: usize,
    },
    /// Two depthwise-separable convolutions with batch-norm and a shortcut (1x1 convolution where the shape changes).
    SeparableResidual {
        /// Output channels.
        channels: usize,
        /// Stride of the first depthwise convolution.
        #[serde(default = "one")]
        stride: usize,
    },
    /// Inverted residual: a 1x1 convolution to more channels, a depthwise 3x3 convolution and a linear 1x1 convolution to
    /// fewer, each with batch-norm; the input is added where its shape is the output's.
    InvertedResidual {
        /// Output channels.
        channels: usize,
        /// How many times more channels are in between than in the input; with 1 there is no first convolution.
        #[serde(default = "six")]
        expansion: usize,
        /// Stride of the depthwise convolution.
        #[serde(default = "one")]
        stride: usize,
        /// Activation of the first two convolutions.
        #[serde(default = "relu6")]
        activation: Activation,
    },
    /// Max pooling without padding; stride equals size.
    MaxPool {
        /// Height and width of the window.
        size: usize,
    },
    /// Average pooling without padding; stride equals size.
    AveragePool {
        /// Height and width of the window.
        size: usize,
    },
    /// Mean over all rows and columns.
    GlobalAveragePool,
}

/// What a convolution reads beyond the edge of its input, in TFLite's terms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Padding {
    /// So much that the output is the input divided by the stride, rounded up; of an odd total the smaller half above
    /// and left.
    #[default]
    Same,
    /// Nothing.
    Valid,
}

fn one() -> usize {
    1
}

fn three() -> usize {
    3
}

fn six() -> usize {
    6
}

fn relu6() -> Activation {
    Activation::Relu6
}

fn yes() -> bool {
    true
}

/// Activation functions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// None.
    Linear,
    /// max(x, 0).
    #[default]
    Relu,
    /// min(max(x, 0), 6).
    Relu6,
    /// 1 / (1 + e^−x).
    Sigmoid,
}

/// The MLP after the features: hidden layers, then one output a class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Head {
    /// Width of each hidden layer.
    pub hidden: Vec<usize>,
    /// Activation of the hidden layers.
    pub activation: Activation,
    /// Share of the inputs of each layer that training drops.
    pub dropout: f64,
}

impl Default for Head {
    fn default() -> Self {
        Self { hidden: Vec::new(), activation: Activation::Relu, dropout: 0.0 }
    }
}
