//! The training configuration: one TOML file, every entry optional, unknown entries refused.

mod validate;

use no_std_infer::format::{Color, Fit};
use serde::{Deserialize, Serialize};

/// Everything that decides what a training run computes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Seed of the split, the initial weights, the order of the images and the augmentation.
    pub seed: u64,
    /// How an unsplit folder is split.
    pub data: DataConfig,
    /// What the network sees.
    pub input: InputConfig,
    /// Random changes to training images.
    pub augment: AugmentConfig,
    /// The network.
    pub model: ModelConfig,
    /// Optimisation.
    pub train: TrainConfig,
    /// Learning-rate schedule.
    pub plateau: PlateauConfig,
    /// When to give up.
    pub early_stopping: EarlyStoppingConfig,
    /// Post-training quantisation.
    pub quantize: QuantizeConfig,
}

/// How a folder without `train`/`valid`/`test` sub-folders is split; stratified by class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// Share of the images for validation, 0 to 1.
    pub valid: f64,
    /// Share of the images for the test, 0 to 1.
    pub test: f64,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self { valid: 0.15, test: 0.15 }
    }
}

/// Size and colour of the network's input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InputConfig {
    /// Pixels across.
    pub width: u16,
    /// Pixels down.
    pub height: u16,
    /// `rgb` or `grey`.
    pub color: Color,
    /// `stretch` or `crop`.
    pub fit: Fit,
}

impl Default for InputConfig {
    fn default() -> Self {
        Self { width: 64, height: 64, color: Color::Rgb, fit: Fit::Stretch }
    }
}

/// Ranges of the random changes to training images; 0 switches one off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentConfig {
    /// Probability of a horizontal flip.
    pub horizontal_flip: f32,
    /// Brightness is multiplied by 1 ± this.
    pub brightness: f32,
    /// Contrast around the image's mean is multiplied by 1 ± this.
    pub contrast: f32,
    /// Saturation is multiplied by 1 ± this.
    pub saturation: f32,
    /// Hue is turned by ± this many degrees.
    pub hue: f32,
    /// The image is turned by ± this many degrees, any angle up to 180.
    pub rotation: f32,
    /// Smallest and largest share of the area that a random crop keeps, each in (0, 1].
    pub crop_area: [f32; 2],
    /// Smallest and largest factor by which a crop's aspect ratio changes.
    pub crop_aspect: [f32; 2],
}

impl Default for AugmentConfig {
    fn default() -> Self {
        Self {
            horizontal_flip: 0.5,
            brightness: 0.3,
            contrast: 0.3,
            saturation: 0.3,
            hue: 10.0,
            rotation: 15.0,
            crop_area: [0.6, 1.0],
            crop_aspect: [0.83, 1.2],
        }
    }
}

impl AugmentConfig {
    /// No change at all.
    #[must_use]
    pub fn none() -> Self {
        Self {
            horizontal_flip: 0.0,
            brightness: 0.0,
            contrast: 0.0,
            saturation: 0.0,
            hue: 0.0,
            rotation: 0.0,
            crop_area: [1.0, 1.0],
            crop_aspect: [1.0, 1.0],
        }
    }
}

/// The network: a preset, or features and head of one's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// `resnet8` (alias `deep`) or `shallow`; ignored where `features` is given.
    pub preset: Preset,
    /// The convolutional part, block by block, in place of the preset's.
    pub features: Option<Vec<Block>>,
    /// The MLP, in place of the preset's.
    pub head: Option<Head>,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self { preset: Preset::Resnet8, features: None, head: None }
    }
}

/// Networks by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Two convolutions with large max-pools and an MLP.
    Shallow,
    /// MLPerf Tiny's ResNet8: residual blocks of 16, 32 and 64 channels with batch-norm.
    #[serde(alias = "deep")]
    #[value(alias = "deep")]
    Resnet8,
}

impl Preset {
    /// The name in configurations and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Preset::Shallow => "shallow",
            Preset::Resnet8 => "resnet8",
        }
    }
}

/// One block of the convolutional part. Padding is TFLite's SAME.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

fn one() -> usize {
    1
}

fn three() -> usize {
    3
}

fn yes() -> bool {
    true
}

/// Activation functions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

/// Optimisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Largest number of passes over the training images.
    pub epochs: usize,
    /// Images a step.
    pub batch_size: usize,
    /// Adam's initial learning rate.
    pub learning_rate: f64,
    /// Adam's epsilon (burn's default is 1e-5, Keras' 1e-7, PyTorch's 1e-8).
    pub epsilon: f32,
    /// L2 penalty added to the gradient; 0 is none.
    pub weight_decay: f32,
    /// Share of each label that is spread over all classes, 0 to 1.
    pub label_smoothing: f32,
    /// Weight of each class in the loss.
    pub class_weights: ClassWeights,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 60,
            batch_size: 32,
            learning_rate: 1e-3,
            epsilon: 1e-7,
            weight_decay: 0.0,
            label_smoothing: 0.0,
            class_weights: ClassWeights::Named(NamedWeights::None),
        }
    }
}

/// Weight of each class in the loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected `none`, `balanced` or a list of one weight a class")]
pub enum ClassWeights {
    /// `none` or `balanced`.
    Named(NamedWeights),
    /// One weight a class, in the order of the class names.
    Each(Vec<f32>),
}

/// Class weights by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamedWeights {
    /// All 1.
    None,
    /// Inversely proportional to the number of training images (scikit-learn's `balanced`).
    Balanced,
}

/// What a schedule watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Monitor {
    /// Loss on the validation images; smaller is better.
    ValidLoss,
    /// Accuracy on the validation images; larger is better.
    ValidAccuracy,
    /// Loss on the training images; smaller is better.
    TrainLoss,
}

/// `ReduceLROnPlateau` with the semantics of Keras.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlateauConfig {
    /// What is watched.
    pub monitor: Monitor,
    /// The learning rate is multiplied by this, below 1.
    pub factor: f64,
    /// Epochs without improvement before it is.
    pub patience: usize,
    /// Smallest change that counts as an improvement.
    pub min_delta: f64,
    /// Epochs to wait after a reduction before counting again.
    pub cooldown: usize,
    /// Smallest learning rate.
    pub min_lr: f64,
}

impl Default for PlateauConfig {
    fn default() -> Self {
        Self { monitor: Monitor::ValidLoss, factor: 0.5, patience: 5, min_delta: 1e-4, cooldown: 0, min_lr: 1e-5 }
    }
}

/// Early stopping; the best weights are restored in any case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EarlyStoppingConfig {
    /// What is watched.
    pub monitor: Monitor,
    /// Epochs without improvement before training ends.
    pub patience: usize,
    /// Smallest change that counts as an improvement.
    pub min_delta: f64,
}

impl Default for EarlyStoppingConfig {
    fn default() -> Self {
        Self { monitor: Monitor::ValidLoss, patience: 15, min_delta: 0.0 }
    }
}

/// Post-training quantisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QuantizeConfig {
    /// How activation ranges are chosen; when absent, the best of all on the calibration images.
    pub method: Option<Method>,
    /// Largest number of training images to calibrate on.
    pub images: usize,
}

impl Default for QuantizeConfig {
    fn default() -> Self {
        Self { method: None, images: 256 }
    }
}

/// How activation ranges are chosen from calibration images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Smallest and largest value seen.
    MinMax,
    /// The range that leaves 0.05 % of the values out on each side.
    Percentile,
    /// The range with the least mean squared quantisation error.
    Mse,
}
