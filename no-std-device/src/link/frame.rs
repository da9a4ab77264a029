//! Frames: messages with a checksum, told apart by zero bytes.

use core::fmt;
use core::ops::{Index, IndexMut};

use cobs::{DecodeResult, DecoderState};
use heapless::VecView;
use postcard::ser_flavors::{Cobs, Flavor, Slice, crc::CrcModifier};
use serde::{Deserialize, Serialize};

use super::Message;

/// Length of a frame's checksum in bytes.
const CRC_LEN: usize = 4;

/// Why a message cannot be put into a frame or taken out of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    let frame: &[u8] = write(message, Slice::new(buffer))?;
    Ok(frame)
}

/// Like [`encode`] into memory that holds nothing but the frame then; or nothing, after an error.
///
/// # Errors
///
/// [`FrameError::TooLong`] when it does not fit.
pub fn encode_into<T: Serialize>(message: &Message<T>, memory: &mut VecView<u8>) -> Result<(), FrameError> {
    memory.clear();
    let written = write(message, Growing { memory, outside: 0 });
    if written.is_err() {
        memory.clear();
    }
    written
}

fn write<T: Serialize, S>(message: &Message<T>, storage: S) -> Result<<S as Flavor>::Output, FrameError>
where
    S: Flavor + IndexMut<usize, Output = u8>,
{
    let cobs = Cobs::try_new(storage).map_err(|_| FrameError::TooLong)?;
    let flavour = CrcModifier::new(cobs, no_std_infer::CRC32.digest());
    postcard::serialize_with_flavor(message, flavour).map_err(|_| FrameError::TooLong)
}

/// Bytes are appended; those that are there may be changed.
struct Growing<'b> {
    memory: &'b mut VecView<u8>,
    /// Stands for bytes that are not there: none is asked for.
    outside: u8,
}

impl Flavor for Growing<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.memory.push(byte).map_err(|_| postcard::Error::SerializeBufferFull)
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

impl Index<usize> for Growing<'_> {
    type Output = u8;

    fn index(&self, index: usize) -> &u8 {
        self.memory.get(index).unwrap_or(&self.outside)
    }
}

impl IndexMut<usize> for Growing<'_> {
    fn index_mut(&mut self, index: usize) -> &mut u8 {
        self.memory.get_mut(index).unwrap_or(&mut self.outside)
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
