//! A run, from its configuration to what its folder is good for.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Barrier;
use std::thread;

use host_trainer::report::certificate::Certificate;
use model_training::run::folder::RunDir;
use no_std_infer::CRC32;
use tempfile::{TempDir, tempdir};

use crate::common::{call, picture, pictures, refusal, text};

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
    for name in ["model.blob", "report.json", "metrics.csv", "curves.svg", "dataset.json", "config.toml"] {
        assert!(out.join(name).exists(), "{name}");
    }
    let [report, twin] = ["report.html", "twin.html"].map(|name| fs::read_to_string(out.join(name)).expect("a page"));
    assert!(report.contains("href=\"twin.html\"") && report.contains("srcdoc=\"") && twin.contains("cat"), "{report}");
    let page = data.path().join("another.html");
    call(&["twin", text(&out), "--out", text(&page)]).expect("a page of the run's model");
    assert!(fs::read_to_string(&page).expect("a page").contains("cat"));
    certified(&out, folder, data.path());

    let first = fs::read(out.join("model.blob")).expect("readable");
    call(&["quantize", text(&out), "--json"]).expect("it quantises again");
    assert_eq!(fs::read(out.join("model.blob")).expect("readable"), first, "the same run gives the same blob");

    let code = |code: u8| format!("{:?}", ExitCode::from(code));
    let quantised = |budget: [&str; 2]| {
        let arguments = [&["quantize", text(&out)], &budget[..]].concat();
        format!("{:?}", call(&arguments).expect("it quantises"))
    };
    assert_eq!(quantised(["--ram-budget", "1"]), code(2), "a budget that is missed");
    assert_eq!(quantised(["--ram-budget", "100"]), code(0));
    assert_eq!(quantised(["--flash-budget", "1"]), code(2), "a budget that is missed");
    assert_eq!(quantised(["--flash-budget", "0"]), code(0), "the least that is found");
    let parity = |bound| {
        let arguments = ["parity", text(&out), "--data", folder, "--min-agreement", bound];
        format!("{:?}", call(&arguments).expect("it compares"))
    };
    assert_eq!(parity("0"), code(0));
    assert_eq!(parity("101"), code(2), "a bound that cannot be met");
    call(&["eval", text(&out.join("model.blob")), "--data", folder, "--as", "rgb565"]).expect("it evaluates");

    let again = refusal(&["train", "--data", folder, "--out", text(&out)]);
    assert!(again.contains("holds a run already"), "{again}");
    assert!(refusal(&["quantize", folder]).contains("not a run folder"));
}

/// The certificate of a run knows its float network, and leaves out the pictures that it has learnt from.
fn certified(run: &Path, data: &str, folder: &Path) {
    let file = folder.join("certificate.json");
    let make = ["certify", text(run), "--data", data, "--specification", "1", "--out", text(&file)];
    assert_eq!(format!("{:?}", call(&make).expect("it certifies")), format!("{:?}", ExitCode::SUCCESS));
    let (certificate, _) = Certificate::from_text(&fs::read_to_string(&file).expect("written")).expect("valid");
    let splits = &certificate.accuracy.splits;
    assert!(!splits.is_empty() && certificate.images.len() < 20, "{certificate:?}");
    assert!(splits.iter().all(|split| split.engines[0].name == "float" && split.engines[1].name == "int8"));
    assert!(!certificate.limits.iter().any(|limit| limit.contains("float network")), "{:?}", certificate.limits);
}

/// A configuration that trains fast.
const FAST: &str = "[model]\npreset = \"shallow\"\n[input]\nwidth = 16\nheight = 16\n[train]\nepochs = 2\n";

/// Pictures in `pictures`, a configuration, and a run in `run`.
fn trained() -> TempDir {
    let dir = tempdir().expect("a temporary folder");
    fs::rename(pictures().keep(), dir.path().join("pictures")).expect("moved");
    fs::write(dir.path().join("fast.toml"), FAST).expect("written");
    let [data, config, out] = ["pictures", "fast.toml", "run"].map(|name| dir.path().join(name));
    call(&["train", "--data", text(&data), "--config", text(&config), "--out", text(&out)]).expect("it trains");
    dir
}

/// The first training picture of a run.
fn learnt(run: &Path) -> String {
    let record = RunDir::new(run).record().expect("a record");
    record.train[0].name.clone()
}

#[test]
fn pictures_that_changed_are_named_by_all_that_read_them() {
    let dir = trained();
    let [data, run, moved] = ["pictures", "run", "moved"].map(|name| dir.path().join(name));
    let name = learnt(&run);
    let original = fs::read(data.join(&name)).expect("readable");
    picture(77, 12, 9).save(data.join(&name)).expect("changed");
    let refuses = |arguments: &[&str]| {
        let error = refusal(arguments);
        assert!(error.contains(&name) && error.contains("changed"), "{error}");
    };
    refuses(&["quantize", text(&run)]);
    refuses(&["parity", text(&run), "--data", text(&data)]);
    refuses(&["train", "--resume", text(&run)]);
    fs::rename(&data, &moved).expect("moved");
    refuses(&["quantize", text(&run), "--data", text(&moved)]);
    refuses(&["parity", text(&run), "--data", text(&moved)]);
    refuses(&["train", "--resume", text(&run), "--data", text(&moved)]);

    fs::write(moved.join(&name), original).expect("restored");
    let blob = fs::read(run.join("model.blob")).expect("readable");
    call(&["quantize", text(&run), "--data", text(&moved)]).expect("the same pictures");
    call(&["parity", text(&run), "--data", text(&moved)]).expect("the same pictures");
    call(&["train", "--resume", text(&run), "--data", text(&moved), "--skip-bad"]).expect("the same pictures");
    assert_eq!(fs::read(run.join("model.blob")).expect("readable"), blob);
}

#[test]
fn of_two_runs_into_one_folder_one_is_refused() {
    let dir = trained();
    let [data, config] = ["pictures", "fast.toml"].map(|name| dir.path().join(name));
    for trial in 0..4 {
        let out = dir.path().join(format!("both-{trial}"));
        let arguments = ["train", "--data", text(&data), "--config", text(&config), "--out", text(&out)];
        let together = Barrier::new(2);
        let start = || {
            together.wait();
            call(&arguments).map_err(|error| format!("{error:#}"))
        };
        let outcomes = thread::scope(|scope| [scope.spawn(start), scope.spawn(start)].map(|run| run.join().unwrap()));
        let errors: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
        assert_eq!(errors.len(), 1, "{outcomes:?}");
        assert!(errors[0].contains(text(&out)), "{}", errors[0]);
    }
}

/// Takes a line out of the configuration in a checkpoint, as an earlier version would have written it: a string with its
/// length in front comes first, a checksum last.
fn forget(checkpoint: &Path, line: &str) {
    let bytes = fs::read(checkpoint).expect("readable");
    let (config, rest) = postcard::take_from_bytes::<String>(&bytes[..bytes.len() - 4]).expect("a configuration");
    let without = config.replacen(line, "", 1);
    assert_ne!(without, config);
    let mut bytes = postcard::to_stdvec(&without).expect("in memory");
    bytes.extend(rest);
    bytes.extend(CRC32.checksum(&bytes).to_le_bytes());
    fs::write(checkpoint, bytes).expect("written");
}

#[test]
fn an_entry_that_a_later_release_adds_is_no_other_configuration() {
    let dir = trained();
    let [run, config] = ["run", "run/config.toml"].map(|name| dir.path().join(name));
    forget(&run.join("checkpoint.postcard"), "ema = 0.0\n");
    let before = fs::read_to_string(&config).expect("readable");
    call(&["train", "--resume", text(&run)]).expect("the same values");
    fs::write(&config, before.replace("epochs = 2", "epochs = 3")).expect("written");
    let error = refusal(&["train", "--resume", text(&run)]);
    for named in ["train.epochs", "2", "3", text(&config), "new run"] {
        assert!(error.contains(named), "{named} is not in: {error}");
    }
}

#[test]
fn a_run_does_not_go_into_its_pictures() {
    let dir = tempdir().expect("a temporary folder");
    fs::rename(pictures().keep(), dir.path().join("pictures")).expect("moved");
    let data = dir.path().join("pictures");
    for out in [data.clone(), data.join("run"), data.join("cat/../run")] {
        for command in ["train", "cv"] {
            let error = refusal(&[command, "--data", text(&data), "--out", text(&out)]);
            assert!(error.contains("--out") && error.contains("pictures"), "{error}");
        }
    }
    assert_eq!(fs::read_dir(&data).expect("a folder").count(), 2);
}
