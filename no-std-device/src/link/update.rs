//! Messages that bring a device another blob.

use core::fmt;

use serde::{Deserialize, Serialize};

use no_std_infer::Cost;
use no_std_infer::kernels::Kernel;

/// Every [`Update::Write`] but a blob's last has a multiple of this many bytes.
pub const WRITE_ALIGN: usize = 256;

/// A step of an update. All may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Update<'a> {
    /// A blob is to come. Answered with 0, or with how many of its bytes have arrived already, or with its length when the
    /// device runs it.
    Begin {
        /// Length of the blob in bytes.
        len: u32,
        /// CRC-32 in the blob's header.
        crc: u32,
    },
    /// Bytes of the blob. They count when `offset` is how many have arrived; otherwise the answer says how many have.
    Write {
        /// Where they belong, a multiple of [`WRITE_ALIGN`].
        offset: u32,
        /// The bytes, a multiple of [`WRITE_ALIGN`] unless they end the blob.
        bytes: &'a [u8],
    },
    /// The blob is complete: check it, and start with it. Answered with its length before the device does.
    Commit {
        /// CRC-32 in the blob's header.
        crc: u32,
    },
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
    /// The blob's checksum is wrong, or not the one that was announced.
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
    /// The model's number is not greater than that of the model that runs.
    Number {
        /// Number in the blob.
        found: u32,
        /// Number of the model that runs.
        running: u32,
    },
    /// The model needs a kernel that the firmware does not link.
    NotLinked {
        /// What it needs.
        kernel: Kernel,
    },
    /// A run of the model takes more than the firmware allows, see [`Linked::at_most`](no_std_infer::kernels::Linked::at_most).
    Cost(Cost),
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
            UpdateError::Number { found, running } => {
                write!(f, "the model has number {found}, and must have a greater one than {running}, which runs")
            }
            UpdateError::NotLinked { kernel } => {
                write!(f, "the model needs the kernel `{}`, which the firmware does not link", kernel.name())
            }
            UpdateError::Cost(needed) => write!(f, "a run of the model takes {needed}, more than the firmware allows"),
        }
    }
}

impl core::error::Error for UpdateError {}
