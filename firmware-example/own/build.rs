//! The memory map is that of the package `mps2`, which puts it where the linker looks.

fn main() {
    build_support::link(&["link.x"]);
    println!("cargo::rerun-if-changed=build.rs");
}
