//! What is made of the code or of measured figures: tables, pages, a blob.

use std::fs;

use clap_markdown::{MarkdownOptions, help_markdown_custom};
use host_trainer::commands::Cli;
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

/// A page that is made of the code is what the code makes now.
fn check_page(name: &str, page: &str) {
    let path = root().join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, page).unwrap();
    }
    assert!(read(&path) == page, "{name} is old: `UPDATE_DOCS=1 cargo test -p tests --test docs` writes it");
}

#[test]
fn the_page_of_the_configuration_is_made_of_its_types() {
    check_page("docs/configuration.md", &model_training::config::reference::page());
}

/// What stands above the commands in place of the generator's own words.
const COMMANDS: &str = "# Commands

Everything that the program takes, as `--help` says it; `cargo run -- COMMAND` in a checkout is `host-trainer COMMAND` of an
installed program. `cargo run -- man FOLDER` writes the same as manual pages, `cargo run -- completions SHELL` what a shell
needs. Exit codes are 0, 1 after an error, and 2 where a bound that was asked for is missed. This page is made of the code:
`UPDATE_DOCS=1 cargo test -p tests --test docs` writes it.

";

#[test]
fn the_page_of_the_commands_is_made_of_them() {
    let options = MarkdownOptions::new().show_footer(false).show_aliases(false);
    let page = help_markdown_custom::<Cli>(&options);
    let (_, commands) = page.split_once("**Command Overview:**\n\n").expect("the generator's own words end there");
    let commands: String = commands.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
    check_page("docs/commands.md", &format!("{COMMANDS}{}\n", commands.trim_end()));
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
