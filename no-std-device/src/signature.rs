//! Whose models the firmware takes.

use crate::link::{Credentials, UpdateError, sha256};
use ed25519_dalek::{Signature, VerifyingKey};
use no_std_infer::format::Signed;

/// Decides whether a blob comes from someone who may update the device.
pub trait Trust {
    /// The ed25519 public key by which blobs must be signed, if there is one.
    fn key(&self) -> Option<[u8; 32]>;

    /// Checks where a blob of so many bytes comes from, by what it says about itself. `floor` is the greatest number that a
    /// model had so far, if there was one.
    ///
    /// # Errors
    /// [`UpdateError::Unsigned`], [`UpdateError::OtherKey`], [`UpdateError::Number`], [`UpdateError::Signature`].
    fn check(&self, len: u32, credentials: Option<&Credentials<'_>>, floor: Option<u32>) -> Result<(), UpdateError>;

    /// True when signatures are checked at each start as well, and not only when a blob is taken.
    fn at_start(&self) -> bool {
        false
    }
}

/// Takes every blob: whoever can speak to the device may update it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Anyone;

impl Trust for Anyone {
    fn key(&self) -> Option<[u8; 32]> {
        None
    }

    fn check(&self, _: u32, _: Option<&Credentials<'_>>, _: Option<u32>) -> Result<(), UpdateError> {
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

    fn check(&self, len: u32, credentials: Option<&Credentials<'_>>, floor: Option<u32>) -> Result<(), UpdateError> {
        let credentials = credentials.ok_or(UpdateError::Unsigned)?;
        if *credentials.key != self.0 {
            return Err(UpdateError::OtherKey);
        }
        match floor {
            Some(floor) if credentials.number <= floor => Err(UpdateError::Number { found: credentials.number, floor }),
            _ => verify(len, credentials),
        }
    }
}

/// The same, and a blob in a slot runs only when its signature is right at each start: so that what has been written to the
/// flash by other means than an update does not run either. It costs each start what it costs an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AtEachStart<T>(pub T);

impl<T: Trust> Trust for AtEachStart<T> {
    fn key(&self) -> Option<[u8; 32]> {
        self.0.key()
    }

    fn check(&self, len: u32, credentials: Option<&Credentials<'_>>, floor: Option<u32>) -> Result<(), UpdateError> {
        self.0.check(len, credentials, floor)
    }

    fn at_start(&self) -> bool {
        true
    }
}

/// What a blob says about who signed it; `None` when it is not signed. Hashes its content, and calls `feed` after each
/// [`PIECE`](crate::PIECE) bytes.
pub fn credentials<'b>(blob: &'b [u8], feed: &dyn Fn()) -> Option<Credentials<'b>> {
    let Signed { key, signature, number, content } = Signed::find(blob)?;
    Some(Credentials { key, signature, number, content: sha256(content, feed) })
}

/// Checks the signature of a blob of so many bytes with the key that it names.
///
/// # Errors
/// [`UpdateError::Signature`]
pub fn verify(len: u32, credentials: &Credentials<'_>) -> Result<(), UpdateError> {
    let signature = Signature::from_bytes(credentials.signature);
    VerifyingKey::from_bytes(credentials.key)
        .and_then(|key| key.verify_strict(&credentials.statement(len).to_bytes(), &signature))
        .map_err(|_| UpdateError::Signature)
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use ed25519_dalek::{Signer, SigningKey};
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
        let statement = credentials(&blob, &|| ()).unwrap().statement(blob.len() as u32);
        let signature = key.sign(&statement.to_bytes());
        blob[start..start + SIGNATURE_LEN]
            .copy_from_slice(&[key.verifying_key().as_bytes(), &signature.to_bytes()[..]].concat());
        blob
    }

    fn check(trust: impl Trust, blob: &[u8], floor: Option<u32>) -> Result<(), UpdateError> {
        trust.check(blob.len() as u32, credentials(blob, &|| ()).as_ref(), floor)
    }

    #[test]
    fn only_newer_models_of_the_owner_are_taken() {
        let [key, other] = [1, 2].map(|byte| SigningKey::from_bytes(&[byte; 32]));
        let owner = Owner(key.verifying_key().to_bytes());
        let blob = signed(&key, 5);
        assert_eq!(check(owner, &blob, None), Ok(()));
        assert_eq!(check(owner, &blob, Some(4)), Ok(()));
        for floor in [5, 6] {
            assert_eq!(check(owner, &blob, Some(floor)), Err(UpdateError::Number { found: 5, floor }));
        }
        assert_eq!(check(owner, &signed(&other, 5), None), Err(UpdateError::OtherKey));
        assert_eq!(check(owner, &unsigned(5)[..40], None), Err(UpdateError::Unsigned));
        assert_eq!(check(Anyone, &unsigned(5), Some(6)), Ok(()));
        let at_start = AtEachStart(owner);
        assert!(at_start.at_start() && !owner.at_start() && at_start.key() == owner.key());
        assert_eq!(check(at_start, &signed(&other, 5), None), Err(UpdateError::OtherKey));
    }

    #[test]
    fn the_watchdog_is_fed_while_content_is_hashed() {
        let feeds = core::cell::Cell::new(0);
        sha256([&[0; 2 * crate::PIECE + 1][..], &[], &[1; crate::PIECE]], &|| feeds.set(feeds.get() + 1));
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
            assert_eq!(check(owner, &changed, None).is_ok(), checksum, "byte {index}");
        }
        // The length is signed as well.
        let found = credentials(&blob, &|| ());
        assert_eq!(owner.check(blob.len() as u32 + 1, found.as_ref(), None), Err(UpdateError::Signature));
        // Another signer who names the owner's key.
        let mut forged = signed(&SigningKey::from_bytes(&[4; 32]), 5);
        let start = forged.len() - 5 - SIGNATURE_LEN;
        forged[start..start + 32].copy_from_slice(&owner.0);
        assert_eq!(check(owner, &forged, None), Err(UpdateError::Signature));
    }
}
