//! Signs blobs, so that firmware with the public key takes no others, see `no_std_infer::format`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use ed25519_dalek::{Digest, Sha512, Signature, SigningKey, VerifyingKey};
use model_compiler::aligned::Aligned;
use model_compiler::blob::{repair_crc, with_sections};
use no_std_infer::format::{SIGNATURE_CONTEXT, SIGNATURE_LEN, Signed, section};
use rand::TryRng;
use rand::rngs::SysRng;
use serde::Serialize;
use sha2::Sha256;

use crate::system::atomic;
use crate::system::hexadecimal::hexadecimal;

/// Length of a key in bytes.
const KEY_LEN: usize = 32;
/// Bytes of SHA-256 that stand for a public key where people compare.
const FINGERPRINT_LEN: usize = 16;

/// Makes a key from the system's random numbers. Writes the private one to `path`, readable by its owner alone, and the
/// public one beside it with `.pub` after its name; each is a line of 64 hexadecimal digits. Gives the public key's path
/// and fingerprint.
///
/// # Errors
/// When a file cannot be written, or exists and `replace` is false.
pub fn generate(path: &Path, replace: bool) -> Result<(PathBuf, String)> {
    let mut seed = [0; KEY_LEN];
    SysRng.try_fill_bytes(&mut seed).context("the system gives no random numbers")?;
    let key = SigningKey::from_bytes(&seed);
    let public = PathBuf::from(format!("{}.pub", path.display()));
    for file in [path, &public] {
        let taken = file.symlink_metadata().is_ok() && !replace;
        ensure!(!taken, "{} exists: what it signed would be lost; --force replaces it", file.display());
    }
    atomic::write_private(path, format!("{}\n", hexadecimal(&seed)).as_bytes(), replace)?;
    atomic::write(&public, format!("{}\n", hexadecimal(key.verifying_key().as_bytes())).as_bytes())?;
    Ok((public, fingerprint(key.verifying_key().as_bytes())))
}

/// Reads a private key.
///
/// # Errors
/// When the file cannot be read, others may read it too, or it holds no private key.
pub fn read_key(path: &Path) -> Result<SigningKey> {
    let shown = path.display();
    // Both files look alike; whoever signs with the public key signs with a secret that all know.
    let public = path.extension().is_some_and(|extension| extension == "pub");
    ensure!(!public, "{shown} is the public key: name the private one, without `.pub`");
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the private key {shown}"))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = path.metadata()?.permissions().mode();
        ensure!(mode & 0o077 == 0, "others may read the private key {shown}: chmod 600 {shown}");
    }
    let seed = key_bytes(&text);
    let seed = seed.with_context(|| format!("{shown} is no private key: it must hold 64 hexadecimal digits"))?;
    let key = SigningKey::from_bytes(&seed);
    let public = PathBuf::from(format!("{shown}.pub"));
    if let Some(beside) = std::fs::read_to_string(&public).ok().and_then(|text| key_bytes(&text)) {
        ensure!(beside == key.verifying_key().to_bytes(), "{} is not the public key of {shown}", public.display());
    }
    Ok(key)
}

/// The same blob with this number, signed; a number and a signature that it has are replaced.
///
/// # Errors
/// Those of `Model::parse`.
pub fn sign(blob: &[u8], key: &SigningKey, number: u32) -> Result<Aligned<u8>> {
    let mut place = key.verifying_key().to_bytes().to_vec();
    place.resize(SIGNATURE_LEN, 0);
    let sections = [(section::NUMBER, number.to_le_bytes().to_vec()), (section::SIGNATURE, place)];
    let mut blob = with_sections(blob, &[], sections.into())?;
    let signed = Signed::find(&blob).context("the signature's section has gone")?;
    let signature = key.sign_prehashed(digest(&signed), Some(SIGNATURE_CONTEXT))?.to_bytes();
    let end = blob.len() - signed.message[2].len();
    blob[end - signature.len()..end].copy_from_slice(&signature);
    repair_crc(&mut blob);
    Ok(blob)
}

/// What a blob says about who signed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
        let signed = Signed::find(blob)?;
        Some(Self { number: signed.number, key: fingerprint(signed.key), valid: is_valid(&signed) })
    }
}

/// Whether the signature is that of the key that the blob names.
#[must_use]
pub fn is_valid(signed: &Signed<'_>) -> bool {
    let signature = Signature::from_bytes(signed.signature);
    let key = VerifyingKey::from_bytes(signed.key);
    key.is_ok_and(|key| key.verify_prehashed_strict(digest(signed), Some(SIGNATURE_CONTEXT), &signature).is_ok())
}

fn digest(signed: &Signed<'_>) -> Sha512 {
    signed.message.iter().fold(Sha512::new(), |digest, part| digest.chain_update(part))
}

/// What tells public keys apart, for people: the first half of the SHA-256 in hexadecimal.
#[must_use]
pub fn fingerprint(key: &[u8; KEY_LEN]) -> String {
    hexadecimal(&<Sha256 as sha2::Digest>::digest(key)[..FINGERPRINT_LEN])
}

fn key_bytes(text: &str) -> Option<[u8; KEY_LEN]> {
    let (pairs, []) = text.trim().as_bytes().as_chunks::<2>() else { return None };
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let digits = pairs.iter().flatten().all(u8::is_ascii_hexdigit);
    pairs.iter().map(byte).collect::<Option<Vec<u8>>>().filter(|_| digits)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use model_compiler::blob::with_calibration;
    use no_std_infer::Model;
    use no_std_infer::format::{Calibration, number};

    use super::*;
    use crate::measure::evaluate::read_blob;

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
        let outside = Signed::find(&signed).unwrap().message[2].len();
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

    #[test]
    fn keys_are_written_once_read_back_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("owner.key");
        let (public, shown) = generate(&path, false).unwrap();
        let key = read_key(&path).unwrap();
        assert_eq!(fingerprint(key.verifying_key().as_bytes()), shown);
        let text = std::fs::read_to_string(&public).unwrap();
        assert_eq!(key_bytes(&text), Some(key.verifying_key().to_bytes()));
        let error = format!("{:#}", generate(&path, false).unwrap_err());
        assert!(error.contains("--force"), "{error}");
        assert_eq!(read_key(&path).unwrap().to_bytes(), key.to_bytes());
        let error = format!("{:#}", read_key(&public).unwrap_err());
        assert!(error.contains("public key"), "{error}");
        generate(&path, true).unwrap();
        assert_ne!(read_key(&path).unwrap().to_bytes(), key.to_bytes());
        std::fs::write(&path, "no key").unwrap();
        assert!(read_key(&path).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_private_key_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("owner.key");
        generate(&path, false).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        let error = format!("{:#}", read_key(&path).unwrap_err());
        assert!(error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn only_64_hexadecimal_digits_are_a_key() {
        assert_eq!(key_bytes(&format!(" {}\n", "0f".repeat(32))), Some([15; KEY_LEN]));
        for text in ["", &"0".repeat(63), &"+1".repeat(32), &"0g".repeat(32), &"00".repeat(33)] {
            assert_eq!(key_bytes(text), None, "{text}");
        }
    }
}
