//! Messages that bring a device another blob.

use core::fmt;

use serde::{Deserialize, Serialize};

use no_std_infer::format::Statement;
use no_std_infer::kernels::Kernel;

use super::Identity;

/// Every [`Update::Write`] but a blob's last has a multiple of this many bytes.
pub const WRITE_ALIGN: usize = 256;

/// A step of an update. All may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Update<'a> {
    /// A blob is to come. Answered with 0, or with how many of its bytes have arrived already, or with its length when the
    /// device runs it.
    Begin {
        /// Which blob it is.
        blob: Identity,
        /// Who has signed it: checked before anything is erased. Devices without a key do not look at it.
        credentials: Option<Credentials<'a>>,
    },
    /// Bytes of the blob. They count when `offset` is how many have arrived; otherwise the answer says how many have.
    Write {
        /// Where they belong, a multiple of [`WRITE_ALIGN`].
        offset: u32,
        /// The bytes, a multiple of [`WRITE_ALIGN`] unless they end the blob.
        #[serde(borrow, with = "super::bytes")]
        bytes: &'a [u8],
    },
    /// The blob is complete: check it, and start with it. Answered with its length before the device does.
    Commit {
        /// Which blob it is.
        blob: Identity,
    },
    /// The model that runs has proved itself to the host: keep it. Answered with 0 before the device notes it; also where it has
    /// proved itself already.
    Confirm,
    /// Start with the model before the one that runs, which is not to run again. Answered with 0 before the device does. A
    /// device with a key takes it only while the model is [tentative](super::ModelInfo::tentative).
    Rollback,
}

/// What a signed blob says about itself, see [`Signed`](no_std_infer::format::Signed).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Credentials<'a> {
    /// The ed25519 public key of who has signed it.
    #[serde(borrow, with = "super::bytes")]
    pub key: &'a [u8; 32],
    /// The signature of the [statement](Self::statement).
    #[serde(borrow, with = "super::bytes")]
    pub signature: &'a [u8; 64],
    /// The model's number.
    pub number: u32,
    /// SHA-256 of the content that is signed.
    #[serde(with = "super::bytes")]
    pub content: [u8; 32],
}

impl Credentials<'_> {
    /// What is signed, of a blob of so many bytes.
    #[must_use]
    pub fn statement(&self, len: u32) -> Statement {
        Statement { content: self.content, len, number: self.number }
    }
}

/// Why an update is refused. The device goes on with the model that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum UpdateError {
    /// The firmware cannot be updated: its blob is built in.
    Unsupported,
    /// No update has begun, the device has started anew since, or the one that has begun is of another blob.
    NotBegun,
    /// The blob is longer than a slot, or has no bytes.
    Length {
        /// Bytes of a slot.
        slot: u32,
    },
    /// Bytes of the blob are missing.
    Incomplete {
        /// How many have arrived.
        received: u32,
    },
    /// The flash could not be erased or written, or does not hold what was written.
    Flash,
    /// The blob's checksum is wrong.
    Crc,
    /// The blob has a version of the format that the firmware does not read.
    Version(u16),
    /// `Model::parse` refuses the blob.
    Parse,
    /// The model needs more memory than the firmware has for it.
    Arena {
        /// What it needs, in bytes.
        needed: u32,
        /// What there is, in bytes.
        available: u32,
    },
    /// The device does not give the golden vector's bytes.
    SelfTest,
    /// The blob has no golden vector, so that the device cannot test itself.
    NoGolden,
    /// The firmware asks for a signature, and the blob has none.
    Unsigned,
    /// The blob names another key than the firmware's.
    OtherKey,
    /// The signature is not one of these bytes.
    Signature,
    /// The model's number is not greater than those of all models that the device has taken or has built in.
    Number {
        /// Number in the blob.
        found: u32,
        /// The greatest number so far.
        floor: u32,
    },
    /// The model needs a kernel that the firmware does not link.
    NotLinked {
        /// What it needs.
        kernel: Kernel,
    },
    /// Another blob has been committed, and the device has not started with it yet.
    Switched,
    /// The blob's bytes are not those that were announced.
    Digest,
    /// The slots have been rewritten so often that the flash would wear out. Nothing was erased.
    Wear {
        /// When the device is ready for it.
        seconds: u32,
    },
    /// A run of the model takes more than the firmware allows, see [`Linked::at_most`](no_std_infer::kernels::Linked::at_most).
    Cost {
        /// What it takes: [`Cost::mebi`](no_std_infer::Cost::mebi).
        mebi: u32,
    },
    /// The model that runs has not proved itself, and the other slot holds what the device falls back to: confirm it or roll it
    /// back first.
    Tentative,
    /// The model that runs is built in: it can neither be confirmed nor rolled back.
    BuiltIn,
    /// The model that runs has proved itself, and the firmware has a key: models before it do not come back.
    Confirmed,
}

impl fmt::Display for UpdateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UpdateError::Unsupported => f.write_str("the model is built into the firmware, which cannot be updated"),
            UpdateError::NotBegun => f.write_str("no update of this blob is under way"),
            UpdateError::Length { slot } => write!(f, "the blob does not have 1 to {slot} bytes, a slot's length"),
            UpdateError::Incomplete { received } => write!(f, "only {received} bytes of the blob have arrived"),
            UpdateError::Flash => f.write_str("the flash could not be written: it may be worn out or protected"),
            UpdateError::Crc => f.write_str("the blob's checksum does not match"),
            UpdateError::Version(version) => {
                write!(f, "the firmware does not read format version {version}: update the firmware")
            }
            UpdateError::Parse => f.write_str("the blob cannot be run"),
            UpdateError::Arena { needed, available } => {
                write!(f, "the model needs {needed} bytes of arena, and the firmware has {available}")
            }
            UpdateError::SelfTest => f.write_str("the self-test gives other bytes than the golden vector's"),
            UpdateError::NoGolden => f.write_str("the blob has no golden vector for the self-test"),
            UpdateError::Unsigned => f.write_str("the firmware takes signed blobs only, and this one is not"),
            UpdateError::OtherKey => f.write_str("the blob is signed with another key than the firmware's"),
            UpdateError::Signature => f.write_str("the blob's signature is wrong"),
            UpdateError::Number { found, floor } => {
                write!(
                    f,
                    "the model has number {found}, and must have a greater one than {floor}, which the device has had"
                )
            }
            UpdateError::NotLinked { kernel } => {
                write!(f, "the model needs the kernel `{}`, which the firmware does not link", kernel.name())
            }
            UpdateError::Digest => f.write_str("the blob's bytes are not those that were announced"),
            UpdateError::Wear { seconds } => {
                write!(f, "the flash has been rewritten too often in a short time: wait {seconds} seconds")
            }
            UpdateError::Tentative => {
                f.write_str("the model that runs has not proved itself: it must be confirmed or rolled back first")
            }
            UpdateError::BuiltIn => f.write_str("the model that runs is built in: there is none before it"),
            UpdateError::Confirmed => {
                f.write_str("the model that runs has proved itself, and the firmware takes none that is older")
            }
            UpdateError::Switched => f.write_str("another model has just been taken, and is about to run"),
            UpdateError::Cost { mebi } => write!(
                f,
                "a run of the model takes {mebi} Mi products, with eight for each byte, which is more than the firmware allows"
            ),
        }
    }
}

impl core::error::Error for UpdateError {}
