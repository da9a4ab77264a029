//! Who may depend on whom.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use crate::tree::{files, read, relative, root};

#[test]
fn dependencies_point_one_way() {
    for (manifest, above) in [
        (
            "no-std-infer/Cargo.toml",
            &["no-std-device", "model-compiler", "model-training", "host-trainer", "mps2", "parts", "rig", "burn"][..],
        ),
        (
            "no-std-device/Cargo.toml",
            &["model-compiler", "model-training", "host-trainer", "mps2", "parts", "rig", "burn"],
        ),
        (
            "host-kernels/Cargo.toml",
            &["no-std-device", "model-compiler", "model-training", "host-trainer", "mps2", "parts", "rig"],
        ),
        ("model-compiler/Cargo.toml", &["no-std-device", "model-training", "host-trainer", "mps2", "parts", "rig"]),
        ("model-training/Cargo.toml", &["no-std-device", "host-trainer", "mps2", "parts", "rig"]),
        ("host-trainer/Cargo.toml", &["burn", "mps2", "parts", "rig"]),
        ("firmware-example/boards/mps2/Cargo.toml", &["model-training", "host-trainer", "rig"]),
        ("firmware-example/boards/openmv-h7/Cargo.toml", &["model-training", "host-trainer", "rig", "mps2"]),
        ("firmware-example/boards/pico2/Cargo.toml", &["model-training", "host-trainer", "rig", "mps2"]),
        ("firmware-example/parts/Cargo.toml", &["model-training", "host-trainer", "rig", "mps2"]),
        ("firmware-example/own/Cargo.toml", &["model-training", "host-trainer", "rig"]),
        ("firmware-example/rig/Cargo.toml", &["model-training", "host-trainer"]),
    ] {
        let text = read(&root().join(manifest));
        let names: Vec<&str> = text.lines().filter_map(|line| line.split(['=', '.', ' ']).next()).collect();
        for name in above {
            assert!(
                !names.contains(name),
                "{manifest} depends on {name}; the arrows of ARCHITECTURE.md never point back"
            );
        }
    }
}

#[test]
fn the_compiler_needs_nothing_of_training_pictures_or_terminals() {
    let mut tree = Command::new(env!("CARGO"));
    tree.args([
        "tree",
        "--package=model-compiler",
        "--edges=normal,build,no-proc-macro",
        "--prefix=none",
        "--offline",
        "--locked",
    ]);
    let tree = tree.current_dir(root()).output().unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    let crates: BTreeSet<_> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(crates.contains("model-compiler") && crates.contains("no-std-infer"), "{tree}");
    let above = |name: &&str| {
        name.starts_with("burn")
            || ["anyhow", "clap", "host-trainer", "image", "indicatif", "model-training"].contains(name)
    };
    let found: Vec<_> = crates.into_iter().filter(above).collect();
    assert!(found.is_empty(), "model-compiler needs {found:?}, which whoever imports a model would compile as well");
}

/// A module's text without comments and tests.
fn code(path: &Path) -> String {
    let text = read(path);
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// What stands below a crate's root in each path of a text: `graph` of `crate::graph::Graph`.
fn uses(code: &str) -> BTreeSet<&str> {
    let name = |rest: &str| rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    code.split("crate::").skip(1).map(|rest| &rest[..name(rest)]).collect()
}

#[test]
fn each_module_uses_only_those_before_it() {
    let compiler = ["aligned", "graph", "quantise", "layout", "blob", "import", "export", "compile"];
    check_order("model-compiler/src", &compiler);
    let kernels = ["instructions", "patches", "image", "scaling", "conv", "depthwise", "add", "x86", "wasm", "isa"];
    check_order("host-kernels/src", &kernels);
    check_order("model-training/src", &["system", "config", "data", "measure", "training", "run"]);
    check_order("host-trainer/src", &["collect", "device", "report", "beside", "studio", "commands"]);
}

/// Most modules on a path of uses from a crate's root down.
const LEVELS: usize = 6;

/// Fails where a module at a crate's root uses one that comes after it, or a path of uses has more than [`LEVELS`] modules.
fn check_order(source: &str, order: &[&str]) {
    let mut uses_of: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in files(&root().join(source), "rs") {
        let name = relative(&path);
        let below = name.strip_prefix(source).unwrap().trim_start_matches('/');
        let tests = below.ends_with("tests.rs") || below.contains("/tests/") || below == "samples.rs";
        if tests || ["lib.rs", "main.rs", "memory.rs"].contains(&below) {
            continue;
        }
        let module = below.split(['/', '.']).next().unwrap();
        let place = order.iter().position(|other| *other == module);
        let place = place.unwrap_or_else(|| panic!("{name} has no place among {order:?}"));
        let code = code(&path);
        let after: Vec<_> = uses(&code).into_iter().filter(|used| !order[..=place].contains(used)).collect();
        assert!(after.is_empty(), "{name} uses {after:?}, which are not before {module} in {order:?}");
        let at_the_root = below == format!("{module}.rs") || below == format!("{module}/mod.rs");
        assert!(
            !at_the_root || !code.contains("super::"),
            "{name} reaches modules by `super::`, which hides their order"
        );
        uses_of.entry(module.to_owned()).or_default().extend(uses(&code).into_iter().map(str::to_owned));
    }
    let mut levels: BTreeMap<&str, usize> = BTreeMap::new();
    for &module in order {
        let below = uses_of[module].iter().filter_map(|used| levels.get(used.as_str()));
        let level = 1 + below.max().unwrap_or(&0);
        levels.insert(module, level);
        assert!(level <= LEVELS, "{module} stands on level {level} in {source}: {levels:?}");
    }
}

#[test]
fn uses_are_found() {
    let code = "use crate::graph::{Graph, Node};\nlet x = crate::blob::write(crate::layout);";
    assert_eq!(uses(code), BTreeSet::from(["blob", "graph", "layout"]));
    assert!(uses("use crate::{blob, graph};").contains(""));
}

#[test]
fn burn_stays_above_the_graph() {
    for path in files(&root().join("model-training/src"), "rs") {
        let name = relative(&path);
        let above = name.starts_with("model-training/src/training/");
        let uses = read(&path).lines().any(|line| !line.trim_start().starts_with("//") && line.contains("burn::"));
        assert!(above || !uses, "{name} uses burn; only training may, everything else starts from the graph");
    }
}
