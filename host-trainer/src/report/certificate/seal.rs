//! The text of a certificate: its body as it was written, byte for byte, and what shows that nobody has changed it since.

use anyhow::{Context, Result, ensure};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use model_training::system::hexadecimal::{from_hexadecimal, hexadecimal};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::device::signing::fingerprint;

/// What stands before the body, between it and the seal, and at the end. All of it together is JSON, and no line of a body begins
/// like the middle.
const FRAME: [&str; 3] = ["{\"body\":\n", "\n,\"seal\":\n", "\n}\n"];
/// Stands before the body in what is signed: a key that signs models, too, never signs both by one signature.
const PURPOSE: &[u8] = b"host-trainer certificate\n";

/// What shows that a body is as it was written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seal {
    /// SHA-256 of the body, which shows damage.
    sha256: String,
    /// The public key and the signature, which show who wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    signed: Option<Signed>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    key: String,
    signature: String,
}

/// The text of a certificate with this body, which is JSON, signed where there is a key.
#[must_use]
pub fn seal(body: &str, key: Option<&SigningKey>) -> String {
    let signed = key.map(|key| Signed {
        key: hexadecimal(key.verifying_key().as_bytes()),
        signature: hexadecimal(&key.sign(&statement(body)).to_bytes()),
    });
    join(body, &Seal { sha256: hexadecimal(&Sha256::digest(body)), signed })
}

/// The body of a certificate, and the public key of whoever signed it, where somebody has.
///
/// # Errors
/// When the text is no certificate, or any byte of it is not as it was written.
pub fn unseal(text: &str) -> Result<(&str, Option<VerifyingKey>)> {
    let none = "this is no certificate: `certify` writes them";
    let inside = text.strip_prefix(FRAME[0]).and_then(|text| text.strip_suffix(FRAME[2])).context(none)?;
    let (body, line) = inside.rsplit_once(FRAME[1]).context(none)?;
    let seal: Seal = serde_json::from_str(line).context("the certificate's seal is damaged")?;
    ensure!(
        join(body, &seal) == text && seal.sha256 == hexadecimal(&Sha256::digest(body)),
        "the certificate was changed after it was written, or damaged"
    );
    let Some(Signed { key, signature }) = seal.signed else { return Ok((body, None)) };
    let key = from_hexadecimal(&key).and_then(|key| VerifyingKey::from_bytes(&key).ok());
    let (key, signature) =
        key.zip(from_hexadecimal(&signature)).context("the certificate's key or signature is damaged")?;
    key.verify_strict(&statement(body), &Signature::from_bytes(&signature)).ok().with_context(|| {
        format!(
            "the certificate's signature is not that of the key {}: it was changed after it was signed",
            fingerprint(key.as_bytes())
        )
    })?;
    Ok((body, Some(key)))
}

fn statement(body: &str) -> Vec<u8> {
    [PURPOSE, body.as_bytes()].concat()
}

fn join(body: &str, seal: &Seal) -> String {
    let seal = serde_json::to_string(seal).expect("texts can be written");
    [FRAME[0], body, FRAME[1], &seal, FRAME[2]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "{\n  \"a\": \"b\"\n}";

    #[test]
    fn a_sealed_body_is_json_and_comes_back_as_it_was() {
        let key = SigningKey::from_bytes(&[7; 32]);
        for key in [None, Some(&key)] {
            let text = seal(BODY, key);
            assert_eq!(unseal(&text).unwrap(), (BODY, key.map(SigningKey::verifying_key)));
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value["body"]["a"], "b");
        }
    }

    /// Whatever byte it is, in the body or around it, and whether or not it is signed.
    #[test]
    fn a_change_of_any_byte_is_refused() {
        let key = SigningKey::from_bytes(&[7; 32]);
        for key in [None, Some(&key)] {
            let text = seal(BODY, key);
            for index in 0..text.len() {
                for change in [1, 0x20] {
                    let mut bytes = text.clone().into_bytes();
                    bytes[index] ^= change;
                    let changed = String::from_utf8(bytes).unwrap();
                    assert!(unseal(&changed).is_err(), "byte {index} of {changed}");
                }
            }
            for end in 0..text.len() {
                assert!(unseal(&text[..end]).is_err(), "cut off after {end}");
            }
            assert!(unseal(&(text + " ")).is_err());
        }
    }

    #[test]
    fn whoever_changes_the_digest_too_needs_the_key() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let signed = seal(BODY, Some(&key));
        let other = BODY.replace('b', "c");
        let forged = signed
            .replace(BODY, &other)
            .replace(&hexadecimal(&Sha256::digest(BODY)), &hexadecimal(&Sha256::digest(&other)));
        let error = unseal(&forged).unwrap_err().to_string();
        assert!(error.contains("is not that of the key"), "{error}");
        // Taken off, the signature is missing, which whoever reads is told.
        assert_eq!(unseal(&seal(&other, None)).unwrap(), (other.as_str(), None));
    }
}
