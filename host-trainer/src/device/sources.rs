//! Where the sources of firmware lie: in the checkout, or in the program itself.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result};
use etcetera::{BaseStrategy, choose_base_strategy};
use model_training::system::atomic;
use model_training::system::hexadecimal::hexadecimal;
use sha2::{Digest, Sha256};

/// The repository that this program was compiled in.
const CHECKOUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// Names of the files, from the repository's root, and what was in them when this program was compiled.
const FILES: &[(&str, &[u8])] = &include!(concat!(env!("OUT_DIR"), "/sources.rs"));
/// Bytes of SHA-256 that name the folder of these files.
const DIGEST_LEN: usize = 8;

/// SHA-256 of the engine's sources, those of `no-std-infer`, that this program was compiled with: over each file by name, the name,
/// a zero, the length in decimal digits, a zero, and the bytes.
#[must_use]
pub fn engine_digest() -> [u8; 32] {
    digest(FILES.iter().filter(|(name, _)| name.starts_with("no-std-infer/")))
}

fn digest<'f>(files: impl IntoIterator<Item = &'f (&'f str, &'f [u8])>) -> [u8; 32] {
    let mut digest = Sha256::new();
    for (name, bytes) in files {
        digest.update(format!("{name}\0{}\0", bytes.len()));
        digest.update(bytes);
    }
    digest.finalize().into()
}

/// The folder of the firmware's sources: what `FIRMWARE_DIR` names; for a program that lies in its checkout the checkout's; for an
/// installed one what it holds, unpacked into the user's folder for caches.
///
/// # Errors
/// When `FIRMWARE_DIR` names no folder, or the sources cannot be unpacked.
pub fn folder() -> Result<PathBuf> {
    find("FIRMWARE_DIR", "firmware-example")
}

/// The folder of some sources: what the variable names; for a program that lies in its checkout, as cargo leaves it, the
/// checkout's; for an installed one what it holds, unpacked into the user's folder for caches.
///
/// # Errors
/// When the variable names no folder, or the sources cannot be unpacked.
pub(super) fn find(variable: &str, name: &str) -> Result<PathBuf> {
    if let Some(folder) = env::var_os(variable).map(PathBuf::from) {
        return folder
            .canonicalize()
            .with_context(|| format!("{variable} names {}, which is not there", folder.display()));
    }
    if let Some(checkout) = checkout() {
        return Ok(checkout.join(name));
    }
    let remedy = || {
        format!(
            "cannot unpack the firmware's sources: name a folder for them in XDG_CACHE_HOME, or theirs in {variable}"
        )
    };
    let caches = choose_base_strategy().with_context(remedy)?.cache_dir();
    Ok(unpack(&caches.join("host-trainer")).with_context(remedy)?.join(name))
}

/// The checkout, where this program lies in it.
fn checkout() -> Option<PathBuf> {
    let checkout = Path::new(CHECKOUT).canonicalize().ok()?;
    env::current_exe().ok()?.canonicalize().ok()?.starts_with(&checkout).then_some(checkout)
}

/// Puts the sources that the program holds into a folder of their own in `caches`; gives it. Files that are there as they must
/// be stay, so that cargo builds nothing again.
fn unpack(caches: &Path) -> Result<PathBuf> {
    let folder = caches.join(hexadecimal(&digest(FILES)[..DIGEST_LEN]));
    if !folder.exists() {
        tracing::info!("unpacking the firmware's sources into {}", folder.display());
    }
    for (name, bytes) in FILES {
        let path = folder.join(name);
        if fs::read(&path).is_ok_and(|found| found == *bytes) {
            continue;
        }
        let parent = path.parent().context("a file lies in a folder")?;
        fs::create_dir_all(parent).with_context(|| format!("cannot create the folder {}", parent.display()))?;
        atomic::write(&path, bytes)?;
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unpacked_is_whole_and_repaired() {
        let caches = tempfile::tempdir().unwrap();
        let folder = unpack(caches.path()).unwrap();
        let shared = Path::new(CHECKOUT);
        for name in ["firmware-example/boards/mps2/src/bin/link.rs", "no-std-infer/Cargo.toml", "data/faces.blob"] {
            assert_eq!(fs::read(folder.join(name)).unwrap(), fs::read(shared.join(name)).unwrap(), "{name}");
        }
        let [damaged, kept] = ["Cargo.toml", "firmware-example/Cargo.lock"].map(|name| folder.join(name));
        let before = kept.metadata().unwrap().modified().unwrap();
        fs::write(&damaged, "half a fi").unwrap();
        assert_eq!(unpack(caches.path()).unwrap(), folder);
        assert_eq!(fs::read(&damaged).unwrap(), fs::read(shared.join("Cargo.toml")).unwrap());
        assert_eq!(kept.metadata().unwrap().modified().unwrap(), before);
    }

    #[test]
    fn the_engine_s_digest_is_of_its_sources_alone() {
        let engine: Vec<_> = FILES.iter().filter(|(name, _)| name.starts_with("no-std-infer/")).collect();
        assert!(engine.iter().any(|(name, _)| *name == "no-std-infer/src/fixed.rs"));
        assert_eq!(engine_digest(), digest(engine.iter().copied()));
        assert_ne!(engine_digest(), digest(engine.iter().skip(1).copied()));
        assert_ne!(engine_digest(), digest(FILES));
    }

    #[test]
    fn nothing_that_cargo_builds_is_held() {
        assert!(FILES.iter().all(|(name, _)| !name.split('/').any(|part| part == "target")));
    }
}
