//! Puts the sources of firmware, and of what counts its cycles, into the program: so it builds firmware outside a checkout.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Files and folders, from the repository's root. Folders that cargo builds in are not among them.
const SOURCES: [&str; 18] = [
    "Cargo.toml",
    "data/faces.blob",
    "firmware-example/.cargo",
    "firmware-example/Cargo.lock",
    "firmware-example/Cargo.toml",
    "firmware-example/boards",
    "firmware-example/build-support",
    "firmware-example/own",
    "firmware-example/parts",
    "firmware-example/rig",
    "no-std-device/Cargo.toml",
    "no-std-device/src",
    "no-std-infer/Cargo.toml",
    "no-std-infer/build.rs",
    "no-std-infer/src",
    "qemu-plugin/Cargo.lock",
    "qemu-plugin/Cargo.toml",
    "qemu-plugin/src",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("..").canonicalize()?;
    let mut files = Vec::new();
    for source in SOURCES {
        let path = root.join(source);
        println!("cargo::rerun-if-changed={}", path.display());
        collect(&path, &mut files).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    }
    files.sort();
    let mut list = String::from("[\n");
    for path in files {
        let name = path.strip_prefix(&root)?.to_str().ok_or("a source's name is no UTF-8")?.replace('\\', "/");
        list += &format!("    ({name:?}, include_bytes!({path:?})),\n");
    }
    fs::write(Path::new(&env::var("OUT_DIR")?).join("sources.rs"), list + "]\n")?;
    Ok(())
}

/// All files at and below a path.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return path.metadata().map(|_| ());
    }
    fs::read_dir(path)?.try_for_each(|entry| collect(&entry?.path(), files))
}
