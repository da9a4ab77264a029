//! The blob: one file that holds a model, read in place from flash.
//!
//! # Layout (all integers little-endian)
//!
//! | bytes | field |
//! |---|---|
//! | 0..4 | magic `NSIM` |
//! | 4..6 | format version, [`VERSION`] |
//! | 6..8 | number of sections |
//! | 8..12 | length of the whole blob in bytes |
//! | 12..16 | CRC-32 (ISO-HDLC) of every byte of the blob but these four |
//! | 16..20 | arena length in bytes: activations and scratch, a multiple of 16 |
//! | 20..32 | zero |
//! | 32.. | sections table: id, offset from the start of the blob, length (u32 each) |
//!
//! The blob's base address and every section's offset are multiples of [`ALIGN`].
//! A section whose id is [`FIRST_ANCILLARY`] or above may be skipped by a reader that does not know it;
//! any other unknown section makes the blob unreadable, since skipping it could change the answer.
//!
//! The [`section::MANIFEST`] section is a run of postcard 1.x messages without separators: one [`Info`],
//! `Info::labels` strings, `Info::ops` [`Op`]s. The [`section::WEIGHTS`] section holds the constants that the
//! operators address by offset; the [`section::GOLDEN`] section is one postcard [`Golden`].
//!
//! # Constants in the weights section
//!
//! * Conv2d weights: int8 `[out][kernel_h][kernel_w][in]` (OHWI), symmetric per output channel.
//! * Depthwise weights: int8 `[kernel_h][kernel_w][out]` (1HWC).
//! * Dense weights: int8 `[out][in]`, the input flattened in HWC order.
//! * Channel parameters: [`CHANNEL_LEN`] bytes an output channel: bias (i32), multiplier mantissa (i32), shift (i32).
//!   The bias already contains `−zero_point_in · Σw`, so a kernel adds plain products `w · x` for every tap,
//!   taps in the padding included, where `x` is the input's zero point.
//! * Lookup tables: 256 int8 entries, indexed by `x + 128`.

use serde::{Deserialize, Serialize};

use crate::fixed::Multiplier;

/// The first four bytes of every blob.
pub const MAGIC: [u8; 4] = *b"NSIM";
/// The version of the format that this crate reads and writes.
pub const VERSION: u16 = 1;
/// Length of the fixed header in bytes.
pub const HEADER_LEN: usize = 32;
/// Length of one entry of the section table in bytes.
pub const SECTION_LEN: usize = 12;
/// Alignment of the blob, its sections and the arena in bytes.
pub const ALIGN: usize = 16;
/// Length of one output channel's parameters in bytes.
pub const CHANNEL_LEN: usize = 12;
/// Sections with this id or a greater one may be skipped by a reader that does not know them.
pub const FIRST_ANCILLARY: u32 = 128;

/// Section ids.
pub mod section {
    /// Description of the model, required.
    pub const MANIFEST: u32 = 1;
    /// Weights, channel parameters and tables, required.
    pub const WEIGHTS: u32 = 2;
    /// Reserved: inputs that are not images.
    pub const INPUT: u32 = 3;
    /// Reserved: how layers are cut into tiles.
    pub const TILE_PLAN: u32 = 4;
    /// A [`Golden`](super::Golden) vector for the self-test, optional.
    pub const GOLDEN: u32 = 128;
    /// Reserved: signature over all bytes outside this section.
    pub const SIGNATURE: u32 = 129;
    /// Reserved: calibration data beyond the temperature.
    pub const CALIBRATION: u32 = 130;
}

const fn read_u32(bytes: &[u8], at: usize) -> u32 {
    if at + 4 > bytes.len() {
        return 0;
    }
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Arena length in bytes that the header of `blob` asks for; 0 when `blob` is shorter than a header.
///
/// A `const fn`, so that firmware can size a static [`Arena`](crate::Arena) and let the linker prove the RAM.
#[must_use]
pub const fn arena_len(blob: &[u8]) -> usize {
    if blob.len() < HEADER_LEN {
        return 0;
    }
    read_u32(blob, 16) as usize
}

/// Length in bytes that the header of `blob` claims; 0 when `blob` is shorter than a header.
#[must_use]
pub const fn total_len(blob: &[u8]) -> usize {
    if blob.len() < HEADER_LEN {
        return 0;
    }
    read_u32(blob, 8) as usize
}

/// The fields of the fixed header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Number of entries in the section table.
    pub sections: u16,
    /// Length of the blob in bytes.
    pub total_len: u32,
    /// CRC-32 of the blob without the CRC itself.
    pub crc: u32,
    /// Arena length in bytes.
    pub arena_len: u32,
}

impl Header {
    /// Writes the header, magic and version included.
    #[must_use]
    pub fn to_bytes(self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        let fields = [
            u32::from_le_bytes(MAGIC),
            u32::from(VERSION) | u32::from(self.sections) << 16,
            self.total_len,
            self.crc,
            self.arena_len,
        ];
        for (slot, field) in bytes.chunks_exact_mut(4).zip(fields) {
            slot.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }
}

/// CRC-32 (ISO-HDLC, as in zip and Ethernet) of `blob` without its bytes 12..16.
#[must_use]
pub fn blob_crc(blob: &[u8]) -> u32 {
    let mut digest = crate::CRC32.digest();
    digest.update(blob.get(..12).unwrap_or(&[]));
    digest.update(blob.get(16..).unwrap_or(&[]));
    digest.finalize()
}

/// One entry of the section table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// What the section holds, see [`section`].
    pub id: u32,
    /// Start, counted from the start of the blob; a multiple of [`ALIGN`].
    pub offset: u32,
    /// Length in bytes.
    pub len: u32,
}

impl Section {
    /// Reads one entry of the section table.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; SECTION_LEN]) -> Self {
        Self { id: read_u32(bytes, 0), offset: read_u32(bytes, 4), len: read_u32(bytes, 8) }
    }

    /// Writes one entry of the section table.
    #[must_use]
    pub fn to_bytes(self) -> [u8; SECTION_LEN] {
        let mut bytes = [0; SECTION_LEN];
        for (slot, field) in bytes.chunks_exact_mut(4).zip([self.id, self.offset, self.len]) {
            slot.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }
}

/// What a model is: the first message of the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Info<'a> {
    /// Name of the model, for people.
    pub name: &'a str,
    /// What the network reads.
    pub input: Input,
    /// The scores before softmax or sigmoid, one channel a class; intact in the arena after a run.
    pub logits: Tensor,
    /// Number of labels that follow; equals the channels of `logits`.
    pub labels: u16,
    /// Number of operators that follow the labels.
    pub ops: u16,
    /// Temperature by which real-valued logits are divided before softmax (Guo et al. 2017); 1 when not calibrated.
    pub temperature: f32,
    /// Where the model comes from.
    pub provenance: Provenance<'a>,
}

/// Where a model comes from.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
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
pub struct Input {
    /// Where the caller puts the input, and how its bytes are quantised.
    pub tensor: Tensor,
    /// How a picture becomes the input.
    pub image: ImageInput,
}

/// How a picture becomes the input: resized to the tensor's height and width, each byte `pixel − 128`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
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
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// The whole picture is squeezed into the input.
    Stretch,
    /// The largest centred rectangle of the input's aspect ratio is used.
    Crop,
}

/// An activation tensor in the arena: int8, HWC, `real = scale · (q − zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tensor {
    /// First byte in the arena.
    pub offset: u32,
    /// Rows.
    pub height: u16,
    /// Columns.
    pub width: u16,
    /// Channels, the fastest-moving index.
    pub channels: u32,
    /// Real value of one quantisation step.
    pub scale: f32,
    /// Quantised value of the real number 0.
    pub zero_point: i8,
}

impl Tensor {
    /// Number of elements, which is also its length in bytes, or `None` when that exceeds `u32`.
    #[must_use]
    pub fn checked_len(&self) -> Option<u32> {
        (u32::from(self.height) * u32::from(self.width)).checked_mul(self.channels)
    }

    /// Number of elements, which is also its length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.checked_len().unwrap_or(0) as usize
    }

    /// True when the tensor has no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes it takes in the arena.
    #[must_use]
    pub fn range(&self) -> core::ops::Range<usize> {
        let start = self.offset as usize;
        start..start.saturating_add(self.len())
    }
}

/// The window of a convolution or pooling. The output's size is the output tensor's;
/// rows and columns outside the input are padding, so bottom and right padding follow from the sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Kernel height, 1 or more.
    pub kernel_h: u8,
    /// Kernel width, 1 or more.
    pub kernel_w: u8,
    /// Vertical stride, 1 or more.
    pub stride_h: u8,
    /// Horizontal stride, 1 or more.
    pub stride_w: u8,
    /// Vertical distance of taps, 1 or more.
    pub dilation_h: u8,
    /// Horizontal distance of taps, 1 or more.
    pub dilation_w: u8,
    /// Rows of padding above the input.
    pub pad_top: u8,
    /// Columns of padding left of the input.
    pub pad_left: u8,
}

impl Window {
    /// A square kernel without padding or dilation.
    #[must_use]
    pub const fn square(kernel: u8, stride: u8) -> Self {
        Self {
            kernel_h: kernel,
            kernel_w: kernel,
            stride_h: stride,
            stride_w: stride,
            dilation_h: 1,
            dilation_w: 1,
            pad_top: 0,
            pad_left: 0,
        }
    }

    /// Number of taps.
    #[must_use]
    pub const fn taps(&self) -> usize {
        self.kernel_h as usize * self.kernel_w as usize
    }
}

/// Range to which an output is clamped: a fused ReLU or ReLU6, or −128..=127 for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activation {
    /// Smallest output.
    pub min: i8,
    /// Largest output; not below `min`.
    pub max: i8,
}

impl Activation {
    /// No activation function.
    pub const NONE: Self = Self { min: i8::MIN, max: i8::MAX };
}

/// How the weights of a layer lie in the weights section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Layout {
    /// int8 in the order given in the [module's documentation](self); channel parameters of [`CHANNEL_LEN`] bytes.
    Plain,
}

/// Constants of a layer with weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weights {
    /// How they lie in flash.
    pub layout: Layout,
    /// First weight, counted from the start of the weights section.
    pub weights: u32,
    /// First channel parameter, counted from the start of the weights section; a multiple of 4.
    pub channels: u32,
}

/// One operator. Tensors are named by value: two operators share one when all its fields are equal.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Op {
    /// Convolution over all input channels.
    Conv2d(Conv2d),
    /// Convolution of each channel by itself; output channels are a multiple of the input's.
    DepthwiseConv2d(Conv2d),
    /// Every input element times a weight for every output.
    Dense(Dense),
    /// Largest value in a window; padding never wins.
    MaxPool2d(Pool2d),
    /// Mean of the values in a window that lie in the input, rounded half away from zero.
    AveragePool2d(Pool2d),
    /// Sum of two tensors of one shape.
    Add(Add),
    /// ReLU, ReLU6 or any other clamp, in the input's quantisation.
    Clamp(Clamp),
    /// A function of one element by a table of 256 entries: sigmoid and others.
    Lookup(Lookup),
    /// Softmax over the channels; the output's scale is 1/256 and its zero point −128.
    Softmax(Softmax),
    /// The same bytes under another shape.
    Reshape(Reshape),
}

/// Parameters of [`Op::Conv2d`] and [`Op::DepthwiseConv2d`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conv2d {
    /// Input, HWC.
    pub input: Tensor,
    /// Output, HWC.
    pub output: Tensor,
    /// Kernel, stride, dilation and padding.
    pub window: Window,
    /// Constants.
    pub weights: Weights,
    /// Fused clamp.
    pub activation: Activation,
    /// First byte of the scratch in the arena; its length is [`Op::scratch_len`].
    pub scratch: u32,
}

/// Parameters of [`Op::Dense`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dense {
    /// Input, taken as one vector in HWC order.
    pub input: Tensor,
    /// Output: 1 x 1 x channels.
    pub output: Tensor,
    /// Constants.
    pub weights: Weights,
    /// Fused clamp.
    pub activation: Activation,
}

/// Parameters of the poolings. Input and output share scale and zero point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pool2d {
    /// Input, HWC.
    pub input: Tensor,
    /// Output, HWC.
    pub output: Tensor,
    /// Kernel, stride and padding; dilation is 1.
    pub window: Window,
    /// Fused clamp.
    pub activation: Activation,
}

/// Parameters of [`Op::Add`], as TFLite's: each input, less its zero point and shifted left by [`ADD_SHIFT`], is
/// scaled by its multiplier; the sum is scaled by `output_multiplier`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Add {
    /// First summand.
    pub a: Tensor,
    /// Second summand.
    pub b: Tensor,
    /// Sum; may lie where either summand lies.
    pub output: Tensor,
    /// Multiplier of `a`, at most 1.
    pub a_multiplier: Multiplier,
    /// Multiplier of `b`, at most 1.
    pub b_multiplier: Multiplier,
    /// Multiplier of the sum, below 1.
    pub output_multiplier: Multiplier,
    /// Fused clamp.
    pub activation: Activation,
}

/// Left shift of both summands in [`Op::Add`] (TFLite's value for int8).
pub const ADD_SHIFT: u32 = 20;

/// Parameters of [`Op::Clamp`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Clamp {
    /// Input.
    pub input: Tensor,
    /// Output of the same shape, scale and zero point; may lie where the input lies.
    pub output: Tensor,
    /// The range.
    pub activation: Activation,
}

/// Parameters of [`Op::Lookup`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lookup {
    /// Input.
    pub input: Tensor,
    /// Output of the same shape; may lie where the input lies.
    pub output: Tensor,
    /// First entry of the table, counted from the start of the weights section.
    pub table: u32,
}

/// Parameters of [`Op::Softmax`], as TFLite's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Softmax {
    /// Logits: 1 x 1 x classes.
    pub input: Tensor,
    /// Probabilities of the same shape.
    pub output: Tensor,
    /// `input scale · 2^26 / temperature` as a multiplier of 1 or more.
    pub multiplier: Multiplier,
    /// Differences to the largest logit below this one count as probability 0.
    pub diff_min: i32,
}

/// Parameters of [`Op::Reshape`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reshape {
    /// Input.
    pub input: Tensor,
    /// Output with as many elements, the same scale and zero point; may lie where the input lies.
    pub output: Tensor,
}

/// Test vector that a device can run by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Golden<'a> {
    /// Makes the input from the seed.
    pub generator: Generator,
    /// Seed of the generator, not 0.
    pub seed: u32,
    /// Expected bytes of the logits.
    pub logits: &'a [u8],
    /// CRC-32 of each operator's output, 4 bytes each, little-endian.
    pub layers: &'a [u8],
}

/// Named generators of test inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Generator {
    /// Marsaglia's xorshift32 (shifts 13, 17, 5); each state's top byte is one input byte.
    Xorshift32,
}
