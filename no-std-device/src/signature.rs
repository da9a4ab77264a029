//! Whose models the firmware takes.

use ed25519_dalek::{Digest, Sha512, Signature, VerifyingKey};
use no_std_infer::format::{SIGNATURE_CONTEXT, Signed};
use no_std_infer::link::UpdateError;

/// Decides whether a blob comes from someone who may update the device.
pub trait Trust {
    /// The ed25519 public key by which blobs must be signed, if there is one.
    fn key(&self) -> Option<[u8; 32]>;

    /// Checks where a blob comes from. `running` is the number of the model that runs, if it has one.
    ///
    /// # Errors
    /// [`UpdateError::Unsigned`], [`UpdateError::OtherKey`], [`UpdateError::Signature`], [`UpdateError::Number`].
    fn check(&self, blob: &[u8], running: Option<u32>) -> Result<(), UpdateError>;
}

/// Takes every blob: whoever can speak to the device may update it.
#[derive(Clone, Copy, Debug)]
pub struct Anyone;

impl Trust for Anyone {
    fn key(&self) -> Option<[u8; 32]> {
        None
    }

    fn check(&self, _: &[u8], _: Option<u32>) -> Result<(), UpdateError> {
        Ok(())
    }
}

/// Takes blobs that the owner of this ed25519 public key has signed, and of those only newer ones.
#[derive(Clone, Copy, Debug)]
pub struct Owner(pub [u8; 32]);

impl Trust for Owner {
    fn key(&self) -> Option<[u8; 32]> {
        Some(self.0)
    }

    fn check(&self, blob: &[u8], running: Option<u32>) -> Result<(), UpdateError> {
        let signed = Signed::find(blob).ok_or(UpdateError::Unsigned)?;
        if *signed.key != self.0 {
            return Err(UpdateError::OtherKey);
        }
        verify(&signed)?;
        match running {
            Some(running) if signed.number <= running => Err(UpdateError::Number { found: signed.number, running }),
            _ => Ok(()),
        }
    }
}

/// Checks the signature with the key that the blob names.
///
/// # Errors
/// [`UpdateError::Signature`]
pub fn verify(signed: &Signed<'_>) -> Result<(), UpdateError> {
    let mut digest = Sha512::new();
    signed.message.iter().for_each(|part| digest.update(part));
    let signature = Signature::from_bytes(signed.signature);
    VerifyingKey::from_bytes(signed.key)
        .and_then(|key| key.verify_prehashed_strict(digest, Some(SIGNATURE_CONTEXT), &signature))
        .map_err(|_| UpdateError::Signature)
}
