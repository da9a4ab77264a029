//! What is measured, as people and programs read it.

use std::fs;

use host_trainer::report::plots;
use model_training::config::Config;
use model_training::data::copies::{Report, find, samples};
use model_training::data::dataset::Dataset;
use model_training::measure::metrics::Confusion;
use tempfile::tempdir;

use crate::common::{call, picture, text};

#[test]
fn files_grow_with_the_mistakes_and_not_with_the_square_of_the_classes() {
    let classes = 1000;
    let truth: Vec<usize> = (0..5 * classes).map(|image| image % classes).collect();
    let said: Vec<usize> =
        truth.iter().map(|&class| if class % 7 == 0 { (class + 1) % classes } else { class }).collect();
    let confusion = Confusion::from_predictions(classes, &truth, &said);
    let json = serde_json::to_string_pretty(&confusion).expect("JSON");
    assert!(json.len() < 100_000, "{} bytes of JSON", json.len());
    assert_eq!(serde_json::from_str::<Confusion>(&json).expect("the same"), confusion);
    let earlier = serde_json::json!({ "counts": [[3, 1], [0, 2]] });
    let earlier: Confusion = serde_json::from_value(earlier).expect("a report of an earlier version");
    assert_eq!(earlier, Confusion::from_predictions(2, &[0, 0, 0, 0, 1, 1], &[0, 0, 0, 1, 1, 1]));
    let labels: Vec<String> = (0..classes).map(|class| format!("class {class}")).collect();
    let svg = plots::confusion("Confusion", &labels, &confusion).expect("a picture");
    assert!(svg.len() < 100_000, "{} bytes of SVG", svg.len());
    assert!(svg.contains("class 7") && svg.contains("class 8"));
}

#[test]
fn a_run_says_what_its_figures_mean() {
    let dir = tempdir().expect("a temporary folder");
    let [data, config, out] = ["pictures", "fast.toml", "run"].map(|name| dir.path().join(name));
    for (class, count) in [("cat", 60), ("dog", 6)] {
        fs::create_dir_all(data.join(class)).expect("a folder");
        for seed in 0..count {
            picture(seed, 12, 9).save(data.join(class).join(format!("{seed}.png"))).expect("a picture");
        }
    }
    let fast = "[model]\npreset = \"shallow\"\n[input]\nwidth = 16\nheight = 16\n[train]\nepochs = 1\n";
    fs::write(&config, fast).expect("written");
    call(&["train", "--data", text(&data), "--config", text(&config), "--out", text(&out)]).expect("it trains");
    let report = fs::read_to_string(out.join("report.json")).expect("readable");
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    let verdict = report["verdict"].to_string();
    for said in ["10 test pictures", "always answering cat", "dog has only 4 pictures", "11 times as many"] {
        assert!(verdict.contains(said), "{said} is not in: {verdict}");
    }
    let page = fs::read_to_string(out.join("report.html")).expect("readable");
    assert!(page.contains("always answering cat"));
}

#[test]
fn groups_that_hold_most_pictures_are_a_finding_with_the_remedy() {
    let dir = tempdir().expect("a temporary folder");
    for class in ["cat", "dog"] {
        let folder = dir.path().join(class);
        fs::create_dir(&folder).expect("a folder");
        for index in 0..6 {
            // What a camera sees that never moves.
            picture(if index < 5 { 1 } else { 90 + index }, 64, 48).save(folder.join(format!("{index}.png"))).unwrap();
        }
    }
    let dataset = Dataset::list(dir.path(), None).expect("a data set");
    let files: Vec<_> = samples(&dataset).into_iter().map(|(_, sample)| sample.path(&dataset.root)).collect();
    let report = Report::new(&dataset, &find(&files, &|_, _| {}).links);
    let findings = serde_json::to_value(&report).expect("JSON")["findings"].to_string();
    for said in ["10 of 12 pictures", "5 of the 6 of the class cat", "--groups none", "copies.html"] {
        assert!(findings.contains(said), "{said} is not in: {findings}");
    }
    assert!(report.to_text().contains("--groups none"));
}

#[test]
fn a_method_has_one_name_and_sizes_have_an_end() {
    let config = Config::from_toml("[quantize]\nmethod = \"min-max\"").expect("the name on the command line");
    assert_eq!(config, Config::from_toml("[quantize]\nmethod = \"minmax\"").expect("the name of earlier versions"));
    for (text, named) in [
        ("[[model.features]]\ntype = \"conv\"\nchannels = 100000", "model.features"),
        ("[[model.features]]\ntype = \"residual\"\nchannels = 0", "model.features"),
        ("[model.head]\nhidden = [16, 1000000]", "model.head.hidden"),
    ] {
        let error = format!("{:#}", Config::from_toml(text).expect_err("too much"));
        assert!(error.contains(named) && error.contains("4096"), "{error}");
    }
}
