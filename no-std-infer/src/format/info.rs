//! The manifest's first message: what a model is, reads and comes from.

use serde::{Deserialize, Serialize};

use super::Tensor;

/// What a model is: the first message of the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Info<'a> {
    /// Name of the model, for people.
    pub name: &'a str,
    /// What the network reads.
    pub input: Input,
    /// What the network is asked for, of any shape; intact in the arena after a run. A classifier's are the scores before
    /// softmax or sigmoid: 1 x 1 x classes.
    pub logits: Tensor,
    /// Number of labels that follow: one a [class](crate::Model::classes), or 0 when these have no names.
    pub labels: u16,
    /// Number of operators.
    pub ops: u16,
    /// Temperature by which real-valued logits are divided before softmax (Guo et al. 2017); 1 when not calibrated.
    pub temperature: f32,
    /// Where the model comes from.
    pub provenance: Provenance<'a>,
}

/// Where a model comes from.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Provenance<'a> {
    /// SHA-256 of the training configuration, in hexadecimal.
    pub config: &'a str,
    /// SHA-256 over the training images, in hexadecimal.
    pub dataset: &'a str,
    /// Name and version of the program that made the blob.
    pub producer: &'a str,
    /// Images that the two accuracies were measured on.
    pub images: u32,
    /// Share of those that the float model got right, 0 to 1.
    pub float_accuracy: f32,
    /// Share of those that this model got right, 0 to 1.
    pub int8_accuracy: f32,
}

/// What the network reads.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Input {
    /// Where the caller puts the input, and how its bytes are quantised.
    pub tensor: Tensor,
    /// What its bytes mean.
    pub kind: InputKind,
}

/// What the bytes of the input mean.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum InputKind {
    /// A picture.
    Image(ImageInput),
    /// Anything else: a vector, a spectrogram. The caller quantises it with the tensor's scale and zero point.
    Tensor,
}

impl InputKind {
    /// How a picture becomes the input; `None` when the input is no picture.
    #[must_use]
    pub const fn image(&self) -> Option<&ImageInput> {
        match self {
            InputKind::Image(image) => Some(image),
            InputKind::Tensor => None,
        }
    }
}

/// How a picture becomes the input: resized to the tensor's height and width, each byte `pixel − 128`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ImageInput {
    /// Three channels or one; agrees with the tensor's channels.
    pub color: Color,
    /// What happens to pictures of another aspect ratio.
    pub fit: Fit,
    /// Mean of the training pixels by channel in 0..=1, already folded into the first layer.
    pub mean: [f32; 3],
    /// Standard deviation of the training pixels by channel in 0..=1, already folded into the first layer.
    pub std: [f32; 3],
}

/// Colour channels of the network's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[serde(rename_all = "lowercase")]
pub enum Color {
    /// One channel.
    Grey,
    /// Three channels: red, green, blue.
    Rgb,
}

impl Color {
    /// Number of channels.
    #[must_use]
    pub const fn channels(self) -> usize {
        match self {
            Color::Grey => 1,
            Color::Rgb => 3,
        }
    }
}

/// What happens to pictures whose aspect ratio is not the input's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// The whole picture is squeezed into the input.
    Stretch,
    /// The largest centred rectangle of the input's aspect ratio is used.
    Crop,
}
