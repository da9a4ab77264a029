//! Cross-validation, and what a run takes from it.

use std::fs;

use model_compiler::aligned::Aligned;
use no_std_infer::Model;

use crate::common::{Faces, call, refusal, text};

#[test]
fn fold_by_fold_equals_all_at_once_and_calibrates_the_model_that_ships() {
    let faces = Faces::draw();
    faces.cv("whole", &[]).expect("all folds at once");
    faces.cv("parts", &["--fold", "1"]).expect("a fold");
    let parts = faces.path("parts");
    let missing = refusal(&["cv", "--collect", &parts]);
    assert!(missing.contains("lacks 2 of 3 folds, 0, 2") && missing.contains(&parts), "{missing}");
    let none = faces.cv("parts", &["--fold", "3"]).expect_err("there are three");
    assert!(none.to_string().contains("0 to 2"), "{none}");
    for fold in ["0", "2"] {
        faces.cv("parts", &["--fold", fold]).expect("a fold");
    }
    // A job that was killed before its predictions were written goes on where it was.
    fs::remove_file(faces.dir.path().join("parts/fold-2/predictions.csv")).expect("removed");
    faces.cv("parts", &["--fold", "2"]).expect("it goes on");
    call(&["cv", "--collect", &parts, "--json"]).expect("all folds are there");
    for name in ["cv.json", "predictions.csv", "report.json", "fold-0/model.blob", "fold-2/predictions.csv"] {
        assert_eq!(faces.read(&format!("parts/{name}")), faces.read(&format!("whole/{name}")), "{name}");
    }
    let page = String::from_utf8(faces.read("whole/report.html")).expect("UTF-8");
    for part in
        ["188 photographs: 20 of 208 images are copies", "Reliability, int8", "Answers, int8", "fold-2/report.html"]
    {
        assert!(page.contains(part), "{part} is not in the page");
    }
    assert!(!page.contains("cannot be shown") && !page.contains("src=\"http") && page.contains("data:image/png"));
    let predictions = String::from_utf8(faces.read("whole/predictions.csv")).expect("UTF-8");
    let folds_of = |group: &str| -> Vec<&str> {
        let fields = predictions.lines().map(|line| line.split(',').collect::<Vec<_>>());
        fields.filter(|fields| fields[2] == group).map(|fields| fields[3]).collect()
    };
    for group in 0..20 {
        let folds = folds_of(&format!("g{group}"));
        assert!(folds.len() == 2 && folds[0] == folds[1], "group {group}: {folds:?}");
    }
    assert_eq!(predictions.lines().count(), 1 + 208);
    call(&["compare", &parts, &faces.path("whole")]).expect("the same images");

    // A fold's run serves as one that ships.
    let (run, data) = (faces.path("whole/fold-0"), faces.path("faces"));
    assert!(refusal(&["compare", &run, &parts]).contains("different images"));
    let before = faces.read("whole/fold-0/model.blob");
    call(&["quantize", &run, "--calibration", &parts, "--answers-right", "0"]).expect("it calibrates");
    let blob = Aligned::copy_of(&faces.read("whole/fold-0/model.blob"));
    let calibration = *Model::parse(&blob).expect("valid").calibration().expect("any answer is right enough");
    assert_eq!((calibration.images, calibration.coverage > 0.9), (208, true), "{calibration:?}");
    assert_ne!(*blob, *before);
    let path = faces.path("whole/fold-0/model.blob");
    call(&["predict", &path, &faces.path("faces/test/happy/0000.png")]).expect("it predicts");
    call(&["eval", &path, "--data", &data, "--json"]).expect("it evaluates");
    call(&["inspect", &path]).expect("it shows the threshold");

    let of_run = faces.dir.path().join("whole/fold-0/config.toml");
    let other = fs::read_to_string(&of_run).expect("readable").replace("epochs = 1", "epochs = 2");
    fs::write(&of_run, &other).expect("written");
    assert!(refusal(&["quantize", &run, "--calibration", &parts]).contains("another configuration"));
    let (whole, config, groups) = (faces.path("whole"), text(&of_run), &faces.groups);
    let error = refusal(&["cv", "--data", &data, "--config", config, "--groups", groups, "--out", &whole]);
    assert!(error.contains("another configuration") && error.contains(&whole), "{error}");
}

#[test]
fn a_plan_of_an_earlier_release_is_gone_on_with() {
    let faces = Faces::draw();
    faces.cv("folds", &["--fold", "0"]).expect("a fold");
    let plan = faces.dir.path().join("folds/cv.json");
    let before = fs::read_to_string(&plan).expect("readable");
    let without = before.replacen("ema = 0.0\\n", "", 1);
    assert_ne!(before, without, "{before}");
    fs::write(&plan, without).expect("written");
    faces.cv("folds", &["--fold", "1"]).expect("the same values");
    fs::write(&faces.config, "[model]\npreset = \"shallow\"\n[input]\nwidth = 16\nheight = 16\n[train]\nepochs = 4\n")
        .expect("written");
    let error = format!("{:#}", faces.cv("folds", &["--fold", "2"]).expect_err("another configuration"));
    assert!(error.contains("train.epochs") && error.contains('1') && error.contains('4'), "{error}");
}
