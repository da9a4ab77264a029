//! The search for small networks.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use model_training::run::folder::{RunDir, load_config};

use crate::common::{Faces, call, refusal};

/// The arguments of a process that a test starts, one a line.
const ARGUMENTS: &str = "SEARCH_ARGUMENTS";
/// Trials of each search.
const TRIALS: [&str; 3] = ["0", "1", "2"];

fn search<'a>(data: &'a str, out: &'a str) -> Vec<&'a str> {
    let target = ["--flash", "100", "--ram", "60", "--trials", "3", "--epochs", "1", "--seed", "2", "--threads", "1"];
    [&["search", "--data", data, "--out", out][..], &target].concat()
}

/// This program again, which does nothing but [`a_process`].
fn process(arguments: &[&str]) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("a path"));
    command.args(["--exact", "search::a_process", "--ignored"]).env(ARGUMENTS, arguments.join("\n"));
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
}

#[test]
#[ignore = "another test starts it as a process of its own"]
fn a_process() {
    let arguments = std::env::var(ARGUMENTS).expect("another test starts this one");
    call(&arguments.lines().collect::<Vec<_>>()).expect("it searches");
}

/// Whether a run of a search has been scored.
fn any_scored(out: &Path) -> bool {
    let scored = |trial: &&str| out.join(format!("trial-{trial}/rung-0/fold-0/predictions.csv")).exists();
    TRIALS.iter().any(scored)
}

#[test]
fn jobs_processes_and_killed_processes_find_the_same() {
    let faces = Faces::draw();
    let (data, jobs, shared) = (faces.path("faces"), faces.path("jobs"), faces.path("shared"));
    let (of_jobs, of_processes) = (search(&data, &jobs), search(&data, &shared));

    // Two processes at once, one of which is killed in the midst of its work.
    let (mut killed, mut other) = (process(&of_processes), process(&of_processes));
    while !any_scored(Path::new(&shared)) {
        assert!(killed.try_wait().expect("a state").is_none(), "it ended before anything was scored");
        sleep(Duration::from_millis(5));
    }
    killed.kill().expect("it is killed");
    killed.wait().expect("it ends");
    assert!(other.wait().expect("it ends").success(), "the other process goes on without it");

    // The same by single jobs, one of which another process holds.
    let job = |trial: &'static str| [&of_jobs[..], &["--trial", trial]].concat();
    call(&job("0")).expect("the first trial");
    let incomplete = refusal(&["search", "--collect", &jobs]);
    assert!(incomplete.contains("rung 0: 1, 2;") && incomplete.contains("--trial K"), "{incomplete}");
    let claim = RunDir::new(&Path::new(&jobs).join("trial-1/rung-0/job")).claim().expect("nobody else has it");
    assert!(refusal(&job("1")).contains("another process does this stage of trial 1"));
    drop(claim);
    for _ in 0..4 {
        for trial in TRIALS {
            call(&job(trial)).expect("a stage of a trial");
        }
    }
    call(&["search", "--collect", &jobs]).expect("it joins");
    for file in ["report.json", "search.json", "chosen.toml"] {
        assert!(faces.read(&format!("jobs/{file}")) == faces.read(&format!("shared/{file}")), "{file} differs");
    }

    let found: serde_json::Value = serde_json::from_slice(&faces.read("jobs/report.json")).expect("JSON");
    let trials = found["trials"].as_array().expect("a list");
    assert_eq!(trials.len(), 3);
    assert_eq!(found["trials"][0]["point"]["preset"], "resnet8");
    assert!((40..44).contains(&found["unseen"].as_u64().expect("a fifth of 208 images")), "{found}");
    let chosen = found["chosen"].as_u64().expect("a trial") as usize;
    assert!(trials[chosen]["unseen"]["value"].is_f64(), "{found}");
    let page = String::from_utf8(faces.read("jobs/report.html")).expect("UTF-8");
    assert_eq!(page.matches("<tr id=\"trial-").count(), 3);
    assert!(page.contains(&format!("<a href=\"trial-{chosen}/final/report.html\"><title>")));

    // What is chosen costs what was said, and trains.
    let config = load_config(&faces.dir.path().join("jobs/chosen.toml")).expect("a configuration");
    assert_eq!(config.input.width, 16);
    let (config, run) = (faces.path("jobs/chosen.toml"), faces.path("run"));
    call(&["train", "--data", &data, "--config", &config, "--out", &run]).expect("it trains");
    let trained: serde_json::Value = serde_json::from_slice(&faces.read("run/report.json")).expect("JSON");
    let costs = &trials[chosen]["costs"];
    assert_eq!(trained["arena"], costs["ram"]);
    let [blob, said] = [&trained["flash"], &costs["flash"]].map(|bytes| bytes.as_i64().expect("bytes"));
    assert!((blob - said).abs() < 1024, "{blob} bytes in place of {said}");

    let other = [&of_jobs[..], &["--groups", "none"]].concat();
    let other: Vec<&str> = other.iter().map(|&argument| if argument == "3" { "4" } else { argument }).collect();
    assert!(refusal(&other).contains("--trials was 3 and is 4"));
}

#[test]
fn a_search_that_cannot_be_is_refused_before_anything_is_written() {
    let faces = Faces::draw();
    let (data, out) = (faces.path("faces"), faces.path("search"));
    let with = |options: &[&str]| refusal(&[&["search", "--data", &data, "--out", &out][..], options].concat());
    assert!(with(&[]).contains("must name a `board`, or `flash` or `ram`"));
    assert!(with(&["--target", "abacus"]).contains("no board abacus"));
    assert!(with(&["--flash", "2"]).contains("none fits the target"));
    assert!(with(&["--flash", "100", "--trials", "1"]).contains("2 to 1000"));
    assert!(with(&["--flash", "100", "--epochs", "0"]).contains("train.epochs"));
    assert!(!Path::new(&out).exists());
    fs::create_dir(&out).expect("a folder");
    assert!(refusal(&["search", "--collect", &out]).contains("holds no search"));
}
