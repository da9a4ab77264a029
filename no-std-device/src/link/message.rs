//! What host and device say.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::{CameraFaults, FrameError, Identity, Reset, Update, UpdateError};
use no_std_infer::Interpreter;
use no_std_infer::image::{Geometry, PixelFormat};
use no_std_infer::kernels::KernelSet;

/// The version of the protocol that this crate speaks.
pub const PROTOCOL: u16 = 9;

/// What is sent in a frame: a [`Request`] or a [`Response`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Message<T> {
    /// Joins a response to its request. 0 in the response to a frame that arrived damaged.
    pub id: u32,
    /// What is said.
    pub body: T,
}

/// What the host asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Request<'a> {
    /// Who are you? Answered by [`Response::Hello`].
    Hello,
    /// Run the network. Answered by [`Response::Inference`].
    Infer(#[serde(borrow)] Picture<'a>),
    /// Run the blob's golden vector. Answered by [`Response::SelfTest`].
    SelfTest,
    /// Take another blob. Answered by [`Response::Update`].
    Update(#[serde(borrow)] Update<'a>),
    /// What did you make of the latest of your camera's frames? Answered by [`Response::Look`], at once. The device keeps a frame
    /// that it has named, and takes no other meanwhile.
    Look {
        /// Number of the frame that the host has seen; 0 when it has seen none.
        after: u32,
    },
    /// What are the bytes of the frame that you keep? Answered by [`Response::Read`].
    Read {
        /// The frame's number.
        sequence: u32,
        /// What of it.
        what: Shown,
        /// First byte.
        offset: u32,
        /// Bytes at most.
        len: u32,
    },
    /// Run the network and say what each operator has made. Answered by [`Response::Trace`].
    Trace(#[serde(borrow)] Picture<'a>),
    /// Run the network until an operator is complete and show some of its output. Answered by [`Response::Excerpt`].
    Excerpt {
        /// What is shown.
        of: Excerpt,
        /// What the network is run on.
        #[serde(borrow)]
        picture: Picture<'a>,
    },
}

/// What a host reads of a frame that the device keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Shown {
    /// Its pixels, as the camera gave them, rows from the top without gaps.
    Frame,
    /// The network's input that was made of it, int8, HWC.
    Input,
}

/// Some of an operator's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Excerpt {
    /// Index of the operator.
    pub operator: u16,
    /// Index of the first value.
    pub offset: u32,
    /// Number of values.
    pub len: u32,
}

impl Excerpt {
    /// These values, when the operator is complete; `None` where its output has not as many.
    #[must_use]
    pub fn values<'i>(&self, interpreter: &'i Interpreter<'_, '_>) -> Option<&'i [i8]> {
        let start = self.offset as usize;
        interpreter.output_of(self.operator.into()).get(start..start.checked_add(self.len as usize)?)
    }
}

/// What the network is run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Picture<'a> {
    /// The network's input as it is, int8, HWC.
    Input(#[serde(borrow, with = "super::bytes")] &'a [u8]),
    /// A camera's frame, which the device crops and resizes with [`no_std_infer::image`].
    Frame {
        /// How the bytes encode the pixels.
        format: PixelFormat,
        /// Pixels across.
        width: u16,
        /// Pixels down.
        height: u16,
        /// The pixels, rows from the top without gaps.
        #[serde(borrow, with = "super::bytes")]
        bytes: &'a [u8],
    },
}

/// What the device answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Response<'a> {
    /// Answer to [`Request::Hello`].
    Hello(#[serde(borrow)] Hello<'a>),
    /// Answer to [`Request::Infer`].
    Inference(#[serde(borrow)] Inference<'a>),
    /// Answer to [`Request::SelfTest`].
    SelfTest(SelfTest),
    /// Answer to [`Request::Update`].
    Update {
        /// How many of the blob's bytes have arrived, from the first on.
        received: u32,
    },
    /// The request was not carried out.
    Error(Failure),
    /// Answer to [`Request::Look`].
    Look {
        /// The frame; `None` while there is none other than the one that the host has seen: ask again.
        #[serde(borrow)]
        frame: Option<Look<'a>>,
        /// Frames that the camera has lost since the device started.
        faults: CameraFaults,
    },
    /// Answer to [`Request::Read`]: as many of the bytes as the device has room for in an answer; none behind the last.
    Read(#[serde(borrow, with = "super::bytes")] &'a [u8]),
    /// Answer to [`Request::Trace`]: in place of each operator's cost the [`checksum`](no_std_infer::golden::checksum) of its
    /// output.
    Trace(#[serde(borrow)] Inference<'a>),
    /// Answer to [`Request::Excerpt`].
    Excerpt {
        /// The first half of the SHA-256 of the blob that was run.
        model: [u8; 16],
        /// [`checksum`](no_std_infer::golden::checksum) of all values that were asked for.
        checksum: u32,
        /// The first of them, int8, as many as the device has memory for.
        #[serde(borrow, with = "super::bytes")]
        values: &'a [u8],
    },
}

/// What a device has made of a frame of its camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Look<'a> {
    /// Number of the frame among those that were classified since the device started, from 1 on; goes round.
    pub sequence: u32,
    /// What its pixels are; nothing where the camera keeps no frame, which then cannot be read.
    pub shape: Option<Shape>,
    /// What was decided, over several frames where the device smooths.
    pub decision: Decided,
    /// What this very frame gave, and its costs.
    #[serde(borrow)]
    pub inference: Inference<'a>,
}

/// What a device takes a picture for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Decided {
    /// Index of the class.
    pub class: u32,
    /// Its probability in 256ths.
    pub probability: u8,
    /// Whether that reaches the model's threshold.
    pub sure: bool,
}

/// What the pixels of a camera's frame are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Shape {
    /// How bytes encode pixels.
    pub format: PixelFormat,
    /// Pixels across.
    pub width: u16,
    /// Pixels down.
    pub height: u16,
}

impl From<Geometry> for Shape {
    fn from(geometry: Geometry) -> Self {
        // A geometry's sides have 16 bits.
        Self { format: geometry.format(), width: geometry.width() as u16, height: geometry.height() as u16 }
    }
}

/// What the device is and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Hello<'a> {
    /// Version of the protocol; [`PROTOCOL`].
    pub protocol: u16,
    /// Name of the board.
    pub board: &'a str,
    /// Name of the kernel set that the firmware runs on: [`NATIVE_NAME`](no_std_infer::kernels::NATIVE_NAME).
    pub kernel_set: &'a str,
    /// Longest message that the device can receive, checksum included, in bytes.
    pub max_message: u32,
    /// What the counts in an [`Inference`] count.
    pub unit: Unit,
    /// [`Self::unit`]s in a second; 0 when that is not known, as in an emulator.
    pub hz: u32,
    /// The model, or nothing when its blob cannot be run; inference is then answered by [`Failure::Model`].
    pub model: Option<ModelInfo>,
    /// Where another blob can go, or nothing when the firmware cannot be updated.
    pub slots: Option<Slots>,
    /// What the camera's frames are; nothing where there is no camera, or it has given none yet.
    pub camera: Option<Shape>,
    /// Why the device started.
    pub reset: Reset,
}

/// What another blob must be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Slots {
    /// Length of a slot in bytes.
    pub len: u32,
    /// Length of the firmware's arena in bytes.
    pub arena_len: u32,
    /// The ed25519 public key by which blobs must be signed, where the firmware has one.
    pub key: Option<[u8; 32]>,
    /// The kernels that the firmware links.
    pub kernels: KernelSet,
    /// Where there is a key: a model needs a greater number than this, the greatest that the device has taken or has built in.
    pub floor: Option<u32>,
    /// How often a slot has been rewritten since the device started.
    pub rewrites: u32,
}

/// What tells models apart, and what a host must know to talk about one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ModelInfo {
    /// Which blob it is.
    pub blob: Identity,
    /// True while it has not proved itself: after some resets the device falls back to the model before.
    pub tentative: bool,
    /// Length of the arena in bytes.
    pub arena_len: u32,
    /// Length of the network's input in bytes.
    pub input_len: u32,
    /// Number of the logits' channels: a classifier's classes.
    pub classes: u32,
    /// Number of operators.
    pub ops: u16,
    /// The model's number, see [`section::NUMBER`](no_std_infer::format::section::NUMBER), where it has one.
    pub number: Option<u32>,
}

/// What a board's clock counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Unit {
    /// Instructions retired.
    Instructions,
    /// Clock cycles of the core.
    Cycles,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unit::Instructions => "instructions",
            Unit::Cycles => "cycles",
        })
    }
}

/// What one run of the network gave and cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Inference<'a> {
    /// The first half of the SHA-256 of the blob that was run.
    pub model: [u8; 16],
    /// Index of the largest logit.
    pub class: u32,
    /// Logits, int8: a classifier's are one a class.
    #[serde(borrow, with = "super::bytes")]
    pub logits: &'a [u8],
    /// The last operator's output, int8: probabilities `(q + 128) / 256` when that is a softmax.
    #[serde(borrow, with = "super::bytes")]
    pub output: &'a [u8],
    /// Cost of each operator in [`Hello::unit`]s, or its output's checksum: a `u32` in four little-endian bytes each.
    #[serde(borrow, with = "super::bytes")]
    pub layers: &'a [u8],
    /// Cost of turning a camera's frame into the input in [`Hello::unit`]s; 0 when the input came as it is.
    pub preprocessing: u64,
    /// Cost of running the network in [`Hello::unit`]s.
    pub total: u64,
    /// Most bytes of stack in use at any time since the device started.
    pub stack: u32,
}

impl Inference<'_> {
    /// Cost of each operator in [`Hello::unit`]s, or in a [`Response::Trace`] the checksum of its output.
    pub fn of_operators(&self) -> impl Iterator<Item = u32> + '_ {
        self.layers.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes))
    }
}

/// Outcome of a self-test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SelfTest {
    /// Every layer gave the host's bytes.
    Passed,
    /// This operator's output differs from the host's, the first to do so.
    Layer(u16),
    /// The layers agree but the logits do not.
    Logits,
    /// The blob holds no golden vector.
    NoGolden,
}

/// Why a request was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Failure {
    /// The request arrived damaged.
    Frame(FrameError),
    /// The device holds no model that it can run.
    Model,
    /// The input does not have the model's length.
    InputLength {
        /// Bytes of the model's input.
        expected: u32,
        /// Bytes received.
        found: u32,
    },
    /// The camera's frame is empty, too large, or does not have the length that its size and format ask for.
    Picture,
    /// The answer is longer than the device's memory for it.
    AnswerTooLong,
    /// A camera's frame was sent, and the model's input is no picture.
    NoPictures,
    /// The update is refused.
    Update(UpdateError),
    /// The firmware has no camera.
    NoCamera,
    /// The frame is not kept any more, or its input cannot be made again.
    Gone,
    /// The operator's output has not so many values.
    Excerpt,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Frame(error) => write!(f, "the request arrived damaged: {error}"),
            Failure::Model => f.write_str("the device holds no model that it can run"),
            Failure::InputLength { expected, found } => {
                write!(f, "the input has {found} bytes where the device's model takes {expected}")
            }
            Failure::Picture => f.write_str("the camera frame's bytes do not fit its size and pixel format"),
            Failure::AnswerTooLong => f.write_str("the answer is longer than the device's memory for it"),
            Failure::NoPictures => f.write_str("the model reads a tensor of int8 values, not pictures"),
            Failure::Update(error) => write!(f, "the update is refused: {error}"),
            Failure::NoCamera => f.write_str("the device's firmware has no camera"),
            Failure::Gone => f.write_str("the device does not keep the frame any more"),
            Failure::Excerpt => f.write_str("the operator's output does not have the values that were asked for"),
        }
    }
}

impl core::error::Error for Failure {}
