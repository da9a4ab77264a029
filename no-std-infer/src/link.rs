//! The link between a host and a device: requests and responses in frames over any byte stream, such as a UART.
//!
//! # Frames
//!
//! A frame is one message in postcard's encoding, followed by the CRC-32 (ISO-HDLC) of the message's bytes,
//! little-endian; both together are stuffed with COBS, so that they hold no zero byte, and one zero byte ends the frame.
//! A receiver therefore finds the next frame after any damage: it drops what it has at the next zero. Empty
//! frames are ignored, so a sender that does not know what the receiver has seen so far sends a zero first.
//!
//! # Conversation
//!
//! The host sends one [`Request`] and waits for one [`Response`]; the device never speaks first. A frame that arrives
//! damaged is answered by [`Response::Error`] with [`Failure::Frame`]. The first request is [`Request::Hello`]: its
//! encoding and that of [`Response::Hello`] up to [`Hello::protocol`] are the same in every version of the protocol, and a
//! host that finds another [`PROTOCOL`] than its own stops there.
//!
//! ```
//! use no_std_infer::link::{Receiver, Request, encode};
//!
//! let mut buffer = [0; 16];
//! let frame = encode(&Request::SelfTest, &mut buffer)?;
//! let mut memory = [0; 16];
//! let mut receiver = Receiver::new(&mut memory);
//! for &byte in frame {
//!     if let Some(request) = receiver.push::<Request>(byte) {
//!         assert_eq!(request?, Request::SelfTest);
//!     }
//! }
//! # Ok::<(), no_std_infer::link::FrameError>(())
//! ```

use core::fmt;

use cobs::{DecodeResult, DecoderState};
use postcard::ser_flavors::{Cobs, Slice, crc::CrcModifier};
use serde::{Deserialize, Serialize};

use crate::image::PixelFormat;

/// The version of the protocol that this crate speaks.
pub const PROTOCOL: u16 = 2;

/// Length of a frame's checksum in bytes.
const CRC_LEN: usize = 4;

/// What the host asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request<'a> {
    /// Who are you? Answered by [`Response::Hello`].
    Hello,
    /// Run the network. Answered by [`Response::Inference`].
    Infer {
        /// Comes back in the answer.
        id: u32,
        /// What to run it on.
        #[serde(borrow)]
        picture: Picture<'a>,
    },
    /// Run the blob's golden vector. Answered by [`Response::SelfTest`].
    SelfTest,
}

/// What the network is run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Picture<'a> {
    /// The network's input as it is, int8, HWC.
    Input(&'a [u8]),
    /// A camera's frame, which the device crops and resizes with [`crate::image`].
    Frame {
        /// How the bytes encode the pixels.
        format: PixelFormat,
        /// Pixels across.
        width: u16,
        /// Pixels down.
        height: u16,
        /// The pixels, rows from the top without gaps.
        bytes: &'a [u8],
    },
}

/// What the device answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response<'a> {
    /// Answer to [`Request::Hello`].
    Hello(#[serde(borrow)] Hello<'a>),
    /// Answer to [`Request::Infer`].
    Inference(#[serde(borrow)] Inference<'a>),
    /// Answer to [`Request::SelfTest`].
    SelfTest(SelfTest),
    /// The request was not carried out.
    Error(Failure),
}

/// What the device is and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello<'a> {
    /// Version of the protocol; [`PROTOCOL`].
    pub protocol: u16,
    /// Name of the board.
    pub board: &'a str,
    /// Longest message that the device can receive, checksum included, in bytes.
    pub max_message: u32,
    /// What the counts in an [`Inference`] count.
    pub unit: Unit,
    /// The model, or nothing when its blob cannot be run; inference is then answered by [`Failure::Model`].
    pub model: Option<ModelInfo>,
}

/// What tells models apart, and what a host must know to talk about one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// CRC-32 in the blob's header.
    pub crc: u32,
    /// Length of the blob in bytes.
    pub blob_len: u32,
    /// Length of the arena in bytes.
    pub arena_len: u32,
    /// Length of the network's input in bytes.
    pub input_len: u32,
    /// Number of the logits' channels: a classifier's classes.
    pub classes: u32,
    /// Number of operators.
    pub ops: u16,
}

/// What a board's clock counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
pub struct Inference<'a> {
    /// The request's.
    pub id: u32,
    /// Index of the largest logit.
    pub class: u32,
    /// Logits, int8: a classifier's are one a class.
    pub logits: &'a [u8],
    /// The last operator's output, int8: probabilities `(q + 128) / 256` when that is a softmax.
    pub output: &'a [u8],
    /// Cost of each operator in [`Hello::unit`]s: a `u32` in four little-endian bytes each.
    pub layers: &'a [u8],
    /// Cost of turning a camera's frame into the input in [`Hello::unit`]s; 0 when the input came as it is.
    pub preprocessing: u64,
    /// Cost of running the network in [`Hello::unit`]s.
    pub total: u64,
    /// Most bytes of stack in use at any time since the device started.
    pub stack: u32,
}

impl Inference<'_> {
    /// Cost of each operator in [`Hello::unit`]s.
    pub fn layer_costs(&self) -> impl Iterator<Item = u32> + '_ {
        self.layers.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes))
    }
}

/// Outcome of a self-test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
        }
    }
}

impl core::error::Error for Failure {}

/// Why a message cannot be put into a frame or taken out of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FrameError {
    /// The memory for the frame or the message is too small.
    TooLong,
    /// The frame ends before its stuffing says so.
    Truncated,
    /// The checksum does not match.
    BadCrc,
    /// The checksum matches but the message is none that this version knows.
    BadMessage,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FrameError::TooLong => "the message is longer than the memory for it",
            FrameError::Truncated => "the frame is cut off",
            FrameError::BadCrc => "the checksum does not match",
            FrameError::BadMessage => "the message is none that this version of the protocol knows",
        })
    }
}

impl core::error::Error for FrameError {}

/// Writes `message` as a frame, the closing zero included, to the start of `buffer`.
///
/// # Errors
///
/// [`FrameError::TooLong`] when it does not fit; [`max_frame_len`] tells how much always fits.
pub fn encode<'b>(message: &impl Serialize, buffer: &'b mut [u8]) -> Result<&'b [u8], FrameError> {
    let cobs = Cobs::try_new(Slice::new(buffer)).map_err(|_| FrameError::TooLong)?;
    let flavour = CrcModifier::new(cobs, crate::CRC32.digest());
    match postcard::serialize_with_flavor(message, flavour) {
        Ok(frame) => Ok(frame),
        Err(_) => Err(FrameError::TooLong),
    }
}

/// Longest frame of a message of `message_len` bytes, without its checksum, in bytes.
#[must_use]
pub const fn max_frame_len(message_len: usize) -> usize {
    let len = message_len + CRC_LEN;
    // COBS adds one byte, another for every 254, and the zero at the end.
    len + len / 254 + 2
}

/// Takes frames out of a stream of bytes. The memory limits the length of a message with its checksum.
#[derive(Debug)]
pub struct Receiver<'b> {
    memory: &'b mut [u8],
    len: usize,
    overflowed: bool,
    stuffing: DecoderState,
}

impl<'b> Receiver<'b> {
    /// A receiver at the start of a frame.
    #[must_use]
    pub fn new(memory: &'b mut [u8]) -> Self {
        Self { memory, len: 0, overflowed: false, stuffing: DecoderState::Idle }
    }

    /// Takes the next byte of the stream; `Some` when it ends a frame. The message may borrow from the receiver's memory.
    ///
    /// After an error the next frame is received as usual.
    pub fn push<'m, T: Deserialize<'m>>(&'m mut self, byte: u8) -> Option<Result<T, FrameError>> {
        let ended = match self.stuffing.feed(byte) {
            Ok(DecodeResult::NoData) => return None,
            Ok(DecodeResult::DataContinue(byte)) => {
                self.store(byte);
                return None;
            }
            Ok(DecodeResult::DataComplete) => Ok(()),
            Err(_) => Err(FrameError::Truncated),
        };
        let len = core::mem::take(&mut self.len);
        if core::mem::take(&mut self.overflowed) {
            return Some(Err(FrameError::TooLong));
        }
        Some(ended.and_then(|()| open(self.memory.get(..len).unwrap_or_default())))
    }

    fn store(&mut self, byte: u8) {
        match self.memory.get_mut(self.len) {
            Some(slot) => {
                *slot = byte;
                self.len += 1;
            }
            None => self.overflowed = true,
        }
    }
}

/// Checks and decodes a message that its checksum follows.
fn open<'m, T: Deserialize<'m>>(bytes: &'m [u8]) -> Result<T, FrameError> {
    let (message, crc) = bytes.split_last_chunk::<CRC_LEN>().ok_or(FrameError::Truncated)?;
    if crate::CRC32.checksum(message) != u32::from_le_bytes(*crc) {
        return Err(FrameError::BadCrc);
    }
    match postcard::take_from_bytes(message) {
        Ok((message, [])) => Ok(message),
        _ => Err(FrameError::BadMessage),
    }
}

#[cfg(test)]
mod tests;
