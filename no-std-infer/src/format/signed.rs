//! What a blob's signature covers. Signing and verifying are left to those who have the cryptography.

use super::{Section, section};

/// What a signed statement begins with, which tells it from any other text that the key signs.
const CONTEXT: &[u8; 24] = b"no-std-infer blob, v2\0\0\0";
/// Length of a [`Statement`] in bytes.
pub const STATEMENT_LEN: usize = CONTEXT.len() + 32 + 4 + 4;
/// Length of the signature section in bytes.
pub const SIGNATURE_LEN: usize = KEY_LEN + 64;
/// Length of a public key in bytes.
const KEY_LEN: usize = 32;

/// A signed blob, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed<'a> {
    /// The ed25519 public key that the blob names.
    pub key: &'a [u8; KEY_LEN],
    /// The signature of the [`Statement`].
    pub signature: &'a [u8; 64],
    /// The model's number.
    pub number: u32,
    /// The content: all bytes but the checksum and the signature's section, which are hashed in this order.
    pub content: [&'a [u8]; 3],
}

impl<'a> Signed<'a> {
    /// `None` when the blob does not have one signature and one number.
    #[must_use]
    pub fn find(blob: &'a [u8]) -> Option<Self> {
        let entry = only(blob, section::SIGNATURE)?;
        let (key, signature) = entry.bytes(blob)?.split_first_chunk()?;
        let start = entry.offset as usize;
        Some(Self {
            key,
            signature: signature.try_into().ok()?,
            number: number(blob)?,
            content: [blob.get(..12)?, blob.get(16..start)?, blob.get(start + SIGNATURE_LEN..)?],
        })
    }
}

/// What the key's owner signs of a blob, so short that it can be verified before the blob has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Statement {
    /// SHA-256 of the blob's [content](Signed::content).
    pub content: [u8; 32],
    /// Length of the whole blob in bytes.
    pub len: u32,
    /// The model's number.
    pub number: u32,
}

impl Statement {
    /// The bytes that are signed: a fixed context, the digest, and both numbers in little-endian order.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; STATEMENT_LEN] {
        let mut bytes = [0; STATEMENT_LEN];
        let numbers = [self.len, self.number].map(u32::to_le_bytes);
        let all = CONTEXT.iter().chain(&self.content).chain(numbers.as_flattened());
        bytes.iter_mut().zip(all).for_each(|(slot, &byte)| *slot = byte);
        bytes
    }
}

/// The key and the number.
#[cfg(feature = "defmt")]
impl defmt::Format for Signed<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Signed {{ key: {=[u8]:02x}, number: {} }}", self.key.as_slice(), self.number);
    }
}

/// The model's number; `None` when the blob does not have exactly one.
#[must_use]
pub fn number(blob: &[u8]) -> Option<u32> {
    let bytes = only(blob, section::NUMBER)?.bytes(blob)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// The section with this id, when there is one only.
fn only(blob: &[u8], id: u32) -> Option<Section> {
    let mut found = Section::table(blob)?.filter(|section| section.id == id);
    let first = found.next();
    if found.next().is_some() { None } else { first }
}
