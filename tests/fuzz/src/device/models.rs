//! The models that hosts bring: good ones, and those that a device must refuse.

use std::sync::OnceLock;

use ed25519_dalek::{Signer, SigningKey};
use no_std_device::credentials;
use no_std_device::link::{Credentials, Identity};
use no_std_infer::format::{SIGNATURE_LEN, Signed, section};
use no_std_infer::include_model;

use crate::engine::{Parts, repair};

/// The model that is built in.
pub static FACTORY: &[u8] = include_model!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../no-std-infer/data/tiny.blob"));
/// Numbers of the owner's good models, from 1 on.
const NUMBERS: u32 = 4;

/// What may be brought.
pub struct Brought {
    /// Its bytes.
    pub blob: &'static [u8],
    /// What tells it from others.
    pub identity: Identity,
    /// What it says about who signed it.
    pub credentials: Option<Credentials<'static>>,
    /// Whether it works.
    pub good: bool,
    /// Its number, where the owner has signed it.
    pub number: Option<u32>,
}

impl Brought {
    /// The checksum in the header.
    #[must_use]
    pub fn crc(&self) -> u32 {
        crc(self.blob)
    }

    /// True where a device of this kind may run it.
    #[must_use]
    pub fn may_run(&self, signed_only: bool) -> bool {
        self.good && (!signed_only || self.number.is_some())
    }
}

/// The checksum in a blob's header.
#[must_use]
pub fn crc(blob: &[u8]) -> u32 {
    blob[12..16].iter().rev().fold(0, |crc, &byte| crc << 8 | u32::from(byte))
}

/// The owner's public key.
#[must_use]
pub fn owner() -> [u8; 32] {
    key(1).verifying_key().to_bytes()
}

fn key(byte: u8) -> SigningKey {
    SigningKey::from_bytes(&[byte; 32])
}

/// All of them, made once.
pub fn all() -> &'static [Brought] {
    static ALL: OnceLock<Vec<Brought>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut all = Vec::new();
        let mut add = |blob: Vec<u8>, good, number| {
            let blob = &*blob.leak();
            let (identity, credentials) = (Identity::of(blob, &|| ()), credentials(blob, &|| ()));
            all.push(Brought { blob, identity, credentials, good, number });
        };
        for number in 1..=NUMBERS {
            let name = format!("new{number}");
            add(unsigned(&name), true, None);
            add(signed(&name, key(1), number), true, Some(number));
        }
        add(signed("alien", key(2), NUMBERS + 1), true, None);
        let mut forged = signed("forged", key(2), NUMBERS + 1);
        let at = forged.windows(32).position(|bytes| bytes == key(2).verifying_key().as_bytes());
        forged[at.expect("the key is in the blob")..][..32].copy_from_slice(&owner());
        repair(&mut forged);
        add(forged, true, None);
        // It gives other bytes than its golden vector.
        let (mut parts, mut wrong) = (parts("wrong"), Vec::new());
        parts.weights[0] ^= 0x40;
        parts.write(&mut wrong);
        add(wrong.clone(), false, None);
        wrong[20] ^= 1;
        add(wrong, false, None);
        all
    })
}

/// The built-in model under another name.
fn unsigned(name: &str) -> Vec<u8> {
    let mut blob = Vec::new();
    parts(name).write(&mut blob);
    blob
}

fn parts(name: &str) -> Parts<'_> {
    let mut parts = Parts::of(FACTORY).expect("the built-in model is one");
    parts.info.name = name;
    parts
}

/// The same with a number, signed.
fn signed(name: &str, key: SigningKey, number: u32) -> Vec<u8> {
    let mut place = [0; SIGNATURE_LEN];
    place[..32].copy_from_slice(key.verifying_key().as_bytes());
    let number = number.to_le_bytes();
    let (mut parts, mut blob) = (parts(name), Vec::new());
    parts.others.extend([(section::NUMBER, &number[..]), (section::SIGNATURE, &place)]);
    parts.write(&mut blob);
    let statement = credentials(&blob, &|| ()).map(|credentials| credentials.statement(blob.len() as u32));
    let signature = key.sign(&statement.expect("it has a number and a place for a signature").to_bytes());
    let end = blob.len() - Signed::find(&blob).map_or(0, |signed| signed.content[2].len());
    blob[end - 64..end].copy_from_slice(&signature.to_bytes());
    repair(&mut blob);
    blob
}
