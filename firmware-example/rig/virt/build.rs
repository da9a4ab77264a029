//! Names the linker's script.

fn main() {
    println!("cargo::rustc-link-arg-bins=-T{}/link.x", env!("CARGO_MANIFEST_DIR"));
    println!("cargo::rerun-if-changed=link.x");
}
