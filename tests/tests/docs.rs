//! The documentation against the tree: measured tables, links, the code map, and the invariants that text can check.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::results::{Results, update};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// Path relative to the root, with `/`.
fn relative(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap()
        .components()
        .map(|c| c.as_os_str().to_string_lossy())
        .collect::<Vec<_>>()
        .join("/")
}

/// Files with an extension below a folder, build outputs, runs and hidden folders left out.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && !["target", "runs"].contains(&name.as_str()) {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn measured_tables_are_those_of_results_json() {
    let results = Results::load(&root().join("results.json")).unwrap();
    let rewrite = std::env::var_os("UPDATE_DOCS").is_some();
    let mut wrong = Vec::new();
    for path in files(&root(), "md") {
        let text = read(&path);
        match update(&text, &results) {
            Ok(updated) if updated == text => {}
            Ok(updated) if rewrite => fs::write(&path, updated).unwrap(),
            Ok(updated) => {
                wrong.push(format!("{}: the block of `{}` is old", relative(&path), first_old(&text, &updated)))
            }
            Err(error) => wrong.push(format!("{}: {error}", relative(&path))),
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\nChange results.json, not the blocks; then `UPDATE_DOCS=1 cargo test -p tests --test docs` renders them again.",
        wrong.join("\n")
    );
}

#[test]
fn the_page_of_the_configuration_is_made_of_its_types() {
    let (path, page) = (root().join("docs/configuration.md"), host_trainer::config::reference::page());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    assert!(
        read(&path) == page,
        "docs/configuration.md is old: `UPDATE_DOCS=1 cargo test -p tests --test docs` writes it"
    );
}

/// Id of the block that holds the first line that differs.
fn first_old(text: &str, updated: &str) -> String {
    let mut id = String::new();
    let mut lines = text.lines();
    for new in updated.lines() {
        if lines.next() != Some(new) {
            break;
        }
        if let Some(found) = new.split("<!-- results:").nth(1) {
            id = found.trim_end_matches(" -->").to_owned();
        }
    }
    id
}

/// The text without code blocks and code spans.
fn prose(markdown: &str) -> String {
    let mut fenced = false;
    let mut prose = String::new();
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            prose.extend(line.split('`').step_by(2));
            prose.push('\n');
        }
    }
    prose
}

/// Targets of links and pictures.
fn targets(markdown: &str) -> Vec<String> {
    let prose = prose(markdown);
    let mut targets = Vec::new();
    for (open, close) in [("](", ')'), ("src=\"", '"'), ("href=\"", '"')] {
        let parts = prose.split(open).skip(1);
        targets.extend(parts.filter_map(|part| part.split_once(close)).map(|(target, _)| target.trim().to_owned()));
    }
    targets
}

/// The names that headings have in links: lower case, spaces as `-`, punctuation dropped.
fn anchors(markdown: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let mut anchors = BTreeSet::new();
    for line in markdown.lines() {
        fenced ^= line.trim_start().starts_with("```");
        if let (false, Some(heading)) =
            (fenced, line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')))
        {
            let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            anchors.insert(kept.collect::<String>().to_lowercase().replace(' ', "-"));
        }
    }
    anchors
}

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    for path in files(&root(), "md") {
        let text = read(&path);
        for target in targets(&text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let linked = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let there = linked.exists()
                && (anchor.is_empty()
                    || linked.extension().is_none_or(|extension| extension != "md")
                    || anchors(&read(&linked)).contains(anchor));
            if !there {
                broken.push(format!("{}: `{target}`", relative(&path)));
            }
        }
    }
    assert!(broken.is_empty(), "links without a file or heading:\n{}", broken.join("\n"));
}

#[test]
fn links_are_found() {
    let text = "# A `b` c, d!\n[x](one.md) `[y](not.md)` ![`p`](two.svg#z)\n```\n[z](not.md)\n# no\n```\n<img src=\"three.png\">";
    assert_eq!(targets(text), ["one.md", "two.svg#z", "three.png"]);
    assert_eq!(anchors(text), BTreeSet::from(["a-b-c-d".to_owned()]));
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
        "model-compiler/src",
        "model-compiler/src/blob",
        "model-compiler/src/layout",
        "model-compiler/src/quantise",
        "host-trainer/src",
        "host-trainer/src/data",
        "host-trainer/src/device",
        "host-trainer/src/measure",
        "host-trainer/src/report",
        "host-trainer/src/run",
        "host-trainer/src/system",
        "host-trainer/src/training",
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
    ];
    let missing: Vec<_> = crates.iter().flat_map(|source| modules(source)).collect();
    assert!(missing.len() > 20, "the modules were not found: {missing:?}");
    let missing: Vec<_> = missing.into_iter().filter(|module| !mentioned.contains(module.as_str())).collect();
    assert!(missing.is_empty(), "the code map of ARCHITECTURE.md lacks a line for {missing:?}");
}

#[test]
fn dependencies_point_one_way() {
    for (manifest, above) in [
        (
            "no-std-infer/Cargo.toml",
            &["no-std-device", "model-compiler", "host-trainer", "mps2", "parts", "rig", "burn"][..],
        ),
        ("no-std-device/Cargo.toml", &["model-compiler", "host-trainer", "mps2", "parts", "rig", "burn"]),
        ("model-compiler/Cargo.toml", &["no-std-device", "host-trainer", "mps2", "parts", "rig"]),
        ("host-trainer/Cargo.toml", &["mps2", "parts", "rig"]),
        ("firmware-example/boards/mps2/Cargo.toml", &["host-trainer", "rig"]),
        ("firmware-example/boards/openmv-h7/Cargo.toml", &["host-trainer", "rig", "mps2"]),
        ("firmware-example/boards/pico2/Cargo.toml", &["host-trainer", "rig", "mps2"]),
        ("firmware-example/parts/Cargo.toml", &["host-trainer", "rig", "mps2"]),
        ("firmware-example/own/Cargo.toml", &["host-trainer", "rig"]),
        ("firmware-example/rig/Cargo.toml", &["host-trainer"]),
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
    tree.args(["tree", "--package=model-compiler", "--edges=normal,build", "--prefix=none", "--offline", "--locked"]);
    let tree = tree.current_dir(root()).output().unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    let crates: BTreeSet<_> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(crates.contains("model-compiler") && crates.contains("no-std-infer"), "{tree}");
    let above = |name: &&str| {
        name.starts_with("burn") || ["anyhow", "clap", "host-trainer", "image", "indicatif"].contains(name)
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
    let compiler = ["aligned", "graph", "quantise", "layout", "blob", "import", "error", "compile", "build_script"];
    check_order("model-compiler/src", &compiler);
    let trainer = ["system", "config", "data", "measure", "training", "run", "report", "device", "beside", "commands"];
    check_order("host-trainer/src", &trainer);
}

/// Fails where a module at a crate's root uses one that comes after it.
fn check_order(source: &str, order: &[&str]) {
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
    for path in files(&root().join("host-trainer/src"), "rs") {
        let name = relative(&path);
        let above = name.starts_with("host-trainer/src/training/");
        let uses = read(&path).lines().any(|line| !line.trim_start().starts_with("//") && line.contains("burn::"));
        assert!(above || !uses, "{name} uses burn; only training may, everything else starts from the graph");
    }
}

#[test]
fn the_model_of_the_doc_examples_is_what_its_maker_makes() {
    let path = root().join("no-std-infer/data/tiny.blob");
    let made = tests::tiny::blob().unwrap();
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&path, &*made).unwrap();
    }
    assert!(
        fs::read(&path).unwrap() == *made,
        "{} is old; `UPDATE_EXPECTED=1 cargo test -p tests --test docs` writes the new one",
        relative(&path)
    );
}

/// A crate's public structs and enums by the text: each with the attributes and comments right above it.
#[derive(Default)]
struct PublicTypes {
    /// Of modules that are public.
    here: Vec<(String, String)>,
    /// Of modules that are not.
    elsewhere: Vec<(String, String)>,
    /// What public modules export from others.
    exports: String,
    /// All of the text.
    text: String,
}

impl PublicTypes {
    /// Adds a module's file and those of its modules.
    fn add(&mut self, path: &Path, public: bool) {
        let text = read(path);
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let folder = match path.file_stem().and_then(|stem| stem.to_str()) {
            Some("lib" | "mod") => path.parent().unwrap().to_owned(),
            _ => path.with_extension(""),
        };
        let (mut above, mut in_macro) = (String::new(), false);
        for untrimmed in text.lines() {
            let line = untrimmed.trim_start();
            let name = |start: &str| {
                line.strip_prefix(start)?.split(|c: char| !c.is_alphanumeric() && !"_$".contains(c)).next()
            };
            // What a macro makes of what it is given is judged by the attributes in its definition.
            in_macro = if line == "record! {" { true } else { in_macro && untrimmed != "}" };
            let judged = !line.contains(":ident") && !above.contains("cfg(doctest)");
            let declared = name("pub struct ").or(name("pub enum ")).filter(|_| judged);
            if let Some(name) = declared {
                let types = if public { &mut self.here } else { &mut self.elsewhere };
                types.push((name.to_owned(), if in_macro { "record!".to_owned() } else { above.clone() }));
            }
            let module = name("mod ").or(name("pub mod ")).or(name("pub(crate) mod ")).filter(|_| line.ends_with(';'));
            let files = module.map(|name| [folder.join(format!("{name}.rs")), folder.join(name).join("mod.rs")]);
            for file in files.into_iter().flatten().filter(|file| file.exists() && !above.contains("cfg(test)")) {
                self.add(&file, public && line.starts_with("pub mod ") && !above.contains("doc(hidden)"));
            }
            if line.starts_with("#[") || line.starts_with("//") {
                above.push_str(line);
            } else {
                above.clear();
            }
        }
        if public {
            let exports = text.split("pub use ").skip(1).filter_map(|rest| rest.split(';').next());
            self.exports.extend(exports.flat_map(|list| [" ", list]));
        }
        self.text.push_str(text);
    }

    fn all(&self) -> impl Iterator<Item = &(String, String)> {
        let exported: BTreeSet<_> = self.exports.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        self.here.iter().chain(self.elsewhere.iter().filter(move |(name, _)| exported.contains(name.as_str())))
    }
}

#[test]
fn defmt_formats_every_public_type_of_the_device_crates() {
    for (name, known) in [("no-std-infer", "OpError"), ("no-std-device", "Failure")] {
        let mut types = PublicTypes::default();
        types.add(&root().join(name).join("src/lib.rs"), true);
        assert!(types.all().any(|(name, _)| name == known), "{name}: {known} was not found");
        let by_hand = |name: &str| {
            let start = format!("defmt::Format for {name}");
            types.text.contains(&format!("{start} {{")) || types.text.contains(&format!("{start}<"))
        };
        let attribute = "cfg_attr(feature = \"defmt\", derive(defmt::Format))";
        let derived = |above: &str| above == "record!" || above.contains(attribute);
        let formatted: BTreeSet<_> = types.all().filter(|(_, above)| derived(above)).map(|(name, _)| name).collect();
        let names = types.all().map(|(name, _)| name);
        let missing: Vec<_> = names.filter(|name| !formatted.contains(name) && !by_hand(name)).collect();
        assert!(missing.is_empty(), "{name}: no `Format` with the feature `defmt` for {missing:?}");
    }
}
