//! Puts the blob and the memory map where the compiler and the linker find them.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// The blob that is built in when `MODEL_BLOB` is not set.
const DEFAULT_BLOB: &str = "../../data/faces.blob";

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let blob = env::var_os("MODEL_BLOB").map_or_else(|| PathBuf::from(DEFAULT_BLOB), PathBuf::from);
    copy(&blob, &out.join("model.blob"))?;
    copy(Path::new("memory.x"), &out.join("memory.x"))?;
    println!("cargo::rustc-link-search={}", out.display());
    for argument in ["--nmagic", "-Tlink.x", "-Tdefmt.x"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    println!("cargo::rerun-if-env-changed=MODEL_BLOB");
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", from.display());
    fs::copy(from, to).map_err(|error| {
        format!("cannot copy {} ({error}); MODEL_BLOB must be the absolute path of a blob", from.display())
    })?;
    Ok(())
}
