//! The command line as a whole: help, manual pages, settings.

use std::fs;

use clap::{Command, CommandFactory};
use host_trainer::commands::Cli;
use model_training::config::Preset;
use model_training::run::folder::load_config;
use tempfile::tempdir;

use crate::common::{Faces, call, refusal, text};

/// The commands below one, itself included, with their names joined by `-`.
fn all(command: &Command, name: &str) -> Vec<(String, Command)> {
    let below = command.get_subcommands().filter(|below| below.get_name() != "help");
    let below = below.flat_map(|below| all(below, &format!("{name}-{}", below.get_name())));
    [(name.to_owned(), command.clone())].into_iter().chain(below).collect()
}

#[test]
fn manual_pages_explain_every_option_of_every_command() {
    let folder = tempdir().expect("a temporary folder");
    let pages = folder.path().join("man1");
    call(&["man", text(&pages)]).expect("it writes pages");
    let mut root = Cli::command();
    root.build();
    let commands = all(&root, "host-trainer");
    assert!(commands.iter().any(|(name, _)| name == "host-trainer-dev-budget"));
    for (name, command) in commands {
        let page =
            fs::read_to_string(pages.join(format!("{name}.1"))).unwrap_or_else(|error| panic!("{name}: {error}"));
        // Roff writes a hyphen as `\-`.
        let page = page.replace("\\-", "-");
        assert!(page.contains(".TH ") && page.contains(".SH SYNOPSIS"), "{name} is no manual page");
        for option in command.get_arguments().filter_map(|argument| argument.get_long()) {
            assert!(page.contains(&format!("--{option}")), "{name} does not explain --{option}");
        }
    }
}

#[test]
fn settings_count_in_place_of_the_configuration_and_are_recorded() {
    let faces = Faces::draw();
    let (data, run) = (faces.path("faces"), faces.path("run"));
    let train = ["train", "--data", &data, "--config", &faces.config, "--out", &run];
    let error = refusal(&[&train[..], &["--epochs", "0"]].concat());
    assert!(error.starts_with("--epochs") && error.contains("must be 1 to"), "{error}");
    let settings = ["--input-color", "grey", "--batch-size", "16", "--seed", "7"];
    call(&[&train[..], &settings].concat()).expect("it trains");
    let recorded = load_config(&faces.dir.path().join("run/config.toml")).expect("a configuration");
    let changes = load_config(faces.config.as_ref()).expect("a configuration").changes(&recorded);
    let expected =
        ["input.color was \"rgb\" and is \"grey\"", "seed was 0 and is 7", "train.batch_size was 32 and is 16"];
    assert_eq!(changes, expected);
    let error = call(&["train", "--resume", &run, "--epochs", "2"]).expect_err("a run keeps its configuration");
    assert!(error.to_string().contains("--epochs"), "{error}");

    faces.cv("cv", &["--fold", "0", "--preset", "resnet8"]).expect("it trains a fold");
    let fold = load_config(&faces.dir.path().join("cv/fold-0/config.toml")).expect("a configuration");
    assert_eq!((fold.model.preset, fold.train.epochs), (Preset::Resnet8, 1));
    let error =
        call(&["cv", "--collect", &faces.path("cv"), "--seed", "3"]).expect_err("folds keep their configuration");
    assert!(error.to_string().contains("--seed"), "{error}");
}

#[test]
fn quiet_and_verbose_are_taken_before_and_after_the_command() {
    use clap::Parser;
    let verbosity = |line: &str| {
        let cli = Cli::try_parse_from(["host-trainer"].into_iter().chain(line.split(' ')));
        cli.map(|cli| cli.verbosity()).map_err(|error| error.to_string())
    };
    assert_eq!(verbosity("inspect model.blob"), Ok(0));
    assert_eq!(verbosity("-q inspect model.blob"), Ok(-1));
    assert_eq!(verbosity("inspect model.blob --quiet"), Ok(-1));
    assert_eq!(verbosity("dev faces --out there -vv"), Ok(2));
    assert!(verbosity("inspect model.blob -q -v").is_err());
}
