//! Whose models the firmware takes.

use crate::link::UpdateError;
use crate::update::PIECE;
use ed25519_dalek::{Digest, Sha512, Signature, VerifyingKey};
use no_std_infer::format::{SIGNATURE_CONTEXT, Signed};

/// Decides whether a blob comes from someone who may update the device.
pub trait Trust {
    /// The ed25519 public key by which blobs must be signed, if there is one.
    fn key(&self) -> Option<[u8; 32]>;

    /// Checks where a blob comes from. `running` is the number of the model that runs, if it has one; `feed` is called
    /// between pieces of the work, see [`Clock::feed`](crate::Clock::feed).
    ///
    /// # Errors
    /// [`UpdateError::Unsigned`], [`UpdateError::OtherKey`], [`UpdateError::Signature`], [`UpdateError::Number`].
    fn check(&self, blob: &[u8], running: Option<u32>, feed: &dyn Fn()) -> Result<(), UpdateError>;
}

/// Takes every blob: whoever can speak to the device may update it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Anyone;

impl Trust for Anyone {
    fn key(&self) -> Option<[u8; 32]> {
        None
    }

    fn check(&self, _: &[u8], _: Option<u32>, _: &dyn Fn()) -> Result<(), UpdateError> {
        Ok(())
    }
}

/// Takes blobs that the owner of this ed25519 public key has signed, and of those only newer ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Owner(pub [u8; 32]);

impl Trust for Owner {
    fn key(&self) -> Option<[u8; 32]> {
        Some(self.0)
    }

    fn check(&self, blob: &[u8], running: Option<u32>, feed: &dyn Fn()) -> Result<(), UpdateError> {
        let signed = Signed::find(blob).ok_or(UpdateError::Unsigned)?;
        if *signed.key != self.0 {
            return Err(UpdateError::OtherKey);
        }
        verify(&signed, feed)?;
        match running {
            Some(running) if signed.number <= running => Err(UpdateError::Number { found: signed.number, running }),
            _ => Ok(()),
        }
    }
}

/// Checks the signature with the key that the blob names; calls `feed` after each [`PIECE`] bytes.
///
/// # Errors
/// [`UpdateError::Signature`]
pub fn verify(signed: &Signed<'_>, feed: &dyn Fn()) -> Result<(), UpdateError> {
    let mut digest = Sha512::new();
    for piece in signed.message.iter().flat_map(|part| part.chunks(PIECE)) {
        digest.update(piece);
        feed();
    }
    let signature = Signature::from_bytes(signed.signature);
    VerifyingKey::from_bytes(signed.key)
        .and_then(|key| key.verify_prehashed_strict(digest, Some(SIGNATURE_CONTEXT), &signature))
        .map_err(|_| UpdateError::Signature)
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use ed25519_dalek::SigningKey;
    use no_std_infer::format::{HEADER_LEN, Header, SECTION_LEN, SIGNATURE_LEN, Section, section};

    use super::*;

    /// Something of a blob's form, with a number and place for a signature.
    fn unsigned(number: u32) -> Vec<u8> {
        let start = HEADER_LEN + 2 * SECTION_LEN;
        let (at_number, at_signature) = (start.next_multiple_of(16), start.next_multiple_of(16) + 16);
        let total_len = at_signature + SIGNATURE_LEN + 5;
        let mut blob = Header { sections: 2, total_len: total_len as u32, crc: 0, arena_len: 0 }.to_bytes().to_vec();
        for (id, offset, len) in [(section::NUMBER, at_number, 4), (section::SIGNATURE, at_signature, SIGNATURE_LEN)] {
            blob.extend(Section { id, offset: offset as u32, len: len as u32 }.to_bytes());
        }
        blob.resize(at_number, 0);
        blob.extend(number.to_le_bytes());
        blob.resize(total_len, 7);
        blob
    }

    fn signed(key: &SigningKey, number: u32) -> Vec<u8> {
        let mut blob = unsigned(number);
        let start = blob.len() - 5 - SIGNATURE_LEN;
        let place = start..start + SIGNATURE_LEN;
        let digest = {
            let signed = Signed::find(&blob).unwrap();
            signed.message.iter().fold(Sha512::new(), |digest, part| digest.chain_update(part))
        };
        let signature = key.sign_prehashed(digest, Some(SIGNATURE_CONTEXT)).unwrap();
        blob[place].copy_from_slice(&[key.verifying_key().as_bytes(), &signature.to_bytes()[..]].concat());
        blob
    }

    #[test]
    fn only_newer_models_of_the_owner_are_taken() {
        let [key, other] = [1, 2].map(|byte| SigningKey::from_bytes(&[byte; 32]));
        let owner = Owner(key.verifying_key().to_bytes());
        let blob = signed(&key, 5);
        assert_eq!(owner.check(&blob, None, &|| ()), Ok(()));
        assert_eq!(owner.check(&blob, Some(4), &|| ()), Ok(()));
        for running in [5, 6] {
            assert_eq!(owner.check(&blob, Some(running), &|| ()), Err(UpdateError::Number { found: 5, running }));
        }
        assert_eq!(owner.check(&signed(&other, 5), None, &|| ()), Err(UpdateError::OtherKey));
        assert_eq!(owner.check(&unsigned(5)[..40], None, &|| ()), Err(UpdateError::Unsigned));
        assert_eq!(Anyone.check(&unsigned(5), Some(6), &|| ()), Ok(()));
    }

    #[test]
    fn the_watchdog_is_fed_while_a_signature_is_hashed() {
        let key = SigningKey::from_bytes(&[3; 32]).verifying_key().to_bytes();
        let message = [&[0; 2 * PIECE + 1][..], &[], &[1; PIECE]];
        let feeds = core::cell::Cell::new(0);
        let signed = Signed { key: &key, signature: &[0; 64], number: 1, message };
        assert_eq!(verify(&signed, &|| feeds.set(feeds.get() + 1)), Err(UpdateError::Signature));
        assert_eq!(feeds.get(), 4);
    }

    #[test]
    fn every_byte_but_the_checksum_is_signed() {
        let key = SigningKey::from_bytes(&[3; 32]);
        let owner = Owner(key.verifying_key().to_bytes());
        let blob = signed(&key, 5);
        for index in 0..blob.len() {
            let mut changed = blob.clone();
            changed[index] ^= 1;
            let checksum = (12..16).contains(&index);
            assert_eq!(owner.check(&changed, None, &|| ()).is_ok(), checksum, "byte {index}");
        }
        // Another signer who names the owner's key.
        let mut forged = signed(&SigningKey::from_bytes(&[4; 32]), 5);
        let start = forged.len() - 5 - SIGNATURE_LEN;
        forged[start..start + 32].copy_from_slice(&owner.0);
        assert_eq!(owner.check(&forged, None, &|| ()), Err(UpdateError::Signature));
    }
}
