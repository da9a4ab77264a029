//! Bounds that stand elsewhere and follow from measured figures.

use tests::results::{Results, device_rows};

use crate::tree::{files, read, relative, root};

/// The numbers of a cell `mean (lowest to highest)`.
fn mean_and_range(cell: &str) -> Option<[f64; 3]> {
    let (mean, range) = cell.strip_suffix(')')?.split_once(" (")?;
    let (low, high) = range.split_once(" to ")?;
    Some([mean.parse().ok()?, low.parse().ok()?, high.parse().ok()?])
}

/// Five normal values lie 2.3 standard deviations apart on average, so twice as far below their mean hardly any lies.
#[test]
fn ci_takes_the_demo_down_to_two_ranges_below_the_mean_over_seeds() {
    let results = Results::load(&root().join("results.json")).unwrap();
    let table = results.results.iter().find(|table| table.id == "demo").expect("the demo's table");
    let row = table.rows.iter().find(|row| row[0] == "resnet8" && row[1].ends_with("test")).expect("the demo's row");
    let [mean, low, high] = mean_and_range(&row[3]).expect("int8's mean and range");
    let bound = (100.0 * (mean - 2.0 * (high - low))).floor();
    let script = read(&root().join(".ci/run"));
    let (_, bounds) = script.split_once("--min-accuracy ").expect("the demo's bound");
    let written: f64 = bounds.split_whitespace().next().and_then(|percent| percent.parse().ok()).expect("a number");
    assert_eq!(written, bound, "{mean} ({low} to {high})");
}

/// A column of figures is aligned to the right, as generated tables have it.
#[test]
fn tables_of_figures_say_of_which_commit_they_are() {
    let mut silent = Vec::new();
    for path in files(&root().join("docs"), "md") {
        for section in read(&path).split("\n## ") {
            let lines: Vec<&str> = section.lines().collect();
            for at in (1..lines.len()).filter(|&at| lines[at].starts_with('|') && lines[at].contains("---:")) {
                let said = lines[at - 1].contains("| commit |")
                    || lines[at..].iter().any(|line| line.starts_with("<sub>commit"));
                if !said {
                    silent.push(format!("{}: {}", relative(&path), lines[at - 1]));
                }
            }
        }
    }
    assert!(silent.is_empty(), "no `<sub>commit HASH, MACHINE, DATE</sub>` below:\n{}", silent.join("\n"));
}

#[test]
fn the_demos_costs_are_what_its_firmware_prints() {
    let results = Results::load(&root().join("results.json")).unwrap();
    let table = results.results.iter().find(|table| table.id == "device").expect("the table of the demo's costs");
    assert_eq!(
        table.rows,
        device_rows(&root()).unwrap(),
        "`cargo run -p tests --example results -- runs device` puts what demo.expected says into results.json"
    );
}
