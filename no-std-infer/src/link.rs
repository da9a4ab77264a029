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
pub const PROTOCOL: u16 = 1;

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
    /// Number of classes.
    pub classes: u16,
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
    pub class: u16,
    /// Logits, int8, one a class.
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
mod tests {
    use std::vec;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn frame(message: &Request<'_>) -> Vec<u8> {
        let mut buffer = vec![0; 4096];
        encode(message, &mut buffer).expect("fits").to_vec()
    }

    /// What a receiver with memory for `capacity` bytes makes of `stream`, each message encoded again.
    fn receive(stream: &[u8], capacity: usize) -> Vec<Result<Vec<u8>, FrameError>> {
        let mut memory = vec![0; capacity];
        let mut receiver = Receiver::new(&mut memory);
        let events = stream.iter().filter_map(|&byte| Some(receiver.push::<Request>(byte)?.map(|m| frame(&m))));
        events.collect()
    }

    fn infer(id: u32, bytes: &[u8]) -> Request<'_> {
        Request::Infer { id, picture: Picture::Input(bytes) }
    }

    #[test]
    fn the_encoding_is_fixed() {
        // Message 2 (SelfTest); CRC-32 of the one byte 02 is 3C0C8EA1.
        assert_eq!(frame(&Request::SelfTest), [6, 2, 0xA1, 0x8E, 0x0C, 0x3C, 0]);
    }

    #[test]
    fn too_small_a_buffer_is_an_error() {
        let len = frame(&infer(7, &[1, 0, 2])).len();
        let mut buffer = vec![0; len];
        assert!(encode(&infer(7, &[1, 0, 2]), &mut buffer).is_ok());
        for short in 0..len {
            assert_eq!(encode(&infer(7, &[1, 0, 2]), &mut buffer[..short]), Err(FrameError::TooLong), "{short}");
        }
    }

    #[test]
    fn too_long_a_message_is_an_error_and_the_next_frame_arrives() {
        let (long, short) = (frame(&infer(1, &[5; 100])), frame(&Request::Hello));
        let events = receive(&[long.clone(), short.clone(), long].concat(), 64);
        assert_eq!(events, [Err(FrameError::TooLong), Ok(short), Err(FrameError::TooLong)]);
    }

    #[test]
    fn a_message_of_another_version_is_an_error() {
        let mut buffer = [0; 32];
        let unknown = encode(&99_u8, &mut buffer).expect("fits").to_vec();
        let mut buffer = [0; 32];
        let trailing = encode(&[2_u8, 0], &mut buffer).expect("fits").to_vec();
        for stream in [unknown, trailing] {
            assert_eq!(receive(&stream, 64), [Err(FrameError::BadMessage)]);
        }
    }

    #[test]
    fn layer_costs_are_little_endian_words() {
        let layers = [1, 0, 0, 0, 0, 1, 0, 0];
        let inference = Inference {
            id: 0,
            class: 0,
            logits: &[],
            output: &[],
            layers: &layers,
            preprocessing: 0,
            total: 257,
            stack: 0,
        };
        assert!(inference.layer_costs().eq([1, 256]));
    }

    proptest! {
        #[test]
        fn what_is_sent_arrives(id: u32, bytes in prop::collection::vec(any::<u8>(), 0..1200), fill: bool) {
            let bytes = if fill { vec![id as u8; bytes.len()] } else { bytes };
            let sent = frame(&infer(id, &bytes));
            prop_assert!(sent.len() <= max_frame_len(1 + 5 + 1 + 2 + bytes.len()));
            prop_assert_eq!(sent.iter().position(|&byte| byte == 0), Some(sent.len() - 1));
            prop_assert_eq!(receive(&sent, 2048), [Ok(sent)]);
        }

        #[test]
        fn a_damaged_frame_is_an_error_and_the_next_one_arrives(
            bytes in prop::collection::vec(any::<u8>(), 0..600), at: prop::sample::Index, flip in 1_u8..,
        ) {
            let (mut damaged, next) = (frame(&infer(9, &bytes)), frame(&Request::Hello));
            let at = at.index(damaged.len());
            damaged[at] ^= flip;
            let events = receive(&[damaged, vec![0], next.clone()].concat(), 2048);
            let (last, before) = events.split_last().expect("the intact frame");
            prop_assert_eq!(last, &Ok(next));
            prop_assert!(!before.is_empty() && before.iter().all(Result::is_err), "{:?}", before);
        }

        #[test]
        fn a_cut_off_frame_is_an_error_and_the_next_one_arrives(
            bytes in prop::collection::vec(any::<u8>(), 0..600), cut: prop::sample::Index,
        ) {
            let (whole, next) = (frame(&infer(9, &bytes)), frame(&Request::Hello));
            let cut = cut.index(whole.len() - 1).max(1);
            let events = receive(&[&whole[..cut], &[0], &next].concat(), 2048);
            prop_assert_eq!(events.len(), 2);
            prop_assert!(events[0].is_err());
            prop_assert_eq!(&events[1], &Ok(next));
        }

        #[test]
        fn noise_never_panics_and_the_next_frame_arrives(
            noise in prop::collection::vec(any::<u8>(), 0..600), capacity in 0_usize..64,
        ) {
            let next = frame(&Request::Hello);
            let events = receive(&[&noise[..], &[0], &next].concat(), capacity.max(8));
            prop_assert_eq!(events.last(), Some(&Ok(next)));
        }
    }
}
