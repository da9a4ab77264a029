//! A run that goes on from another, and both compared on pictures from which neither has learnt.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use model_training::run::folder::RunDir;
use tempfile::{TempDir, tempdir};

use crate::common::{call, picture, pictures, refusal, text};

/// Configurations that train fast: a network that learns all its layers, and one whose output layer alone is fitted.
const LEARNING: &str = "[model]\npreset = \"shallow\"\n[input]\nwidth = 16\nheight = 16\n[train]\nepochs = 2\n";
const FROZEN: &str = "[model]\npreset = \"mobilenet\"\n[model.pretrained]\nfile = \"imagenet\"\n[input]\nwidth = 32\nheight = 32\n\
                      [normalization]\nmean = [0.5, 0.5, 0.5]\nstd = [0.5, 0.5, 0.5]\n[augment]\nhorizontal_flip = 0.5\n\
                      [train]\nepochs = 1\nhead_first = 6.0\nfrozen = [\"features\", \"head\"]\n";

/// Pictures in `pictures`, others in `new` with a class more, and a run in `before`.
fn trained(config: &str) -> TempDir {
    let dir = tempdir().expect("a temporary folder");
    fs::rename(pictures().keep(), dir.path().join("pictures")).expect("moved");
    for (class, seed) in [("cat", 60), ("fox", 140)] {
        fs::create_dir_all(dir.path().join("new").join(class)).expect("a folder");
        for index in 0..8 {
            let path = dir.path().join("new").join(class).join(format!("{index}.png"));
            picture(seed + index, 12, 9).save(path).expect("a picture");
        }
    }
    fs::write(dir.path().join("config.toml"), config).expect("written");
    let [data, config, out] = ["pictures", "config.toml", "before"].map(|name| dir.path().join(name));
    call(&["train", "--data", text(&data), "--config", text(&config), "--out", text(&out)]).expect("it trains");
    dir
}

/// The side of each picture of a run by its path.
fn sides(run: &Path) -> BTreeMap<String, usize> {
    let record = RunDir::new(run).record().expect("a record");
    let place = |(side, sample): (usize, &model_training::data::dataset::Sample)| {
        let path = sample.path(&record.root).canonicalize().expect("a picture");
        (text(&path).to_owned(), side)
    };
    record.sides().map(place).collect()
}

#[test]
fn from_a_run_and_new_pictures_to_a_better_one() {
    for config in [LEARNING, FROZEN] {
        let dir = trained(config);
        let [before, after, again, new, data] =
            ["before", "after", "again", "new", "pictures"].map(|name| dir.path().join(name));
        let from = ["train", "--from", text(&before), "--data", text(&new), "--out"];
        call(&[&from[..], &[text(&after), "--json"]].concat()).expect("it goes on");
        let (old, all) = (sides(&before), sides(&after));
        assert!(old.iter().all(|(path, side)| all[path] == *side), "{old:?} {all:?}");
        assert_eq!(all.len(), 36);
        assert_eq!(RunDir::new(&after).record().expect("a record").classes, ["cat", "dog", "fox"]);
        let report = fs::read_to_string(after.join("report.json")).expect("a report");
        assert!(report.contains("It went on from the run in"), "{report}");

        // Interrupted before the first epoch was saved, it ends with the same bytes; and so does another.
        let blob = fs::read(after.join("model.blob")).expect("a blob");
        for lost in ["checkpoint.postcard", "model.blob", "predictions.csv", "graph.postcard"] {
            fs::remove_file(after.join(lost)).expect("removed");
        }
        let moved = dir.path().join("moved");
        fs::create_dir(&moved).expect("a folder");
        for folder in ["pictures", "new"] {
            fs::rename(dir.path().join(folder), moved.join(folder)).expect("moved");
        }
        call(&["train", "--resume", text(&after), "--data", text(&moved)]).expect("it goes on");
        assert_eq!(fs::read(after.join("model.blob")).expect("a blob"), blob);
        let lost =
            refusal(&["train", "--from", text(&before), "--data", text(&moved.join("new")), "--out", text(&again)]);
        assert!(lost.contains("--from-data") && !again.exists(), "{lost}");
        let [new, data] = [(&new, "new"), (&data, "pictures")].map(|(_, name)| moved.join(name));
        let from = ["train", "--from", text(&before), "--from-data", text(&data), "--data", text(&new), "--out"];
        call(&[&from[..], &[text(&again)]].concat()).expect("it goes on");
        assert_eq!(sides(&again).len(), 36);

        call(&["compare", text(&before), text(&after), "--data", text(&new), "--json"]).expect("they are compared");
        let error = refusal(&["compare", text(&before), text(&after)]);
        assert!(error.contains("different classes") && error.contains("--data"), "{error}");
        call(&["parity", text(&after), "--data", text(&new)]).expect("the blob is that of the run's network");
        let blob = after.join("model.blob");
        call(&["compare", text(&before), text(&blob), "--data", text(&data)]).expect("a blob in its run folder");
    }
}

#[test]
fn what_cannot_be_gone_on_with_is_refused() {
    let dir = trained(LEARNING);
    let [before, out, new, data] = ["before", "out", "new", "pictures"].map(|name| dir.path().join(name));
    let refuses = |from: &Path, data: &Path, more: &[&str], named: &[&str]| {
        let arguments = ["train", "--from", text(from), "--data", text(data), "--out", text(&out)];
        let error = refusal(&[&arguments[..], more].concat());
        assert!(named.iter().all(|named| error.contains(named)) && !out.exists(), "{error}");
    };
    refuses(&dir.path().join("none"), &new, &[], &["no run folder", "none"]);
    refuses(&before.join("model.blob"), &new, &[], &["is a file", "train --out"]);
    refuses(&data, &new, &[], &["holds no trained network"]);
    refuses(&before, &data, &[], &["nothing to learn"]);
    for network in [["--input-width", "32"], ["--preset", "resnet8"]] {
        let arguments = ["train", "--from", text(&before), "--data", text(&new), "--out", text(&out)];
        let error = call(&[&arguments[..], &network].concat()).expect_err("the network is that of the run").to_string();
        assert!(error.contains("'--from") && error.contains(network[0]), "{error}");
    }
    let inside = new.join("run");
    let arguments = ["train", "--from", text(&before), "--data", text(&new), "--out", text(&inside)];
    assert!(refusal(&arguments).contains("would be taken for a class"));
    fs::remove_file(before.join("predictions.csv")).expect("removed");
    refuses(&before, &new, &[], &["has not ended", "--resume"]);
}

#[test]
fn runs_are_compared_on_pictures_that_both_have_not_learnt() {
    let dir = trained(LEARNING);
    let [before, data, learnt] = ["before", "pictures", "learnt"].map(|name| dir.path().join(name));
    let record = RunDir::new(&before).record().expect("a record");
    for sample in record.train.iter().chain(&record.valid) {
        let path = learnt.join(&sample.name);
        fs::create_dir_all(path.parent().expect("a class")).expect("a folder");
        fs::copy(sample.path(&record.root), path).expect("copied");
    }
    let compare = |data: &Path| refusal(&["compare", text(&before), text(&before), "--data", text(data)]);
    assert!(compare(&learnt).contains("has learnt from each"), "all are known");
    fs::create_dir_all(data.join("bear")).expect("a folder");
    picture(1, 12, 9).save(data.join("bear/1.png")).expect("a picture");
    assert!(compare(&data).contains("bear"));
}
