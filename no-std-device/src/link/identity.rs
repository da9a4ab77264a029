//! What tells blobs apart.

use core::fmt;

use no_std_infer::bounded::Bounded;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::update::PIECE;

/// Bytes of the digest that are shown to people.
const SHOWN: usize = 8;
/// Bytes that are read at a time: they lie on the stack.
pub(crate) const READ: usize = 256;

/// What tells blobs apart, also where someone wants two to look alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Identity {
    /// Length of the blob in bytes: below 4 GiB, as the blob's header has it.
    pub len: u32,
    /// SHA-256 of all its bytes: what `sha256sum` prints of its file.
    #[serde(with = "super::bytes")]
    pub sha256: [u8; 32],
}

impl Identity {
    /// That of a blob of less than 4 GiB. Calls `feed` after each [`PIECE`] bytes.
    pub fn of(blob: &[u8], feed: &dyn Fn()) -> Self {
        Self { len: blob.len() as u32, sha256: sha256([blob], feed) }
    }

    /// That of a blob of so many bytes that `read` gives, from an offset on, at most [`READ`] at a time. Calls `feed` after each
    /// [`PIECE`] bytes.
    pub(crate) fn read<E>(
        len: u32,
        mut read: impl FnMut(u32, &mut [u8]) -> Result<(), E>,
        feed: &dyn Fn(),
    ) -> Result<Self, E> {
        let (mut digest, mut buffer) = (Sha256::new(), [0; READ]);
        for offset in (0..len).step_by(READ) {
            let bytes = buffer.get_mut(..READ.min(len.minus(offset) as usize)).unwrap_or_default();
            read(offset, bytes)?;
            digest.update(bytes);
            if (offset as usize).is_multiple_of(PIECE) {
                feed();
            }
        }
        Ok(Self { len, sha256: digest.finalize().into() })
    }

    /// The first half of the digest, by which answers name a model.
    #[must_use]
    pub fn short(&self) -> [u8; 16] {
        *self.sha256.first_chunk().unwrap_or(&[0; 16])
    }
}

/// SHA-256 of these bytes, one after the other. Calls `feed` after each [`PIECE`] bytes.
pub(crate) fn sha256<const PARTS: usize>(parts: [&[u8]; PARTS], feed: &dyn Fn()) -> [u8; 32] {
    let mut digest = Sha256::new();
    for piece in parts.iter().flat_map(|part| part.chunks(PIECE)) {
        digest.update(piece);
        feed();
    }
    digest.finalize().into()
}

/// The first 16 hexadecimal digits of the digest.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sha256.iter().take(SHOWN).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
