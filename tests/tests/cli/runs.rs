//! A run, from its configuration to what its folder is good for.

use std::fs;
use std::process::ExitCode;

use tempfile::tempdir;

use crate::common::{call, pictures, refusal, text};

#[test]
fn an_unknown_or_impossible_entry_of_the_configuration() {
    let data = pictures();
    let config = data.path().join("config.toml");
    let out = data.path().join("run");
    for (line, named) in
        [("[train]\nepoch = 3", "epoch"), ("[train]\nepochs = 0", "epochs"), ("nonsense", "config.toml")]
    {
        fs::write(&config, line).expect("written");
        let error = refusal(&["train", "--data", text(data.path()), "--config", text(&config), "--out", text(&out)]);
        assert!(error.contains(named), "{named} is not in: {error}");
        assert!(!out.exists());
    }
}

#[test]
fn a_run_folder_that_cannot_be_made() {
    let data = pictures();
    let file = data.path().join("file");
    fs::write(&file, "in the way").expect("written");
    let out = file.join("run");
    let error = refusal(&["train", "--data", text(data.path()), "--out", text(&out)]);
    assert!(error.contains(text(&out)) && error.contains("--out"), "{error}");
    assert_eq!(fs::read_to_string(&file).expect("still a file"), "in the way");
}

/// The whole path on a task that any network learns, then the commands that read a run folder.
#[test]
fn from_pictures_to_parity() {
    let data = pictures();
    let out = data.path().join("out");
    let config = data.path().join("config.toml");
    fs::write(&config, "[model]\npreset = \"shallow\"\n[input]\nwidth = 16\nheight = 16\n[train]\nepochs = 2\n")
        .expect("written");
    let pictures = tempdir().expect("a temporary folder");
    for class in ["cat", "dog"] {
        fs::rename(data.path().join(class), pictures.path().join(class)).expect("moved");
    }
    let folder = text(pictures.path());
    call(&["train", "--data", folder, "--config", text(&config), "--out", text(&out)]).expect("it trains");
    for name in ["model.blob", "report.json", "report.html", "metrics.csv", "curves.svg", "dataset.json", "config.toml"]
    {
        assert!(out.join(name).exists(), "{name}");
    }
    let first = fs::read(out.join("model.blob")).expect("readable");
    call(&["quantize", text(&out), "--json"]).expect("it quantises again");
    assert_eq!(fs::read(out.join("model.blob")).expect("readable"), first, "the same run gives the same blob");

    let success = format!("{:?}", ExitCode::SUCCESS);
    let parity = |bound| {
        let arguments = ["parity", text(&out), "--data", folder, "--min-agreement", bound];
        format!("{:?}", call(&arguments).expect("it compares"))
    };
    assert_eq!(parity("0"), success);
    assert_ne!(parity("101"), success, "a bound that cannot be met fails");
    call(&["eval", text(&out.join("model.blob")), "--data", folder, "--as", "rgb565"]).expect("it evaluates");

    let again = refusal(&["train", "--data", folder, "--out", text(&out)]);
    assert!(again.contains("holds a run already"), "{again}");
    assert!(refusal(&["quantize", folder]).contains("not a run folder"));
}
