//! Errors of [`Model::parse`](crate::Model::parse) and [`Interpreter::new`](crate::Interpreter::new).

use core::fmt;

use crate::operators::Kernel;

/// Why a blob cannot be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// The bytes do not start at a multiple of [`ALIGN`](crate::format::ALIGN).
    Misaligned,
    /// There are fewer bytes than the header claims, or not even a header.
    Truncated,
    /// There are more bytes than the header claims.
    TrailingBytes,
    /// The bytes are no blob.
    BadMagic,
    /// The blob has another format version than [`VERSION`](crate::format::VERSION).
    Version(u16),
    /// The checksum does not match: the blob is damaged.
    BadCrc,
    /// The header's reserved bytes are not zero.
    BadHeader,
    /// An entry of the section table lies outside the blob or is misaligned.
    BadSection(u32),
    /// A section appears twice.
    DuplicateSection(u32),
    /// A section that this version does not know and must not skip.
    UnknownSection(u32),
    /// A required section is missing.
    MissingSection(u32),
    /// The manifest cannot be decoded or has trailing bytes.
    BadManifest,
    /// The manifest's input, logits, labels or temperature contradict one another.
    BadInfo,
    /// An operator needs a kernel that the program does not link.
    NotLinked {
        /// Its index, from 0.
        index: u16,
        /// What it needs.
        kernel: Kernel,
    },
    /// An operator is wrong.
    Op {
        /// Its index, from 0.
        index: u16,
        /// What is wrong with it.
        why: OpError,
    },
    /// The arena length in the header is not what the operators need.
    ArenaMismatch {
        /// What they need, in bytes.
        needed: u32,
    },
    /// The caller's arena is too short.
    ArenaTooSmall {
        /// What the model needs, in bytes.
        needed: u32,
    },
    /// The caller's arena does not start at a multiple of [`ALIGN`](crate::format::ALIGN).
    ArenaMisaligned,
    /// Checking the blob would take more than [`READS_PER_BYTE`](crate::READS_PER_BYTE) times reading it: its operators share
    /// constants, or read what was made long before, more often than any model does.
    Work,
    /// A run would take more than the program allows, see [`Linked::at_most`](crate::kernels::Linked::at_most).
    Cost {
        /// What it takes: [`Cost::mebi`](crate::Cost::mebi).
        mebi: u32,
    },
    /// The golden vector cannot be decoded or does not fit the model.
    BadGolden,
    /// The calibration cannot be decoded, a share is not in 0 to 1, or the model ends in no softmax or sigmoid over its
    /// logits.
    BadCalibration,
}

/// What is wrong with an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum OpError {
    /// The record cannot be decoded.
    Undecodable,
    /// A tensor is empty, too large, or its scale is not a positive number.
    BadTensor,
    /// Shapes do not fit together.
    Shape,
    /// Input and output must have the same scale and zero point but do not, or the output's are not the operator's.
    Quantisation,
    /// A kernel, stride or dilation is 0, or a window lies wholly in the padding.
    Window,
    /// The activation's smallest value is above its largest.
    Activation,
    /// Weights, parameters or a table lie outside the weights section or are misaligned.
    Constants,
    /// Transformed weights are not exactly the transform of int8 weights.
    Transform,
    /// A multiplier or shift is out of range.
    Multiplier,
    /// A sum of products could overflow 32 bits.
    Overflow,
    /// Input, output and scratch overlap in a way that the operator does not allow.
    Overlap,
    /// An input does not consist of intact rows that earlier operators made.
    Dataflow,
    /// The products of a run up to here leave 64 bits.
    Cost,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Misaligned => f.write_str("the blob does not start at a multiple of 16 bytes"),
            Error::Truncated => f.write_str("the blob is cut off"),
            Error::TrailingBytes => f.write_str("there are bytes after the end of the blob"),
            Error::BadMagic => f.write_str("this is not a model blob"),
            Error::Version(v) => {
                write!(f, "the blob has format version {v}; this build reads version {}", crate::format::VERSION)
            }
            Error::BadCrc => f.write_str("the checksum does not match: the blob is damaged"),
            Error::BadHeader => f.write_str("the blob's header is not valid"),
            Error::BadSection(id) => write!(f, "section {id} lies outside the blob or is misaligned"),
            Error::DuplicateSection(id) => write!(f, "section {id} appears twice"),
            Error::UnknownSection(id) => write!(f, "section {id} is needed to run the model but unknown to this build"),
            Error::MissingSection(id) => write!(f, "section {id} is missing"),
            Error::BadManifest => f.write_str("the manifest cannot be decoded"),
            Error::BadInfo => f.write_str("the manifest's input, logits, labels or temperature contradict one another"),
            Error::NotLinked { index, kernel } => {
                write!(f, "operator {index} needs the kernel `{}`, which this program does not link", kernel.name())
            }
            Error::Op { index, why } => write!(f, "operator {index}: {why}"),
            Error::ArenaMismatch { needed } => {
                write!(f, "the header's arena length is wrong: the operators need {needed} bytes")
            }
            Error::ArenaTooSmall { needed } => write!(f, "the arena is too small: the model needs {needed} bytes"),
            Error::ArenaMisaligned => f.write_str("the arena does not start at a multiple of 16 bytes"),
            Error::Work => {
                write!(f, "to check the blob takes more than {} times reading it", crate::READS_PER_BYTE)
            }
            Error::Cost { mebi } => {
                write!(
                    f,
                    "a run takes {mebi} Mi products, with eight for each byte, which is more than is allowed here"
                )
            }
            Error::BadGolden => f.write_str("the golden vector does not fit the model"),
            Error::BadCalibration => f.write_str("the calibration does not fit the model"),
        }
    }
}

impl fmt::Display for OpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            OpError::Undecodable => "the record cannot be decoded",
            OpError::BadTensor => "a tensor is empty, too large or has no positive scale",
            OpError::Shape => "the shapes do not fit together",
            OpError::Quantisation => "the scales or zero points do not fit together",
            OpError::Window => "the window is empty or lies wholly in the padding",
            OpError::Activation => "the activation range is empty",
            OpError::Constants => "constants lie outside the weights section or are misaligned",
            OpError::Transform => "transformed weights are not the transform of int8 weights",
            OpError::Multiplier => "a multiplier is out of range",
            OpError::Overflow => "a sum of products could overflow 32 bits",
            OpError::Overlap => "input, output and scratch overlap",
            OpError::Dataflow => "an input does not consist of intact rows of earlier outputs",
            OpError::Cost => "a run takes more products than can be counted",
        })
    }
}

impl core::error::Error for Error {}
impl core::error::Error for OpError {}
