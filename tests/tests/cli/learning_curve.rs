//! Accuracy over the number of photographs.

use std::fs;

use crate::common::{Faces, call, refusal};

#[test]
fn a_curve_goes_on_where_it_was_and_its_last_point_is_the_cross_validation() {
    let faces = Faces::draw();
    let (data, out) = (faces.path("faces"), faces.path("curve"));
    let arguments =
        ["learning-curve", "--data", &data, "--config", &faces.config, "--groups", &faces.groups, "--out", &out];
    let curve = |points: &'static str| [&arguments[..], &["--folds", "3", "--points", points]].concat();
    call(&curve("2")).expect("two points");
    let figures = faces.read("curve/learning-curve.json");
    faces.cv("whole", &[]).expect("three folds");
    assert_eq!(faces.read("curve/share-1/predictions.csv"), faces.read("whole/predictions.csv"));
    assert_ne!(faces.read("curve/share-2/predictions.csv"), faces.read("whole/predictions.csv"));

    // A network that was killed before its predictions were written goes on where it was; what is there stays.
    let there = faces.dir.path().join("curve/share-1/fold-0/model.blob");
    let before = fs::metadata(&there).and_then(|file| file.modified()).expect("a time");
    fs::remove_file(faces.dir.path().join("curve/share-2/fold-1/predictions.csv")).expect("removed");
    call(&[&curve("2")[..], &["--json"]].concat()).expect("it goes on");
    assert_eq!(faces.read("curve/learning-curve.json"), figures);
    assert_eq!(fs::metadata(&there).and_then(|file| file.modified()).expect("a time"), before);

    let figures: serde_json::Value = serde_json::from_slice(&figures).expect("JSON");
    let photographs = |point: usize| figures["points"][point]["photographs"].as_f64().expect("a number");
    assert!((photographs(1) - 2.0 / 3.0 * 188.0).abs() < 1.5, "{figures}");
    assert!((photographs(0) - photographs(1) / 2.0).abs() < 3.0, "{figures}");
    assert!(String::from_utf8(faces.read("curve/learning-curve.svg")).expect("UTF-8").contains("power law"));

    assert!(refusal(&curve("1")).contains("2 to 10"));
    assert!(refusal(&curve("9")).contains("lower --points"));
    let other = [&arguments[..], &["--folds", "4", "--points", "2"]].concat();
    assert!(refusal(&other).contains("--folds was 3"));
}
