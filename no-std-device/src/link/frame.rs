//! Frames: messages with a checksum, told apart by zero bytes.

use core::cell::Cell;
use core::fmt;
use no_std_infer::bounded::Bounded;

use cobs::{DecodeResult, DecoderState};
use heapless::VecView;
use postcard::ser_flavors::Flavor;
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
    // Stuffing adds a byte at the start and one after every 254: so far behind it the message begins, so that none of its bytes
    // is overwritten before it is read. Of a full buffer that is one byte in 255, the closing zero left out.
    let start = 1 + buffer.len().saturating_sub(2) / 255;
    let memory = buffer.get_mut(start..).ok_or(FrameError::TooLong)?;
    let len = postcard::serialize_with_flavor(message, Written { memory, len: 0 }).map_err(|_| FrameError::TooLong)?;
    stuff(buffer, start, len).ok_or(FrameError::TooLong)
}

/// What of a message has been written. Not postcard's own, which the compiler writes out for every field.
struct Written<'b> {
    memory: &'b mut [u8],
    // At most the memory's length.
    len: usize,
}

impl Flavor for Written<'_> {
    type Output = usize;

    #[inline(never)]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    #[inline(never)]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        let slots = self.memory.get_mut(self.len..).and_then(|rest| rest.get_mut(..bytes.len()));
        slots.ok_or(postcard::Error::SerializeBufferFull)?.copy_from_slice(bytes);
        self.len = self.len.plus(bytes.len());
        Ok(())
    }

    fn finalize(self) -> postcard::Result<usize> {
        Ok(self.len)
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

/// Turns a message of so many bytes from `start` on into a frame. `None` when the memory is too small.
///
/// Each byte of the frame lies before those of the message that are not read yet. The encoders of `cobs` cost three times as many
/// instructions a byte, and postcard's own way to do it asserts what is an error here, and so has a path to a panic.
fn stuff(memory: &mut [u8], start: usize, message_len: usize) -> Option<&[u8]> {
    let (message, rest) = memory.get_mut(start..)?.split_at_mut_checked(message_len)?;
    *rest.first_chunk_mut()? = no_std_infer::CRC32.checksum(message).to_le_bytes();
    let cells = Cell::from_mut(&mut *memory).as_slice_of_cells();
    let mut free = cells.iter();
    // Where the length of a run without zeros will stand, and that length, which counts itself.
    let (mut code, mut run) = (free.next()?, 1_u8);
    for byte in cells.get(start..)?.iter().take(message_len.plus(CRC_LEN)).map(Cell::get) {
        if byte != 0 {
            free.next()?.set(byte);
            run = run.wrapping_add(1);
        }
        if byte == 0 || run == u8::MAX {
            code.set(run);
            (code, run) = (free.next()?, 1);
        }
    }
    code.set(run);
    free.next()?.set(0);
    let left = free.len();
    memory.get(..memory.len().checked_sub(left)?)
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

    /// True when a frame has begun: the next zero ends it.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        !matches!(self.stuffing, DecoderState::Idle)
    }

    /// What of a frame that has begun would be its message, should it end now. It is not checked.
    pub(crate) fn message(&self) -> &[u8] {
        self.memory.split_last_chunk::<CRC_LEN>().map_or(&[], |(message, _)| message)
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
