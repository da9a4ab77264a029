//! The files of run folders against the page that explains them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::common::{Faces, call, pictures, text};

/// The names in the first column of the table below a heading; a `*` stands for anything.
fn names(page: &str, heading: &str) -> Vec<String> {
    let (_, below) = page.split_once(heading).unwrap_or_else(|| panic!("the page has no {heading}"));
    let section = below.split("\n## ").next().expect("a section");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    rows.map(|(name, _)| name.to_owned()).collect()
}

fn is_named(file: &str, name: &str) -> bool {
    match name.split_once('*') {
        Some((start, end)) => file.len() >= start.len() + end.len() && file.starts_with(start) && file.ends_with(end),
        None => file == name,
    }
}

/// Every file of the folder has one name, and every name a file.
fn check(folder: &Path, names: &[String]) {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let files: BTreeSet<String> = entries
        .map(|entry| {
            let mark = if entry.path().is_dir() { "/" } else { "" };
            format!("{}{mark}", entry.file_name().to_string_lossy())
        })
        .collect();
    for file in &files {
        let found = names.iter().filter(|name| is_named(file, name)).count();
        assert_eq!(found, 1, "{file} of {} stands {found} times among {names:?}", folder.display());
    }
    for name in names {
        assert!(files.iter().any(|file| is_named(file, name)), "{name} is not in {}: {files:?}", folder.display());
    }
}

#[test]
fn the_page_of_run_folders_names_their_files() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/run-folder.md");
    let page = fs::read_to_string(page).expect("the page");
    let faces = Faces::draw();
    let (data, run) = (faces.path("faces"), faces.path("run"));
    let config = fs::read_to_string(&faces.config).expect("readable") + "[quantize.aware]\nepochs = 1\n";
    fs::write(&faces.config, config).expect("written");
    call(&["train", "--data", &data, "--config", &faces.config, "--out", &run]).expect("it trains");
    check(Path::new(&run), &names(&page, "# What is in a run folder"));
    faces.cv("cv", &[]).expect("it cross-validates");
    check(Path::new(&faces.path("cv")), &names(&page, "## Folders of a cross-validation"));
    let (pictures, copies) = (pictures(), faces.path("copies"));
    call(&["data", "check", text(pictures.path()), "--out", &copies]).expect("it looks for copies");
    check(Path::new(&copies), &names(&page, "## Beside the pictures"));

    let header = |name: &str| {
        let text = String::from_utf8(faces.read(name)).expect("UTF-8");
        text.lines().next().expect("a header").to_owned()
    };
    let columns = [header("run/metrics.csv"), header("run/predictions.csv")].join(",");
    for column in columns.split(',') {
        let shown = column.split_once(':').map_or_else(|| column.to_owned(), |(engine, _)| format!("{engine}:CLASS"));
        assert!(page.contains(&format!("`{shown}`")), "the page has no column `{shown}`");
    }
    for name in ["run/dataset.json", "run/report.json"] {
        let fields: serde_json::Value = serde_json::from_slice(&faces.read(name)).expect("JSON");
        for field in fields.as_object().expect("an object").keys() {
            assert!(page.contains(&format!("`{field}`")), "the page has no field `{field}` of {name}");
        }
    }
}
