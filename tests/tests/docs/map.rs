//! Code in the documentation: the map of the modules, and programs that pages show.

use std::collections::BTreeSet;
use std::fs;

use crate::tree::{files, read, relative, root};

/// Everything in a text that looks like the path of a Rust file.
fn rust_paths(text: &str) -> BTreeSet<&str> {
    let path = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    text.split(|c| !path(c)).filter(|word| word.ends_with(".rs") && *word != ".rs").collect()
}

/// The modules right below a crate's root, as paths from the repository's root: `x.rs` or `x/mod.rs`.
fn modules(source: &str) -> BTreeSet<String> {
    let mut modules = BTreeSet::new();
    let Ok(entries) = fs::read_dir(root().join(source)) else { return modules };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.join("mod.rs").exists() {
            modules.insert(relative(&path) + "/mod.rs");
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !["lib.rs", "tests.rs"].iter().any(|name| path.ends_with(name))
        {
            modules.insert(relative(&path));
        }
    }
    modules
}

#[test]
fn the_code_map_is_the_tree() {
    let map = read(&root().join("ARCHITECTURE.md"));
    let mentioned = rust_paths(&map);
    let gone: Vec<_> = mentioned.iter().filter(|path| !root().join(path).is_file()).collect();
    assert!(gone.is_empty(), "ARCHITECTURE.md mentions files that do not exist (paths count from the root): {gone:?}");

    let crates = [
        "no-std-infer/src",
        "no-std-device/src",
        "host-kernels/src",
        "host-kernels/src/x86",
        "model-compiler/src",
        "model-compiler/src/blob",
        "model-compiler/src/layout",
        "model-compiler/src/quantise",
        "model-training/src",
        "model-training/src/data",
        "model-training/src/measure",
        "model-training/src/run",
        "model-training/src/system",
        "model-training/src/training",
        "host-trainer/src",
        "host-trainer/src/device",
        "host-trainer/src/report",
        "firmware-example/boards/mps2/src",
        "firmware-example/boards/mps2/src/bin",
        "firmware-example/boards/openmv-h7/src",
        "firmware-example/boards/pico2/src",
        "firmware-example/own/src",
        "firmware-example/own/src/bin",
        "firmware-example/parts/src",
        "firmware-example/rig/src",
        "firmware-example/rig/src/bin",
        "qemu-plugin/src",
        "twin/src",
    ];
    let missing: Vec<_> = crates.iter().flat_map(|source| modules(source)).collect();
    assert!(missing.len() > 20, "the modules were not found: {missing:?}");
    let missing: Vec<_> = missing.into_iter().filter(|module| !mentioned.contains(module.as_str())).collect();
    assert!(missing.is_empty(), "the code map of ARCHITECTURE.md lacks a line for {missing:?}");
}

/// Blocks of Rust.
fn rust_blocks(markdown: &str) -> Vec<&str> {
    let blocks = markdown.split("```rust\n").skip(1);
    blocks.filter_map(|block| block.split_once("```")).map(|(block, _)| block).collect()
}

#[test]
fn programs_for_own_firmware_are_those_that_are_built_and_run() {
    let sources: Vec<String> =
        files(&root().join("firmware-example/own/src"), "rs").iter().map(|path| read(path)).collect();
    let page = read(&root().join("docs/own-firmware.md"));
    let shown = rust_blocks(&page);
    assert!(shown.len() >= 4, "the page shows programs");
    for block in shown {
        let built = sources.iter().any(|source| source.contains(block));
        assert!(built, "no file of firmware-example/own holds\n{block}");
    }
}

#[test]
fn blocks_of_rust_are_found() {
    let text = "```sh\nls\n```\n```rust\nlet a;\n```\nprose `rust`\n```rust\nlet b;\n```\n";
    assert_eq!(rust_blocks(text), ["let a;\n", "let b;\n"]);
}
