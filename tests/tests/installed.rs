//! The program as a process of its own: outside the checkout, as `cargo install` leaves it, it builds firmware from the sources
//! that it holds; what it tells where no terminal is; and how it ends.
//!
//! This test is that program as well, where it was started to be it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, ExitCode, Output, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use anyhow::{Context, Result, ensure};
use clap::{CommandFactory, Parser};
use host_trainer::commands::{Cli, run};
use host_trainer::device::{build_app, identity, missing};
use libtest_mimic::{Arguments, Trial};
use model_compiler::import::tflite::tflite::{BuiltinOperator, Padding};
use model_training::config::Config;
use model_training::data::faces::CLASSES;
use model_training::system::hexadecimal::hexadecimal;
use model_training::system::{interrupt, log};
use serde_json::Value;
use tests::needing::trial;
use tests::processes::{IS_PROGRAM, call, emulators, signal};
use tests::tflite::{Maker, convolution};

const BLOB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/faces.blob");
/// Longest time until an emulator has started or ended.
const WAIT: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    if env::var_os(IS_PROGRAM).is_some() {
        return program().unwrap_or_else(|error| {
            interrupt::wait_when_leaving();
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        });
    }
    let missing = missing();
    let trials: Vec<Trial> = vec![
        trial("an_installed_program_builds_firmware", &missing, an_installed_program_builds_firmware),
        trial("completions_name_the_commands", &None, completions_name_the_commands),
        trial("the_schema_has_the_tables_of_the_configuration", &None, the_schema_has_the_tables_of_the_configuration),
        trial("commands_to_type_name_the_program_as_it_was_called", &None, commands_to_type_name_the_program),
        trial("progress_is_told_in_lines_without_a_terminal", &None, progress_is_told_in_lines_without_a_terminal),
        trial("a_run_says_what_its_intervals_are_over_and_which_budget_is_missed", &None, a_run_says_what_matters),
        trial("an_import_says_which_budget_is_missed", &None, an_import_says_which_budget_is_missed),
        trial("a_jpeg_with_a_scan_for_each_component_is_refused", &missing_jpeg(), a_jpeg_with_scans_is_refused),
        trial("an_emulator_ends_with_a_program_that_is_told_to", &missing, an_emulator_ends_with_its_program),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// What `main` of the program does.
fn program() -> Result<ExitCode> {
    let cli = Cli::try_parse()?;
    log::start(cli.verbosity())?;
    interrupt::watch().context("signals are not heard")?;
    run(cli)
}

/// A command that is the program at `path`, a copy of this test.
fn program_at(path: &Path) -> Command {
    let mut command = Command::new(path);
    command.env(IS_PROGRAM, "1").env_remove("CARGO").env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// What the program says with these arguments, which must succeed.
fn said<S: AsRef<OsStr>>(arguments: &[S]) -> Result<Output> {
    let output = program_at(&env::current_exe()?).args(arguments).output()?;
    ensure!(output.status.success(), "it fails: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output)
}

fn an_installed_program_builds_firmware() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let [program, caches, blob] = ["program", "caches", "model.blob"].map(|name| dir.path().join(name));
    fs::copy(env::current_exe()?, &program)?;
    fs::copy(BLOB, &blob)?;
    let output = program_at(&program)
        .args(["flash", "model.blob", "--link", "qemu:flash.bin", "--json"])
        .current_dir(dir.path())
        .env("XDG_CACHE_HOME", &caches)
        .env_remove("FIRMWARE_DIR")
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "it fails: {said}");
    let outcome: Value = serde_json::from_slice(&output.stdout)?;
    let digest = hexadecimal(&identity(&fs::read(&blob)?).sha256);
    ensure!(outcome["now"] == digest.as_str(), "another model runs: {outcome}");
    let unpacked = fs::read_dir(caches.join("host-trainer"))?.next().context("nothing was unpacked")??.path();
    ensure!(unpacked.join("firmware-example/target").is_dir(), "it built somewhere else: {said}");
    Ok(())
}

fn completions_name_the_commands() -> Result<()> {
    let names: Vec<String> = Cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
    ensure!(names.len() > 20, "{names:?}");
    for shell in ["bash", "zsh", "fish"] {
        let text = String::from_utf8(said(&["completions", shell])?.stdout)?;
        let words: Vec<&str> = text.split(|c: char| !(c.is_alphanumeric() || c == '-')).collect();
        let unnamed: Vec<&String> = names.iter().filter(|name| !words.contains(&name.as_str())).collect();
        ensure!(unnamed.is_empty(), "what {shell} is given does not name {unnamed:?}");
        ensure!(text.contains("flash-budget"), "what {shell} is given does not name --flash-budget");
    }
    Ok(())
}

fn the_schema_has_the_tables_of_the_configuration() -> Result<()> {
    let schema: Value = serde_json::from_slice(&said(&["config", "schema"])?.stdout)?;
    ensure!(schema["$schema"].as_str().is_some_and(|url| url.contains("json-schema.org")), "{schema}");
    let names = |value: &Value| value.as_object().map(|object| object.keys().cloned().collect::<Vec<_>>());
    let entries = names(&schema["properties"]).context("the schema has properties")?;
    let written = names(&serde_json::to_value(Config::default())?).context("a configuration is an object")?;
    for name in written.iter().map(String::as_str).chain(["seed", "data", "input", "model", "train", "target"]) {
        ensure!(entries.iter().any(|entry| entry == name), "{name} is not among {entries:?}");
    }
    Ok(())
}

fn commands_to_type_name_the_program() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let program = dir.path().join("my trainer");
    fs::copy(env::current_exe()?, &program)?;
    fs::write(dir.path().join("words.blob"), "words")?;
    let refused = |command: &mut Command| -> Result<String> {
        let output = command.args(["inspect", "words.blob"]).current_dir(dir.path()).output()?;
        ensure!(!output.status.success(), "words are no blob");
        Ok(String::from_utf8(output.stderr)?)
    };
    let error = refused(&mut program_at(&program))?;
    ensure!(error.contains("`'my trainer' quantize RUN_DIR`"), "{error}");
    let error = refused(program_at(&program).env("CARGO", "cargo"))?;
    ensure!(error.contains("`cargo run -- quantize RUN_DIR`"), "{error}");
    Ok(())
}

fn progress_is_told_in_lines_without_a_terminal() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let faces = dir.path().join("faces").display().to_string();
    call(&["dev", "faces", "--out", &faces, "--train", "0", "--valid", "0", "--test", "2", "--size", "32"])?;
    let told = |more: &[&str]| -> Result<String> {
        Ok(String::from_utf8(said(&[&["eval", BLOB, "--data", &faces][..], more].concat())?.stderr)?)
    };
    let lines = told(&[])?;
    for line in ["reading 8 images", "scoring 8 images with the int8 model"] {
        ensure!(lines.lines().any(|told| told.starts_with(line)), "`{line}` is not in: {lines}");
    }
    ensure!(!lines.contains(['\r', '\u{1b}']), "a bar is drawn: {lines:?}");
    let quiet = told(&["--quiet"])?;
    ensure!(quiet.is_empty(), "it is not quiet: {quiet}");
    Ok(())
}

/// Draws faces, every two of a class and side in a group.
fn faces_in_pairs(folder: &str) -> Result<()> {
    call(&["dev", "faces", "--out", folder, "--size", "16", "--train", "16", "--valid", "6", "--test", "6"])?;
    let mut groups = "path,group\n".to_owned();
    for (side, count) in [("train", 16), ("valid", 6), ("test", 6)] {
        for (class, index) in CLASSES.iter().flat_map(|class| (0..count).map(move |index| (class, index))) {
            groups += &format!("{side}/{class}/{index:04}.png,{side}-{class}-{}\n", index / 2);
        }
    }
    Ok(fs::write(Path::new(folder).join("groups.csv"), groups)?)
}

/// The intervals of a comparison are over half as many groups as there are images, and so says the text.
fn check_grouped(comparison: &Value, text: &[u8]) -> Result<()> {
    let splits = comparison["splits"].as_array().context("a comparison has splits")?;
    ensure!(splits.len() > 1, "{comparison}");
    let text = String::from_utf8_lossy(text);
    for split in splits {
        let (name, groups) = (split["name"].as_str().context("a name")?, split["groups"].as_u64());
        let images = split["engines"][0]["accuracy"]["total"].as_u64().context("a number of images")?;
        ensure!(groups == Some(images / 2), "{name}: {groups:?} groups of {images} images");
        let over = format!("{name}: intervals over {} groups of copies", images / 2);
        ensure!(text.contains(&over), "`{over}` is not in: {text}");
    }
    Ok(())
}

/// The command ends with exit code 2 and says of each of these budgets of 1 KiB that it is missed, by how much, and of nothing
/// else.
fn check_missed(command: &[&str], budgets: &[&str]) -> Result<()> {
    let options = budgets.iter().flat_map(|budget| [*budget, "1"]);
    let output = program_at(&env::current_exe()?).args(command).args(options).output()?;
    let told = String::from_utf8(output.stderr)?;
    ensure!(output.status.code() == Some(2), "{:?}: {told}", output.status);
    let errors: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("error: ")).collect();
    ensure!(errors.len() == budgets.len(), "{told}");
    for (error, budget) in errors.iter().zip(budgets) {
        let bytes = error.strip_prefix(&format!("{budget} 1 is missed: the least found is ")).context(told.clone())?;
        let bytes: usize = bytes.split(' ').next().and_then(|bytes| bytes.parse().ok()).context(told.clone())?;
        ensure!(bytes > 1024 && error.ends_with(" KiB"), "{told}");
    }
    Ok(())
}

const BUDGETS: [&[&str]; 3] = [&["--flash-budget"], &["--ram-budget"], &["--flash-budget", "--ram-budget"]];

fn a_run_says_what_matters() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let [faces, config, run] = ["faces", "fast.toml", "run"].map(|name| dir.path().join(name).display().to_string());
    faces_in_pairs(&faces)?;
    let settings = "[model]\npreset = \"shallow\"\n[input]\nwidth = 16\nheight = 16\n[train]\nepochs = 1\n[quantize]\nimages = 8\n";
    fs::write(&config, settings)?;
    let train = ["train", "--data", &faces, "--config", &config, "--out", &run];
    let trained = check_nothing_is_done_twice(&train, 112, [48, 48])?;
    let report: Value = serde_json::from_slice(&fs::read(format!("{run}/report.json"))?)?;
    ensure!(report["calibration_images"] == 8, "{report}");
    check_grouped(&report["comparison"], &trained)?;
    let blob = format!("{run}/model.blob");
    for (command, model, below) in [("eval", &blob, ""), ("parity", &run, "/comparison")] {
        let arguments = [command, model, "--data", &faces];
        let found: Value = serde_json::from_slice(&said(&[&arguments[..], &["--json"]].concat())?.stdout)?;
        check_grouped(found.pointer(below).context("a comparison")?, &said(&arguments)?.stdout)?;
    }
    check_nothing_is_done_twice(&["parity", &run, "--data", &faces], 112, [112, 112])?;
    check_nothing_is_done_twice(&["eval", &blob, "--data", &faces], 112, [0, 112])?;
    // Validation and test; of the training images eight that are calibrated on, and five more that the page shows.
    check_nothing_is_done_twice(&["quantize", &run], 48 + 8 + 5, [48, 48])?;
    BUDGETS.iter().try_for_each(|budgets| check_missed(&["quantize", &run], budgets))
}

/// What a command prints, which decodes so many files, each once, and runs the float network and the int8 model over so many
/// images.
fn check_nothing_is_done_twice(arguments: &[&str], files: usize, images: [usize; 2]) -> Result<Vec<u8>> {
    let output = program_at(&env::current_exe()?).args(arguments).env("RUST_LOG", "model_training=trace").output()?;
    let told = String::from_utf8(output.stderr)?;
    ensure!(output.status.success(), "{arguments:?}: {told}");
    let after = |words: &str| told.lines().filter_map(|line| Some(line.split_once(words)?.1)).collect::<Vec<_>>();
    let decoded = after("decoding ");
    let different: BTreeSet<_> = decoded.iter().collect();
    let counts = [decoded.len(), different.len()];
    ensure!(counts == [files; 2], "{arguments:?}: {counts:?} decoded and different files: {told}");
    for (engine, images) in ["the float network", "the int8 model"].into_iter().zip(images) {
        let runs = after(&format!("{engine} runs over "));
        let runs = runs.iter().filter_map(|rest| rest.strip_suffix(" images")?.parse::<usize>().ok());
        let run: usize = runs.sum();
        ensure!(run == images, "{arguments:?}: {engine} runs over {run} images: {told}");
    }
    Ok(output.stdout)
}

fn an_import_says_which_budget_is_missed() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let [model, blob] = ["wide.tflite", "wide.blob"].map(|name| dir.path().join(name).display().to_string());
    // More values and weights than a KiB holds.
    let mut maker = Maker::default();
    let input = maker.int8("in", &[1, 1, 1, 2048], 0.01, 0);
    let weights = maker.int8("kernel", &[2, 1, 1, 2048], 0.01, 0);
    let weights = maker.fill(weights, vec![1; 4096]);
    let output = maker.int8("sums", &[1, 1, 1, 2], 1.0, 0);
    maker.op(BuiltinOperator::Conv2d, &[input, weights], output, convolution(Padding::Valid, 1));
    fs::write(&model, maker.finish(input, output))?;
    BUDGETS.iter().try_for_each(|budgets| check_missed(&["import", &model, "--out", &blob], budgets))
}

/// A file whose pixels the decoder gets wrong. It is not part of the repository.
const JPEG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/cases/nonint420.jpg");

fn missing_jpeg() -> Option<String> {
    (!Path::new(JPEG).is_file()).then(|| "needs ../shared/data/cases/nonint420.jpg".to_owned())
}

fn a_jpeg_with_scans_is_refused() -> Result<()> {
    let output = program_at(&env::current_exe()?).args(["predict", BLOB, JPEG]).output()?;
    let told = String::from_utf8(output.stderr)?;
    ensure!(output.status.code() == Some(1) && output.stdout.is_empty(), "{:?}: {told}", output.status);
    ensure!(told.contains("nonint420.jpg") && told.contains("scan for each component"), "{told}");
    Ok(())
}

/// Waits until the emulators of this flash are so many.
fn until(flash: &Path, count: usize) -> Result<()> {
    let start = Instant::now();
    while emulators(flash)?.len() != count {
        ensure!(start.elapsed() < WAIT, "{} emulators run, where it should be {count}", emulators(flash)?.len());
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn an_emulator_ends_with_its_program() -> Result<()> {
    build_app(None)?;
    let dir = tempfile::tempdir()?;
    let flash = dir.path().join("flash.bin");
    let (link, faces) = (format!("qemu:{}", flash.display()), dir.path().join("faces").display().to_string());
    call(&["flash", BLOB, "--link", &link])?;
    call(&["dev", "faces", "--out", &faces, "--train", "0", "--valid", "0", "--test", "1", "--size", "96"])?;
    // Frames without end.
    let mut watching = program_at(&env::current_exe()?)
        .args(["watch", "--link", &link, "--frames", &faces, "--size", "96x96"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let ended = until(&flash, 1).and_then(|()| signal(watching.id(), "TERM")).and_then(|()| until(&flash, 0));
    if ended.is_err() {
        watching.kill()?;
    }
    let status = watching.wait()?;
    ended?;
    ensure!(status.code().is_none(), "it does not end by the signal: {status}");
    Ok(())
}
