//! Training without a configuration.

use std::fs;

use image::GrayImage;
use model_training::config::Recipe;
use model_training::run::folder::RunDir;
use tempfile::{TempDir, tempdir};

use crate::common::{call, pictures, pictures_of, refusal, text};

/// What the choice says of each recipe: its name, and how many it has right of how many.
fn tried(run: &RunDir) -> Vec<(String, u64, u64)> {
    let choice = fs::read_to_string(run.file("choice.json")).expect("a choice");
    let choice: serde_json::Value = serde_json::from_str(&choice).expect("JSON");
    let tried = choice["tried"].as_array().expect("a list").iter();
    let count = |tried: &serde_json::Value, name: &str| tried["accuracy"][name].as_u64().expect("a count");
    tried.map(|t| (t["name"].as_str().expect("a name").to_owned(), count(t, "count"), count(t, "total"))).collect()
}

#[test]
fn a_recipe_is_chosen_and_an_interrupted_choice_ends_with_the_same_bytes() {
    let (data, out) = (pictures_of(45, 34), tempdir().expect("a temporary folder"));
    let folder = out.path().join("run");
    let (run, out) = (RunDir::new(&folder), text(&folder));
    call(&["train", "--data", text(data.path()), "--out", out]).expect("it trains");
    let names: Vec<String> = tried(&run)
        .into_iter()
        .map(|(name, count, total)| {
            assert!(count <= total && total >= 4, "{count} of {total}");
            name
        })
        .collect();
    assert_eq!(names, ["frozen", "fine-tuned"]);
    let config = run.config().expect("the chosen configuration");
    assert_eq!(config.recipe, Recipe::Given, "the run's configuration says all");
    let compared = RunDir::new(&run.file("candidates/fine-tuned")).config().expect("a candidate's configuration");
    assert_eq!(
        (compared.quantize.images, config.quantize.images),
        (Some(64), None),
        "what is kept is calibrated on more"
    );
    let said = |text: &str| text.contains("The recipe was chosen for 16 pictures, 2 classes, in colour");
    let page = fs::read_to_string(run.file("report.html")).expect("a page");
    assert!(said(&page) && page.contains("Training run run"));

    let blob = fs::read(run.blob()).expect("a blob");
    for lost in ["choice.json", "model.blob", "candidates/final/graph.postcard", "candidates/fine-tuned/graph.postcard"]
    {
        fs::remove_file(run.file(lost)).unwrap_or_else(|error| panic!("{lost}: {error}"));
    }
    let again = refusal(&["train", "--data", text(data.path()), "--out", out]);
    assert!(again.contains("--resume"), "{again}");
    call(&["train", "--resume", out]).expect("it goes on");
    assert_eq!(fs::read(run.blob()).expect("a blob"), blob);
    assert!(run.file("choice.json").exists());

    call(&["quantize", out]).expect("it quantises again");
    assert!(said(&fs::read_to_string(run.file("report.json")).expect("a report")));
    call(&["parity", out, "--data", text(data.path())]).expect("the blob is that of the run's network");
}

/// Two classes with ten drawings each: a bar that stands, or one that lies.
fn drawings() -> TempDir {
    let dir = tempdir().expect("a temporary folder");
    for class in ["lying", "standing"] {
        fs::create_dir(dir.path().join(class)).expect("a folder");
        for index in 0..10 {
            let inked = |x: u32, y: u32| (if class == "lying" { y } else { x }).abs_diff(3 + index) < 2;
            let drawing = GrayImage::from_fn(16, 16, |x, y| image::Luma([if inked(x, y) { 20 } else { 230 }]));
            drawing.save(dir.path().join(class).join(format!("{index}.png"))).expect("a drawing");
        }
    }
    dir
}

#[test]
fn folds_choose_each_by_itself_and_try_a_network_of_their_own_for_drawings() {
    let (data, out) = (drawings(), tempdir().expect("a temporary folder"));
    let folds = out.path().join("cv");
    call(&["cv", "--data", text(data.path()), "--folds", "2", "--out", text(&folds)]).expect("it scores");
    for fold in ["fold-0", "fold-1"] {
        let names: Vec<String> = tried(&RunDir::new(&folds.join(fold))).into_iter().map(|(name, ..)| name).collect();
        assert_eq!(names, ["frozen", "fine-tuned", "scratch"]);
    }
    let report = fs::read_to_string(folds.join("report.json")).expect("a report");
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["images"], 20);
}

#[test]
fn what_an_automatic_recipe_would_choose_cannot_be_given() {
    let (data, out) = (pictures(), tempdir().expect("a temporary folder"));
    let config = out.path().join("config.toml");
    fs::write(&config, "recipe = \"automatic\"\n[train]\nepochs = 3\n").expect("written");
    let run = out.path().join("run");
    let error = refusal(&["train", "--data", text(data.path()), "--config", text(&config), "--out", text(&run)]);
    assert!(error.contains("train.epochs was 60 and is 3"), "{error}");
    assert!(!run.exists());
}

#[test]
fn a_board_leaves_out_what_does_not_fit_it() {
    let (data, out) = (pictures(), tempdir().expect("a temporary folder"));
    let (run, config) = (out.path().join("run"), out.path().join("config.toml"));
    // ResNet8 takes some 80 KiB of flash, MobileNetV1 at width 0.25 more than 200.
    fs::write(&config, "recipe = \"automatic\"\n[target]\nflash = 150\nram = 256\n").expect("written");
    let train = ["train", "--data", text(data.path()), "--config", text(&config), "--out", text(&run)];
    call(&train).expect("it trains");
    let tried = tried(&RunDir::new(&run));
    assert!(tried.len() == 1 && tried[0].0 == "scratch", "{tried:?}");

    fs::write(&config, "recipe = \"automatic\"\n[target]\nflash = 4\nram = 256\n").expect("written");
    fs::remove_dir_all(&run).expect("removed");
    let error = call(&train).expect_err("nothing fits").to_string();
    assert!(error.contains("none fits"), "{error}");
}
