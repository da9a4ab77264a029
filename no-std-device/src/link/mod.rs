//! The link between a host and a device: requests and responses in frames over any byte stream, such as a UART.
//!
//! # Frames
//!
//! A frame is one [`Message`] in postcard's encoding, followed by the CRC-32 (ISO-HDLC) of the message's bytes,
//! little-endian; both together are stuffed with COBS, so that they hold no zero byte, and one zero byte ends the frame.
//! A receiver therefore finds the next frame after any damage: it drops what it has at the next zero. Empty
//! frames are ignored, so a sender that does not know what the receiver has seen so far sends a zero first.
//!
//! # Conversation
//!
//! The host sends one [`Request`] with an id other than 0 and waits for the [`Response`] with the same id; the device
//! never speaks first. A frame that arrives damaged is answered by [`Failure::Frame`] with the id 0.
//!
//! Every request may be sent again: when no answer comes in time, or a damaged one, or one with the id 0, the host sends a
//! zero byte and then the same request with the same id. A device keeps its answer to the last intact request, and sends it
//! again when the next one has the same id. Answers with another id belong to requests that were repeated, and the host drops
//! them. It takes its first id at random, so that none of an earlier conversation is mistaken for one of this.
//!
//! The first request is [`Request::Hello`]: from version 3 on its encoding and that of [`Response::Hello`] up to
//! [`Hello::protocol`] are the same in every version, and a host that finds another [`PROTOCOL`] than its own stops there;
//! [`hello_protocol`] reads it where the rest of the answer cannot be decoded.
//!
//! # Camera
//!
//! [`Request::Look`] asks what the device made of its latest frame, which it keeps from then on, without taking another, and how
//! many frames its camera has lost ([`CameraFaults`]). It keeps the frame until the host asks for a later one, says nothing for
//! [`KEPT_SECONDS`](crate::KEPT_SECONDS), lets the network run for a request of its own, or has had the frame for
//! [`KEPT_AT_MOST_SECONDS`](crate::KEPT_AT_MOST_SECONDS). [`Request::Read`] brings its bytes, in as many requests as it takes.
//!
//! # Update
//!
//! A device with flash slots takes another blob: [`Update::Begin`] names it by its [`Identity`] and shows its
//! [`Credentials`], [`Update::Write`] carries its bytes in order, [`Update::Commit`] lets the device check it and switch.
//! Each is answered by [`Response::Update`] with how many bytes have arrived, from which the host goes on, or by
//! [`Failure::Update`]. The device runs its old model until it commits. After the answer to a commit, which it keeps like
//! any other, it starts with the new model: the host says [`Request::Hello`] to see which runs.
//!
//! ```
//! use no_std_device::link::{Message, Receiver, Request, decode, encode};
//!
//! let mut buffer = [0; 16];
//! let sent = Message { id: 7, body: Request::SelfTest };
//! let frame = encode(&sent, &mut buffer)?;
//! let mut memory = heapless::Vec::<u8, 16>::new();
//! let mut receiver = Receiver::new(&mut memory);
//! for &byte in frame {
//!     if let Some(bytes) = receiver.push(byte) {
//!         assert_eq!(decode::<Request>(bytes?)?, sent);
//!     }
//! }
//! # Ok::<(), no_std_device::link::FrameError>(())
//! ```

mod bytes;
mod frame;
mod health;
mod identity;
mod message;
mod update;

pub use frame::{FrameError, Receiver, decode, encode, encode_into, hello_protocol, max_frame_len};
pub use health::{CameraFaults, Reset};
pub use identity::Identity;
pub(crate) use identity::{READ, sha256};
pub use message::{
    Decided, Excerpt, Failure, Hello, Inference, Look, Message, ModelInfo, PROTOCOL, Picture, Request, Response,
    SelfTest, Shape, Shown, Slots, Unit,
};
pub use update::{Credentials, Update, UpdateError, WRITE_ALIGN};

#[cfg(test)]
mod pinned;
#[cfg(test)]
mod tests;
