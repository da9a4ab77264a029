//! What the build scripts of all firmware do: they put the blob, the key of its owner and the memory map where the compiler
//! and the linker find them.
#![forbid(unsafe_code)]

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use ed25519::pkcs8::PublicKeyBytes;

/// The blob that is built in when `MODEL_BLOB` is not set, from the firmware's workspace.
const DEFAULT_BLOB: &str = "../data/faces.blob";

/// Does all of it for a board: `memory` is its memory map, `scripts` are the linker's.
///
/// # Errors
/// When a file cannot be read or written.
pub fn prepare(memory: &str, scripts: &[&str]) -> Result<(), Box<dyn Error>> {
    model()?;
    self::memory(memory)?;
    link(scripts);
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}

/// Puts `model.blob` into `OUT_DIR`, and `model.key` where `MODEL_KEY` names a public key. `cfg(model_blob)` says that
/// `MODEL_BLOB` named the blob, `cfg(model_key)` that there is a key.
///
/// # Errors
/// When a file cannot be read or written.
pub fn model() -> Result<(), Box<dyn Error>> {
    let out = out_dir()?;
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let blob = env::var_os("MODEL_BLOB").map_or_else(|| workspace.join(DEFAULT_BLOB), PathBuf::from);
    copy(&blob, &out.join("model.blob"))?;
    println!("cargo::rerun-if-env-changed=MODEL_BLOB");
    println!("cargo::rerun-if-env-changed=MODEL_KEY");
    println!("cargo::rustc-check-cfg=cfg(model_blob, model_key)");
    if env::var_os("MODEL_BLOB").is_some() {
        println!("cargo::rustc-cfg=model_blob");
    }
    if let Some(path) = env::var_os("MODEL_KEY") {
        fs::write(out.join("model.key"), read_key(Path::new(&path))?)?;
        println!("cargo::rustc-cfg=model_key");
    }
    Ok(())
}

/// Puts the memory map where the linker finds it, also when it links a package that depends on this one.
///
/// # Errors
/// When a file cannot be read or written.
pub fn memory(path: &str) -> Result<(), Box<dyn Error>> {
    let out = out_dir()?;
    copy(Path::new(path), &out.join("memory.x"))?;
    println!("cargo::rustc-link-search={}", out.display());
    Ok(())
}

/// Names the linker's scripts for the package's programs.
pub fn link(scripts: &[&str]) {
    println!("cargo::rustc-link-arg-bins=--nmagic");
    for script in scripts {
        println!("cargo::rustc-link-arg-bins=-T{script}");
    }
}

fn out_dir() -> Result<PathBuf, Box<dyn Error>> {
    Ok(PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?))
}

fn copy(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", from.display());
    fs::copy(from, to).map_err(|error| {
        format!("cannot copy {} ({error}); MODEL_BLOB must be the absolute path of a blob", from.display())
    })?;
    Ok(())
}

/// Reads a public Ed25519 key: SPKI in PEM, as `keygen` and OpenSSL write it.
fn read_key(path: &Path) -> Result<[u8; 32], Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", path.display());
    let text = fs::read_to_string(path).map_err(|error| {
        format!("cannot read {} ({error}); MODEL_KEY must be the absolute path of a public key", path.display())
    })?;
    let key = text.parse::<PublicKeyBytes>().map_err(|error| {
        format!(
            "{} holds no public Ed25519 key in PEM ({error}); MODEL_KEY must name the `.pub` file that `keygen` writes, or \
             what `openssl pkey -in PRIVATE -pubout` prints",
            path.display()
        )
    })?;
    Ok(key.to_bytes())
}
