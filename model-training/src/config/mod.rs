//! The training configuration: one TOML file, every entry optional, unknown entries refused.

mod camera;
mod difference;
mod model;
pub mod reference;
mod target;
mod train;
mod validate;

use no_std_infer::format::{Color, Fit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use model_compiler::quantise::Method;

pub use camera::CameraConfig;
pub use model::{Activation, Block, Head, IMAGENET, KmeansConfig, ModelConfig, Padding, Preset, PretrainedConfig};
pub use target::TargetConfig;
pub use train::{
    ClassWeights, CosineConfig, EarlyStoppingConfig, Monitor, NamedWeights, OptimizerKind, PlateauConfig, Schedule,
    TrainConfig,
};

/// Everything that decides what a training run computes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `given`: the network and how it learns are what this file says. `automatic`: both are chosen by what the pictures are
    /// and by validation; only `seed`, `data`, `quantize` and `target` may be given then.
    pub recipe: Recipe,
    /// Seed of the split, the initial weights, the order of the images and the augmentation.
    pub seed: u64,
    /// How an unsplit folder is split.
    pub data: DataConfig,
    /// What the network sees.
    pub input: InputConfig,
    /// How its pixels are normalised; when absent, by mean and standard deviation of the training pixels.
    pub normalization: Option<Normalization>,
    /// Random changes to training images.
    pub augment: AugmentConfig,
    /// The network.
    pub model: ModelConfig,
    /// Optimisation.
    pub train: TrainConfig,
    /// The learning-rate schedule `plateau`.
    pub plateau: PlateauConfig,
    /// The learning-rate schedule `cosine`.
    pub cosine: CosineConfig,
    /// When to give up.
    pub early_stopping: EarlyStoppingConfig,
    /// Quantisation.
    pub quantize: QuantizeConfig,
    /// What the model is to run on.
    pub target: Option<TargetConfig>,
}

/// Who decides on the network and how it learns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Recipe {
    /// The configuration.
    #[default]
    Given,
    /// Validation, among recipes that fit the pictures.
    Automatic,
}

impl Config {
    /// Largest number of passes over the training images.
    #[must_use]
    pub fn epochs(&self) -> usize {
        self.train.epochs + self.quantize.aware.as_ref().map_or(0, |aware| aware.epochs)
    }
}

/// How a folder without `train`/`valid`/`test` sub-folders is split; stratified by class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InputConfig {
    /// Pixels across.
    pub width: u16,
    /// Pixels down.
    pub height: u16,
    /// `rgb` or `grey`.
    #[schemars(with = "String")]
    pub color: Color,
    /// `stretch` or `crop`.
    #[schemars(with = "String")]
    pub fit: Fit,
}

impl Default for InputConfig {
    fn default() -> Self {
        Self { width: 64, height: 64, color: Color::Rgb, fit: Fit::Stretch }
    }
}

/// A pixel of 0 to 1 becomes `(pixel − mean) / std`: with 0.5 and 0.5 it is -1 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Normalization {
    /// Of red, green and blue, or three times that of grey, each from 0 to 1.
    pub mean: [f32; 3],
    /// Of red, green and blue, or three times that of grey, each above 0.
    pub std: [f32; 3],
}

/// Ranges of the random changes to training images; 0 switches one off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// Training images are held this many times as wide and high as the network's input, 1 to 4, so that a crop keeps
    /// more of their detail.
    pub source_scale: f32,
    /// Smallest and largest share of the area that a random crop keeps, each in (0, 1].
    pub crop_area: [f32; 2],
    /// Smallest and largest factor by which a crop's aspect ratio changes.
    pub crop_aspect: [f32; 2],
    /// Probability that a rectangle is replaced by noise (Zhong et al. 2017, random erasing).
    pub erase: f32,
    /// Smallest and largest share of the area that is erased, each in (0, 1]; the rectangle's aspect ratio is 0.3 to
    /// 1/0.3.
    pub erase_area: [f32; 2],
    /// Images are mixed with another in a proportion drawn from Beta(this, this), and so are their labels (Zhang et al.
    /// 2018, mixup).
    pub mixup: f64,
    /// What a camera does to the image after all that.
    pub camera: CameraConfig,
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
            ..Self::none()
        }
    }
}

impl AugmentConfig {
    /// The size at which training images are held.
    #[must_use]
    pub fn source(&self, input: &InputConfig) -> InputConfig {
        let scaled = |side: u16| (f32::from(side) * self.source_scale).round() as u16;
        InputConfig { width: scaled(input.width), height: scaled(input.height), ..input.clone() }
    }

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
            source_scale: 1.0,
            crop_area: [1.0, 1.0],
            crop_aspect: [1.0, 1.0],
            erase: 0.0,
            erase_area: [0.02, 0.33],
            mixup: 0.0,
            camera: CameraConfig::default(),
        }
    }
}

/// Quantisation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QuantizeConfig {
    /// How activation ranges are chosen, `min-max`, `percentile` or `mse`; when absent, the best of all on the calibration
    /// images.
    #[schemars(with = "Option<String>")]
    pub method: Option<Method>,
    /// Largest number of training images to calibrate on; when absent, two a class, but at least 256 and at most 2048.
    pub images: Option<usize>,
    /// Last epochs in which the network learns with the values that int8 has; when absent, there are none.
    pub aware: Option<AwareConfig>,
}

/// Quantisation-aware training: epochs after those of `train`, from the weights that these kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AwareConfig {
    /// Number of epochs.
    pub epochs: usize,
    /// Largest learning rate, which follows [`CosineConfig`] over these epochs.
    pub learning_rate: f64,
}

impl Default for AwareConfig {
    fn default() -> Self {
        Self { epochs: 2, learning_rate: 1e-4 }
    }
}

impl QuantizeConfig {
    /// Largest number of training images to calibrate on, where there are so many classes.
    #[must_use]
    pub fn images(&self, classes: usize) -> usize {
        self.images.unwrap_or(classes.saturating_mul(2).clamp(256, 2048))
    }
}
