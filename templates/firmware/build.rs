//! Puts the blob and the memory map where the compiler and the linker find them.

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

/// What is built in.
const BLOB: &str = "{{blob}}";

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    for (from, to) in [(BLOB, "model.blob"), ("memory.x", "memory.x")] {
        println!("cargo::rerun-if-changed={from}");
        fs::copy(from, out.join(to)).map_err(|error| format!("cannot copy {from}: {error}"))?;
    }
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=--nmagic");
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}
