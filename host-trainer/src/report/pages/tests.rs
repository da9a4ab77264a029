//! Pages of tiny runs that no training made: a dense layer with some weights is the network.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use model_compiler::graph::{Clamp, FloatOp, Graph, Node, Shape};
use model_training::config::Config;
use model_training::data::augment::{Key, augment};
use model_training::data::dataset::{Dataset, Options, Reading};
use model_training::data::progress;
use model_training::data::record::Record;
use model_training::measure::scores::Scores;
use model_training::run::cross_validation::{CvDir, Plan};
use model_training::run::folder::RunDir;
use model_training::system::files::{CONFIG_FILE, GRAPH_FILE, METRICS_FILE};
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::device::boards::Place;
use crate::report::export::{Choices, export, reading};

const CONFIG: &str = "[model]\npreset = \"shallow\"\n[input]\nwidth = 16\nheight = 16\ncolor = \"grey\"\n\
                      [augment]\nsource_scale = 1.5\n[quantize]\nimages = 8\n";
const METRICS: &str = "epoch,learning_rate,train_loss,train_accuracy,valid_loss,valid_accuracy,seconds\n\
                       1,0.001,1.5,0.25,1.4,0.5,2.5\n2,0.001,1.3,0.5,1.2,0.625,2.5\n";

/// Writes this many pictures of each class, each another one.
fn draw(folder: &Path, classes: usize, of_each: usize) {
    for class in 0..classes {
        let folder = folder.join(format!("<{class}> & more"));
        fs::create_dir_all(&folder).unwrap();
        for index in 0..of_each {
            let noise = |x, y| ((x * 31 + y * 17 + 7) * (class * of_each + index + 3) as u32 % 251) as u8;
            let picture = image::GrayImage::from_fn(16, 16, |x, y| image::Luma([noise(x, y)]));
            picture.save(folder.join(format!("{index}.png"))).unwrap();
        }
    }
}

/// What training leaves in a run folder.
fn trained(run: &RunDir, classes: usize) -> Config {
    fs::create_dir_all(run.path()).unwrap();
    let weights = (0..classes * 256).map(|index| ((index * 37 % 251) as f32 - 125.0) / 2000.0).collect();
    let op = FloatOp::Dense { weights, bias: vec![0.0; classes], clamp: Clamp::None };
    let [input, output] = [(16, 1), (1, classes)].map(|(side, channels)| Shape { height: side, width: side, channels });
    let node = Node { name: "dense".into(), op, inputs: vec![0], output };
    let graph = Graph { input, zero: 0, nodes: vec![node] };
    fs::write(run.file(GRAPH_FILE), graph.to_bytes().unwrap()).unwrap();
    fs::write(run.file(METRICS_FILE), METRICS).unwrap();
    fs::write(run.file(CONFIG_FILE), CONFIG).unwrap();
    run.config().unwrap()
}

/// Exports a run of a data set, and gives its page as it is before and after that.
fn exported(run: &RunDir, mut dataset: Dataset) -> [String; 2] {
    let config = trained(run, dataset.classes.len());
    let images = progress::load(&mut dataset, &Reading::of_run(&config)).unwrap();
    let record = Record::new(&dataset, &images).unwrap();
    run.save_record(&record).unwrap();
    let page = || fs::read_to_string(run.file(REPORT_FILE)).unwrap();
    Unfinished::new(run, &config, &record, &images).unwrap().write().unwrap();
    let unfinished = page();
    let [title, name, core] = ["Board & more", "board", "Cortex-M4"].map(str::to_owned);
    let place = Place { title, name, core, clock_mhz: 100, flash: 1 << 20, ram: 1 << 18, cycles_per_mac: [1.25, 2.0] };
    let choices = Choices { boards: vec![place], ..Choices::default() };
    export(run, &config, &record, &images, &choices).unwrap();
    [unfinished, page()]
}

/// A run of this many classes with this many pictures each for training, validation and test.
fn run(classes: usize, of_each: [usize; 3]) -> (TempDir, RunDir, [String; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    ["train", "valid", "test"].iter().zip(of_each).for_each(|(split, n)| draw(&data.join(split), classes, n));
    let run = RunDir::new(&folder.path().join("run"));
    let pages = exported(&run, Dataset::open(&data, &Options::default()).unwrap());
    (folder, run, pages)
}

fn between<'p>(page: &'p str, open: &str, close: &str) -> Vec<&'p str> {
    page.split(open).skip(1).filter_map(|rest| rest.split(close).next()).collect()
}

/// The headings of a page.
fn headings(page: &str) -> Vec<&str> {
    between(page, "<h2>", "</h2>")
}

/// The text of the cells of each row of the tables in a section.
fn rows(page: &str, heading: &str) -> Vec<Vec<String>> {
    let section = page.split(&format!("<h2>{heading}</h2>")).nth(1).expect("the section").split("<h2>").next().unwrap();
    let text = |cell: &str| {
        let inner = cell.split_once('>').unwrap().1;
        let text: String = inner.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text)).collect();
        text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    };
    let cells = |row: &str| between(row, "<td", "</td>").into_iter().map(text).collect::<Vec<_>>();
    between(section, "<tr>", "</tr>").into_iter().map(cells).filter(|cells| !cells.is_empty()).collect()
}

fn number(value: &Value, digits: usize) -> String {
    format!("{:.digits$}", value.as_f64().expect("a number"))
}

#[test]
fn a_finished_page_has_its_parts_in_order_and_follows_nothing() {
    let (_folder, _, [unfinished, page]) = run(3, [8, 4, 4]);
    let parts = [
        "Result",
        "Mistakes, test images",
        "Calibration, test images",
        "Boards",
        "Data",
        "Augmentation",
        "Training",
        "Quantisation",
        "How this was made",
    ];
    assert_eq!(headings(&page), parts);
    let lead = between(&page, "<p class=\"lead\">", "</p>")[0];
    assert!(lead.starts_with("The int8 model has") && lead.matches(['.', ':']).count() >= 2, "{lead}");
    assert!(page.find("class=\"lead\"").unwrap() < page.find("<h2>").unwrap());
    assert!(!page.contains("<script") && !page.contains("refresh") && !page.contains("src=\"http"));
    assert!(!page.contains("<0>"), "names are text");

    let parts = ["Result so far, float network", "Training", "Data", "Augmentation", "How this was made"];
    assert_eq!(headings(&unfinished), parts);
    assert!(unfinished.contains("After epoch 2 of") && unfinished.contains("location.reload()"));
    assert!(unfinished.contains("train --resume"));
}

#[test]
fn changes_are_made_of_what_training_samples() {
    let (_folder, run, [unfinished, page]) = run(2, [4, 2, 2]);
    let (record, config) = (run.record().unwrap(), run.config().unwrap());
    let images = progress::load(&mut record.dataset(&record.root).unwrap(), &Reading::of_run(&config)).unwrap();
    let (source, shape) = (images.source(), images.train.shape);
    assert_eq!((source.shape.width, shape.width), (24, 16));
    let key = Key { seed: config.seed, epoch: 1, index: 0 };
    let changed = augment(&source.image(0), source.shape, shape, &config.augment, key);
    let picture = png_uri(&changed, shape.width, shape.height).unwrap();
    assert!(unfinished.contains(&picture) && page.contains(&picture));
}

#[test]
fn quantising_again_calibrates_on_as_many_as_asked_and_fits_the_temperature() {
    let (_folder, run, _) = run(2, [40, 100, 3]);
    let (record, config) = (run.record().unwrap(), run.config().unwrap());
    let mut dataset = record.dataset(&record.root).unwrap();
    let images = progress::load(&mut dataset, &reading(&record, &config)).unwrap();
    record.check_same(&dataset, &images).unwrap();
    let report = export(&run, &config, &record, &images, &Choices::default()).unwrap();
    assert!(report.calibration_images == 8 && report.temperature != 1.0, "validation images fit the temperature");
}

#[cfg(feature = "train")]
#[test]
fn each_epoch_writes_the_page() {
    use model_training::training::Observer;

    let (_folder, run, _) = run(2, [4, 2, 2]);
    fs::remove_file(run.file(REPORT_FILE)).unwrap();
    let record = run.record().unwrap();
    let config = run.config().unwrap();
    let images = progress::load(&mut record.dataset(&record.root).unwrap(), &Reading::of_run(&config)).unwrap();
    let page = Unfinished::new(&run, &config, &record, &images).unwrap();
    assert!(!run.file(REPORT_FILE).exists());
    page.epoch(&run.epochs().unwrap()[1], 2);
    assert!(fs::read_to_string(run.file(REPORT_FILE)).unwrap().contains("After epoch 2 of"));
}

#[test]
fn every_number_of_a_page_is_that_of_the_json() {
    let (_folder, run, [_, page]) = run(3, [8, 4, 4]);
    let report: Value = serde_json::from_slice(&fs::read(run.file("report.json")).unwrap()).unwrap();
    let splits = report["comparison"]["splits"].as_array().unwrap();
    let engines = splits.iter().flat_map(|split| {
        split["engines"].as_array().unwrap().iter().map(move |engine| (split["name"].as_str().unwrap(), engine))
    });
    let expected: Vec<Vec<String>> = engines
        .map(|(split, engine)| {
            let (accuracy, same) = (&engine["accuracy"], &engine["agreement"]["same"]);
            let of = |share: &Value| format!("{} of {}", share["count"], share["total"]);
            vec![
                split.to_owned(),
                engine["name"].as_str().unwrap().to_owned(),
                of(accuracy),
                number(&accuracy["value"], 3),
                format!("{} to {}", number(&accuracy["low"], 3), number(&accuracy["high"], 3)),
                number(&engine["macro_f1"], 3),
                if same.is_null() { String::new() } else { of(same) },
            ]
        })
        .collect();
    assert_eq!(expected.len(), 4);
    assert_eq!(rows(&page, "Result"), expected);

    let names = ["<0> & more", "<1> & more", "<2> & more"];
    let engines = &splits[1]["engines"];
    let matrix = |engine: &Value| -> Vec<Vec<String>> {
        let entries = engine["confusion"]["entries"].as_array().unwrap();
        let count = |truth: usize, predicted: usize| {
            let entry = entries.iter().find(|entry| entry[0] == truth && entry[1] == predicted);
            entry.map_or("0".to_owned(), |entry| entry[2].to_string())
        };
        (0..3).map(|truth| (0..3).map(|predicted| count(truth, predicted)).collect()).collect()
    };
    let classes = engines[1]["per_class"].as_array().unwrap().iter().zip(names).map(|(class, name)| {
        let shares = ["precision", "recall", "f1"].map(|name| number(&class[name], 3));
        [name.to_owned(), class["support"].to_string()].into_iter().chain(shares).collect()
    });
    let expected: Vec<Vec<String>> =
        matrix(&engines[1]).into_iter().chain(matrix(&engines[0])).chain(classes).collect();
    assert_eq!(rows(&page, "Mistakes, test images"), expected);

    let measured = ["float", "int8"].iter().zip(report["probabilities"].as_array().unwrap()).map(|(name, of)| {
        let numbers = [&of["nll"], &of["brier"], &of["ece"]].map(|value| number(value, 3));
        [(*name).to_owned(), number(&report["temperature"], 3)].into_iter().chain(numbers).collect()
    });
    assert_eq!(rows(&page, "Calibration, test images"), measured.collect::<Vec<Vec<String>>>());

    let board = &report["boards"][0];
    let kib = |value: &Value| format!("{:.1}", value.as_f64().unwrap() / 1024.0);
    let [low, high] = [0, 1].map(|end| number(&board["milliseconds"][end], 1));
    let expected = [
        "Board & more".to_owned(),
        "Cortex-M4".to_owned(),
        board["clock_mhz"].to_string(),
        "yes".to_owned(),
        format!("{low} to {high}"),
        kib(&board["flash_left"]),
        kib(&board["ram_left"]),
    ];
    assert_eq!(rows(&page, "Boards"), [expected]);

    let counts: Vec<Vec<String>> = names
        .iter()
        .map(|name| [*name, "8", "4", "4", "16"].map(str::to_owned).to_vec())
        .chain([["all", "24", "12", "12", "48"].map(str::to_owned).to_vec()])
        .collect();
    assert_eq!(rows(&page, "Data"), counts);

    let lines = rows(&page, "Quantisation");
    for (name, value) in [
        ("blob in flash, bytes", &report["flash"]),
        ("arena in RAM, bytes", &report["arena"]),
        ("multiply-accumulates", &report["macs"]),
        ("calibration images", &report["calibration_images"]),
    ] {
        assert!(lines.contains(&vec![name.to_owned(), value.to_string()]), "{name} in {lines:?}");
    }
    let made = &report["made"];
    let lines = rows(&page, "How this was made");
    for (name, value) in [("date", &made["date"]), ("command", &made["command"])] {
        assert!(lines.contains(&vec![name.to_owned(), value.as_str().unwrap().to_owned()]), "{name} in {lines:?}");
    }
    assert!(lines.contains(&vec!["seed".to_owned(), made["seed"].to_string()]));
    assert!(lines.contains(&vec!["version".to_owned(), format!("host-trainer {}", env!("CARGO_PKG_VERSION"))]));
}

#[test]
fn each_mistake_in_the_matrix_leads_to_its_pictures() {
    let (_folder, run, [_, page]) = run(4, [8, 4, 12]);
    let links: BTreeSet<&str> = between(&page, "href=\"#", "\"").into_iter().collect();
    let ids: BTreeSet<&str> = between(&page, "<div id=\"", "\"").into_iter().collect();
    assert!(links.len() > 2, "the network is wrong now and then: {links:?}");
    assert_eq!(links, ids);
    let predictions = model_training::measure::predictions::Predictions::load(&run.file("predictions.csv")).unwrap();
    let wrong: BTreeSet<String> = predictions
        .truth()
        .iter()
        .zip(predictions.int8())
        .filter(|(truth, said)| *truth != said)
        .map(|(truth, said)| format!("m-{truth}-{said}"))
        .collect();
    assert_eq!(links.into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), wrong);
}

#[test]
fn a_page_of_many_classes_stays_small() {
    let (_folder, run, [unfinished, page]) = run(500, [2, 1, 1]);
    for page in [&unfinished, &page] {
        assert!(page.len() < 3_000_000, "{} bytes", page.len());
    }
    assert!(page.contains("no matrix could be read") && page.contains("<summary>500 classes</summary>"));
    let all: u64 = fs::read_dir(run.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(all < 10_000_000, "{all} bytes in the run folder");
}

#[test]
fn a_cross_validation_shows_the_pictures_that_were_mistaken_and_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    // Given splits: the order of the plan, by class, is not that of the paths.
    ["train", "test"].iter().for_each(|split| draw(&data.join(split), 3, 8));
    let dir = CvDir::new(&folder.path().join("cv"));
    let config = Config::from_toml(CONFIG).unwrap();
    let whole = Dataset::open_whole(&data, &Options::default()).unwrap();
    let plan = Plan::new(&whole, &config, 2).unwrap();
    dir.claim(&plan).unwrap();
    for fold in 0..2 {
        exported(&dir.fold(fold), plan.dataset(&whole, fold).unwrap());
    }
    let (plan, predictions) = dir.join().unwrap();
    let scores = Scores::new(&predictions);
    let page = || cross_validation(&dir, &plan, &predictions, &scores, None).unwrap();
    let shown = page();
    let parts = [
        "Result",
        "Mistakes, all folds",
        "Calibration",
        "Data",
        "Augmentation",
        "Training",
        "Quantisation, the worst fold of each layer",
        "How this was made",
    ];
    assert_eq!(headings(&shown), parts);
    let mut names = BTreeSet::new();
    for figure in between(&shown, "<figure>", "</figure>") {
        let name = between(figure, "title=\"", "\"")[0].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        if !name.ends_with(".png") {
            continue;
        }
        let pixels = image::open(data.join(&name)).unwrap().to_luma8();
        assert_eq!(between(figure, "src=\"", "\""), [png_uri(pixels.as_raw(), 16, 16).unwrap()], "{name}");
        names.insert(name);
    }
    assert!(names.len() > 5, "{names:?}");
    let gone = names.first().unwrap();
    fs::remove_file(data.join(gone)).unwrap();
    let title = |name: &str| maud::html! { i title=(name) {} }.into_string().replace("<i ", "").replace("></i>", "");
    assert!(shown.contains(&title(gone)) && !page().contains(&title(gone)));
}
