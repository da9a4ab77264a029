//! What is made of the code or of measured figures: tables, pages, a blob.

use std::fs;

use tests::results::{Results, update};

use crate::tree::{files, read, relative, root};

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
