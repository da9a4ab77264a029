//! Labels that are wrong: found by what models say, shown, and put right.

use std::fs;
use std::path::Path;

use model_training::data::dataset::{Dataset, Reading, Sample, View};
use model_training::data::faces::CLASSES;
use model_training::data::progress;
use model_training::measure::evaluate::{Int8Output, class_names, input_config, int8_outputs, parse, read_blob};
use model_training::measure::predictions::{Prediction, Predictions};
use tempfile::tempdir;

use crate::common::{call, refusal, text};

/// Drawings of each class.
const DRAWINGS: usize = 100;
/// Of so many drawings one is filed under the next class.
const ONE_OF: usize = 20;
/// In the name of each of these.
const MARK: &str = "wrong-";

/// Draws faces that the model of `data` has not seen, files one of [`ONE_OF`] under the next class, and returns how many.
fn draw(folder: &Path) -> usize {
    let (all, count) = (folder.join("all"), DRAWINGS.to_string());
    let sizes = ["--seed", "77", "--train", "0", "--valid", "0", "--test", &count];
    call(&[&["dev", "faces", "--out", text(&all)][..], &sizes].concat()).expect("it draws");
    let mut wrong = 0;
    for (class, own) in CLASSES.iter().enumerate() {
        for index in 0..DRAWINGS {
            let is_wrong = index % ONE_OF == 3;
            let (label, mark) = if is_wrong { (CLASSES[(class + 1) % CLASSES.len()], MARK) } else { (*own, "") };
            let into = folder.join("faces").join(label);
            fs::create_dir_all(&into).expect("a folder");
            let from = all.join(format!("test/{own}/{index:04}.png"));
            fs::rename(from, into.join(format!("{mark}{own}-{index:04}.png"))).expect("moved");
            wrong += usize::from(is_wrong);
        }
    }
    wrong
}

/// What the model of `data` says of the faces, as a run keeps it.
fn predict(data: &Path, file: &Path) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/faces.blob");
    let blob = read_blob(&path).expect("the model");
    let model = parse(&blob, &path).expect("a valid model");
    let mut dataset = Dataset::open_for(data, &class_names(&model), false).expect("the faces");
    let reading = Reading::all(&input_config(&model, &path).expect("pictures"), View::Rgb888);
    let images = progress::load(&mut dataset, &reading).expect("readable");
    let scale = model.info().logits.scale;
    let prediction = |(sample, output): (&Sample, Int8Output)| {
        let float = output.logits.iter().map(|&logit| scale * f32::from(logit)).collect();
        let (path, group) = (sample.name.clone(), sample.group.clone());
        Prediction { path, label: sample.label, group, fold: None, float, int8: output.logits, scale }
    };
    let images = dataset.test.iter().zip(int8_outputs(&model, &images.test)).map(prediction).collect();
    Predictions { classes: class_names(&model), images }.save(file).expect("written");
}

#[test]
fn wrong_labels_are_found_and_put_right() {
    let dir = tempdir().expect("a temporary folder");
    let wrong = draw(dir.path());
    let (data, run) = (dir.path().join("faces"), dir.path().join("run"));
    fs::create_dir(&run).expect("a folder");
    predict(&data, &run.join("predictions.csv"));
    call(&["data", "labels", text(&run), "--data", text(&data)]).expect("it looks");

    let list = fs::read_to_string(run.join("suspects.csv")).expect("the list");
    let suspects: Vec<&str> = list.lines().skip(1).collect();
    let first = &suspects[..suspects.len().min(wrong)];
    let hits: Vec<&str> = first.iter().copied().filter(|line| line.contains(MARK)).collect();
    let of_all = suspects.iter().filter(|line| line.contains(MARK)).count();
    let share = |count: usize, of: usize| count as f64 / of as f64;
    let (recall, precision) = (share(hits.len(), wrong), share(hits.len(), first.len()));
    println!(
        "{wrong} of {} labels are wrong; among the first {}: recall {recall:.2}, precision {precision:.2}; among all {}: recall \
         {:.2}, precision {:.2}",
        CLASSES.len() * DRAWINGS,
        first.len(),
        suspects.len(),
        share(of_all, wrong),
        share(of_all, suspects.len())
    );
    assert!(recall >= 0.6 && precision >= 0.6, "by chance both would be {:.2}", share(1, ONE_OF));
    let page = fs::read_to_string(run.join("suspects.html")).expect("the page");
    assert!(page.contains("data-key=\"4\"") && page.contains("data:image/jpeg") && !page.contains("cannot be shown"));

    put_right(text(&data), text(&dir.path().join("corrections.csv")), &hits);
}

/// Files in the folder of the class that their names say, and all files.
fn filed(data: &str) -> [usize; 2] {
    let (mut right, mut all) = (0, 0);
    for class in CLASSES {
        for file in fs::read_dir(Path::new(data).join(class)).expect("a folder") {
            right += usize::from(file.expect("a file").file_name().to_string_lossy().contains(class));
            all += 1;
        }
    }
    [right, all]
}

/// Corrects these lines of the list, and checks that only they move.
fn put_right(data: &str, corrections: &str, lines: &[&str]) {
    fs::write(corrections, format!("path,label,to,of_label,of_said,margin\n{}\n", lines.join("\n"))).expect("written");
    let before = filed(data);
    let apply = ["data", "labels", "--apply", corrections, "--data", data];
    call(&apply).expect("it says what would move");
    assert_eq!(filed(data), before);
    call(&[&apply[..], &["--yes"]].concat()).expect("it moves");
    let [right, all] = before;
    let [now, still] = filed(data);
    // What a wrong label hides is found, but the model may say another class than the drawing's.
    assert!(now > right + lines.len() / 2 && now <= right + lines.len() && still == all, "{now} after {right}");
    call(&[&apply[..], &["--yes"]].concat()).expect("all have moved");
    let undo = corrections.replace(".csv", ".undo.csv");
    call(&["data", "labels", "--apply", &undo, "--data", data, "--yes"]).expect("it moves back");
    assert_eq!(filed(data), before);
}

#[test]
fn what_holds_no_predictions_is_refused() {
    let dir = tempdir().expect("a temporary folder");
    let error = refusal(&["data", "labels", text(dir.path())]);
    assert!(error.contains("`cv` with all folds") && error.contains(text(dir.path())), "{error}");
}
