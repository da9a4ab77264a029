//! Puts the blob and the memory map where the compiler and the linker find them.

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

use model_compiler::{Tflite, build_script};

/// What is built in: a blob, or an int8 TensorFlow Lite model, of which one is made here.
const MODEL: &str = "{{model}}";
/// Names of a TensorFlow Lite model's classes, in the order of its outputs; a blob holds its own.
const LABELS: &[&str] = &[];

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let model = build_script::read(MODEL)?;
    if MODEL.ends_with(".tflite") {
        Tflite::read(&model)?.labels(LABELS.iter().copied()).compile()?.write_to_out_dir("model.blob")?;
    } else {
        fs::write(out.join("model.blob"), model)?;
    }
    fs::write(out.join("memory.x"), build_script::read("memory.x")?)?;
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=--nmagic");
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}
