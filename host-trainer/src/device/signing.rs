//! Signs blobs, so that firmware with the public key takes no others, see `no_std_infer::format`.

use anyhow::{Context, Result};
use ed25519_dalek::{Signer as _, SigningKey};
use model_compiler::aligned::Aligned;
use model_compiler::blob::{repair_crc, with_sections};
use model_training::system::hexadecimal::hexadecimal;
use no_std_device::link::Credentials;
use no_std_device::{credentials, verify};
use no_std_infer::format::{SIGNATURE_LEN, Signed, section};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Length of a key in bytes.
const KEY_LEN: usize = 32;
/// Bytes of SHA-256 that stand for a public key where people compare.
const FINGERPRINT_LEN: usize = 16;

/// The same blob with this number, signed; a number and a signature that it has are replaced.
///
/// # Errors
/// Those of `Model::parse`.
pub fn sign(blob: &[u8], key: &SigningKey, number: u32) -> Result<Aligned<u8>> {
    let mut place = key.verifying_key().to_bytes().to_vec();
    place.resize(SIGNATURE_LEN, 0);
    let sections = [(section::NUMBER, number.to_le_bytes().to_vec()), (section::SIGNATURE, place)];
    let mut blob = with_sections(blob, &[], sections.into())?;
    let missing = "the signature's section has gone";
    let statement = credentials(&blob, &|| ()).context(missing)?.statement(blob.len() as u32);
    let signature = key.sign(&statement.to_bytes()).to_bytes();
    let end = blob.len() - Signed::find(&blob).context(missing)?.content[2].len();
    blob[end - signature.len()..end].copy_from_slice(&signature);
    repair_crc(&mut blob);
    Ok(blob)
}

/// What a blob says about who signed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signer {
    /// The model's number.
    pub number: u32,
    /// Fingerprint of the key that the blob names.
    pub key: String,
    /// Whether the signature is that key's.
    pub valid: bool,
}

impl Signer {
    /// `None` of a blob that is not signed.
    #[must_use]
    pub fn of(blob: &[u8]) -> Option<Self> {
        let signed = credentials(blob, &|| ())?;
        Some(Self { number: signed.number, key: fingerprint(signed.key), valid: is_valid(blob.len(), &signed) })
    }
}

/// Whether the signature of a blob of so many bytes is that of the key that it names.
#[must_use]
pub fn is_valid(len: usize, credentials: &Credentials<'_>) -> bool {
    u32::try_from(len).is_ok_and(|len| verify(len, credentials).is_ok())
}

/// What tells public keys apart, for people: the first half of the SHA-256 in hexadecimal.
#[must_use]
pub fn fingerprint(key: &[u8; KEY_LEN]) -> String {
    hexadecimal(&Sha256::digest(key)[..FINGERPRINT_LEN])
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use model_compiler::blob::with_calibration;
    use model_training::measure::evaluate::read_blob;
    use no_std_infer::Model;
    use no_std_infer::format::{Calibration, number};

    use super::*;

    fn faces() -> Aligned<u8> {
        read_blob(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../data/faces.blob"))).unwrap()
    }

    #[test]
    fn a_signed_blob_runs_as_before_and_says_who_signed_it() {
        let key = SigningKey::from_bytes(&[7; KEY_LEN]);
        let plain = faces();
        let signed = sign(&plain, &key, 3).unwrap();
        assert_eq!(Model::parse(&signed).unwrap().weights(), Model::parse(&plain).unwrap().weights());
        let expected = Signer { number: 3, key: fingerprint(key.verifying_key().as_bytes()), valid: true };
        assert_eq!(Signer::of(&signed), Some(expected.clone()));
        assert_eq!((number(&signed), Signer::of(&plain)), (Some(3), None));
        let again = sign(&signed, &key, 4).unwrap();
        assert_eq!((Signer::of(&again), again.len()), (Some(Signer { number: 4, ..expected }), signed.len()));
    }

    #[test]
    fn every_byte_but_the_checksum_is_signed() {
        let signed = sign(&faces(), &SigningKey::from_bytes(&[7; KEY_LEN]), 3).unwrap();
        let outside = Signed::find(&signed).unwrap().content[2].len();
        let section = signed.len() - outside - SIGNATURE_LEN..signed.len() - outside;
        for index in (0..400).chain(section).chain((400..signed.len()).step_by(997)) {
            let mut changed = signed.clone();
            changed[index] ^= 1;
            let valid = Signer::of(&changed).is_some_and(|signer| signer.valid);
            assert_eq!(valid, (12..16).contains(&index), "byte {index}");
        }
    }

    #[test]
    fn what_is_changed_afterwards_is_no_longer_signed() {
        let signed = sign(&faces(), &SigningKey::from_bytes(&[7; KEY_LEN]), 3).unwrap();
        let calibration = Calibration { threshold: 9, images: 10, coverage: 0.5, accuracy: 0.5 };
        assert_eq!(Signer::of(&with_calibration(&signed, &calibration).unwrap()), None);
    }
}
