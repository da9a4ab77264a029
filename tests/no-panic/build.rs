//! Keeps the functions of the binary that firmware calls, and nothing that they do not reach.
use std::fs;

fn main() {
    println!("cargo::rerun-if-changed=src");
    println!("cargo::rustc-link-arg=--gc-sections");
    println!("cargo::rustc-link-arg=--entry=parse");
    for file in ["src/device.rs", "src/engine.rs"] {
        let source = fs::read_to_string(file).expect("the sources are there");
        for function in source.lines().filter_map(|line| line.strip_prefix("extern \"C\" fn ")) {
            let (name, _) = function.split_once('(').expect("a function has arguments");
            println!("cargo::rustc-link-arg=--undefined={name}");
            // Another name for it: the linker fails where there is no such function.
            println!("cargo::rustc-link-arg=--defsym=linked_{name}={name}");
        }
    }
}
