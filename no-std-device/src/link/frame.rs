//! Frames: messages with a checksum, told apart by zero bytes.

use core::fmt;

use cobs::{DecodeResult, DecoderState, EncoderState, PushResult};
use heapless::VecView;
use postcard::ser_flavors::{Flavor, crc::CrcModifier};
use serde::{Deserialize, Serialize};

use super::Message;

/// Length of a frame's checksum in bytes.
const CRC_LEN: usize = 4;

/// Why a message cannot be put into a frame or taken out of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FrameError {
    /// The memory for the frame or the message is too small.
    TooLong,
    /// The frame ends before its stuffing says so.
    Truncated,
    /// The checksum does not match.
    BadCrc,
    /// The checksum matches but the message is none that this version of the protocol knows.
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
pub fn encode<'b, T: Serialize>(message: &Message<T>, buffer: &'b mut [u8]) -> Result<&'b [u8], FrameError> {
    let stuffed = Stuffed { memory: buffer, len: 1, state: EncoderState::default() };
    let flavour = CrcModifier::new(stuffed, no_std_infer::CRC32.digest());
    match postcard::serialize_with_flavor(message, flavour) {
        Ok(frame) => Ok(frame),
        Err(_) => Err(FrameError::TooLong),
    }
}

/// Like [`encode`] into memory that holds nothing but the frame then; or nothing, after an error.
///
/// # Errors
///
/// [`FrameError::TooLong`] when it does not fit.
pub fn encode_into<T: Serialize>(message: &Message<T>, memory: &mut VecView<u8>) -> Result<(), FrameError> {
    memory.clear();
    memory.resize_default(memory.capacity()).map_err(|_| FrameError::TooLong)?;
    let len = encode(message, memory).map(<[u8]>::len);
    memory.truncate(len.unwrap_or(0));
    len.map(|_| ())
}

/// Bytes stuffed with COBS. Postcard's own way to do it asserts what is an error here, and so has a path to a panic.
struct Stuffed<'b> {
    memory: &'b mut [u8],
    /// Bytes written, a first one that is filled in later included.
    len: usize,
    state: EncoderState,
}

impl Stuffed<'_> {
    fn set(&mut self, index: usize, byte: u8) -> postcard::Result<()> {
        *self.memory.get_mut(index).ok_or(postcard::Error::SerializeBufferFull)? = byte;
        Ok(())
    }

    fn put(&mut self, byte: u8) -> postcard::Result<()> {
        self.set(self.len, byte)?;
        self.len += 1;
        Ok(())
    }
}

impl<'b> Flavor for Stuffed<'b> {
    type Output = &'b [u8];

    // Each field of a message calls it.
    #[inline(never)]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        match self.state.push(byte) {
            PushResult::AddSingle(byte) => self.put(byte),
            PushResult::ModifyFromStartAndSkip((index, code)) => {
                self.set(index, code)?;
                self.put(0)
            }
            PushResult::ModifyFromStartAndPushAndSkip((index, code, byte)) => {
                self.set(index, code)?;
                self.put(byte)?;
                self.put(0)
            }
        }
    }

    fn finalize(mut self) -> postcard::Result<&'b [u8]> {
        let (index, code) = core::mem::take(&mut self.state).finalize();
        self.set(index, code)?;
        self.put(0)?;
        self.memory.get(..self.len).ok_or(postcard::Error::SerializeBufferFull)
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
pub struct Receiver<'b> {
    memory: &'b mut VecView<u8>,
    stuffing: DecoderState,
    overflowed: bool,
    /// The memory holds what was received last.
    ended: bool,
}

impl<'b> Receiver<'b> {
    /// A receiver at the start of a frame.
    #[must_use]
    pub fn new(memory: &'b mut VecView<u8>) -> Self {
        Self { memory, stuffing: DecoderState::Idle, overflowed: false, ended: true }
    }

    /// Takes the next byte of the stream; `Some` when it ends a frame: the message's bytes, whose checksum is right.
    ///
    /// After an error the next frame is received as usual.
    pub fn push(&mut self, byte: u8) -> Option<Result<&[u8], FrameError>> {
        if core::mem::take(&mut self.ended) {
            self.memory.clear();
            self.overflowed = false;
        }
        let whole = match self.stuffing.feed(byte) {
            Ok(DecodeResult::NoData) => return None,
            Ok(DecodeResult::DataContinue(byte)) => {
                self.overflowed |= self.memory.push(byte).is_err();
                return None;
            }
            Ok(DecodeResult::DataComplete) => Ok(()),
            Err(_) => Err(FrameError::Truncated),
        };
        self.ended = true;
        if self.overflowed {
            return Some(Err(FrameError::TooLong));
        }
        Some(whole.and_then(|()| open(self.memory)))
    }
}

/// Checks a message that its checksum follows.
fn open(bytes: &[u8]) -> Result<&[u8], FrameError> {
    let (message, crc) = bytes.split_last_chunk::<CRC_LEN>().ok_or(FrameError::Truncated)?;
    if no_std_infer::CRC32.checksum(message) == u32::from_le_bytes(*crc) {
        Ok(message)
    } else {
        Err(FrameError::BadCrc)
    }
}

/// Decodes the bytes of a message, which may borrow from them.
///
/// # Errors
///
/// [`FrameError::BadMessage`] when they are none, or more than one.
pub fn decode<'m, T: Deserialize<'m>>(bytes: &'m [u8]) -> Result<Message<T>, FrameError> {
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Ok(message),
        _ => Err(FrameError::BadMessage),
    }
}

/// The version in the bytes of a message that is [`Response::Hello`](super::Response::Hello) in any version of the protocol.
#[must_use]
pub fn hello_protocol(bytes: &[u8]) -> Option<u16> {
    const HELLO: u8 = 0;
    match postcard::take_from_bytes::<(u32, u8, u16)>(bytes) {
        Ok(((_, HELLO, protocol), _)) => Some(protocol),
        _ => None,
    }
}
