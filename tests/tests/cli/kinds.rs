//! Every command that reads a blob or a run, on every way to make one.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use host_trainer::device::signing::Signer;
use model_training::data::faces::CLASSES;
use model_training::measure::evaluate::{parse, read_blob};
use no_std_infer::format::arena_len;
use tests::tflite::{ENDS, classifier};

use crate::common::{Faces, call, text};

/// KiB of arena that suffice without transformed weights, and not with as many as the flash has room for.
const BOTH_KIB: &str = "9";
const RESNET8: &str = "[model]\npreset = \"resnet8\"\n[input]\nwidth = 16\nheight = 16\n[train]\nepochs = 1\n";
/// The output layer alone is fitted, to the features of the weights that ship.
const TRANSFER: &str = "[model]\npreset = \"mobilenet\"\n[model.pretrained]\nfile = \"imagenet\"\n[input]\nwidth = 32\nheight = 32\n\
                        [normalization]\nmean = [0.5, 0.5, 0.5]\nstd = [0.5, 0.5, 0.5]\n[train]\nepochs = 1\nhead_first = 6.0\n\
                        frozen = [\"features\", \"head\"]\n";

/// How a run is made: what its configuration says, more of that, and how it is quantised again; `transfer` with what folds say
/// of its probabilities as well.
const KINDS: [(&str, &str, &str, &[&str]); 7] = [
    ("plain", RESNET8, "", &[]),
    ("flash", RESNET8, "", &["--flash-budget", "600"]),
    ("ram", RESNET8, "", &["--ram-budget", "0"]),
    ("both", RESNET8, "", &["--flash-budget", "600", "--ram-budget", BOTH_KIB]),
    ("aware", RESNET8, "[quantize.aware]\nepochs = 1\n", &[]),
    ("kmeans", RESNET8, "[model.kmeans]\npatches = 500\n", &["--ram-budget", "0"]),
    ("transfer", TRANSFER, "", &["--ram-budget", "0"]),
];

fn success(arguments: &[&str]) {
    let code = call(arguments).unwrap_or_else(|error| panic!("{arguments:?}: {error:#}"));
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS), "{arguments:?}");
}

/// What can be done with a blob alone: the pictures are in its classes, and the key signs.
fn every_command_takes(blob: &str, [data, picture, key]: [&str; 3]) {
    let bytes = read_blob(blob.as_ref()).expect("the blob");
    let model = parse(&bytes, blob.as_ref()).expect("a valid blob");
    let file = |extension: &str| blob.replace(".blob", extension);
    let [inputs, outputs, page, certificate, signed] =
        [".in.i8", ".out.i8", ".html", ".certificate.json", ".signed.blob"].map(file);
    fs::write(&inputs, vec![7; 2 * model.info().input.tensor.len()]).expect("written");
    success(&["inspect", blob]);
    success(&["inspect", blob, "--json"]);
    success(&["predict", blob, picture]);
    success(&["eval", blob, "--data", data]);
    success(&["run", blob, "--input", &inputs, "--output", &outputs, "--layers", &file(".layers")]);
    assert_eq!(fs::read(&outputs).expect("outputs").len(), 2 * model.output().len());
    success(&["bench", blob, "--rounds", "1", "--seconds", "0.001"]);
    success(&["estimate", blob, "--modelled"]);
    success(&["twin", blob, "--out", &page, "--samples", data]);
    let certify = ["certify", blob, "--data", data, "--limit", "2", "--specification", "1"];
    success(&[&certify[..], &["--out", &certificate]].concat());
    success(&["certify", "--verify", &certificate, "--model", blob, "--data", data]);
    success(&["sign", blob, "--key", key, "--number", "3", "--out", &signed]);
    success(&["eval", &signed, "--data", data]);
    let signer = Signer::of(&fs::read(&signed).expect("the signed blob")).expect("it is signed");
    assert_eq!((signer.number, signer.valid), (3, true));
}

#[test]
fn commands_work_on_all_kinds_of_blobs() {
    let faces = Faces::draw();
    let (data, picture, key) = (faces.path("faces"), faces.path("faces/test/happy/0000.png"), faces.path("owner.key"));
    call(&["keygen", &key]).expect("a key");
    let mut arenas = Vec::new();
    for (kind, config, entries, budget) in KINDS {
        let file = faces.dir.path().join(format!("{kind}.toml"));
        fs::write(&file, format!("{config}{entries}")).expect("written");
        let run = faces.path(kind);
        success(&["train", "--data", &data, "--config", text(&file), "--out", &run]);
        let quantize = [&["quantize", &run], budget].concat();
        if kind == "transfer" {
            let folds = faces.path("folds");
            success(&["cv", "--data", &data, "--config", text(&file), "--folds", "2", "--out", &folds]);
            success(&[&quantize[..], &["--calibration", &folds]].concat());
        } else if !budget.is_empty() {
            success(&quantize);
        }
        let blob = format!("{run}/model.blob");
        every_command_takes(&blob, [&data, &picture, &key]);
        success(&["parity", &run, "--data", &data]);
        success(&["compare", &run, &run]);
        arenas.push(arena_len(&fs::read(&blob).expect("the blob")));
    }
    let [plain, _, ram, both, ..] = arenas[..] else { panic!("all kinds") };
    assert!(ram < plain && both <= 9 * 1024, "{arenas:?}");
}

#[test]
fn commands_work_on_an_imported_blob() {
    let faces = Faces::draw();
    let [data, model, labels, blob, key] =
        ["faces", "c.tflite", "labels.txt", "imported.blob", "owner.key"].map(|name| faces.path(name));
    call(&["keygen", &key]).expect("a key");
    // The model tells three classes apart.
    let [classes @ .., other] = CLASSES;
    for side in ["train", "valid", "test"] {
        fs::remove_dir_all(Path::new(&data).join(side).join(other)).expect("removed");
    }
    fs::write(&model, classifier().finish(ENDS[0], ENDS[1])).expect("written");
    fs::write(&labels, classes.join("\n")).expect("written");
    success(&["import", &model, "--out", &blob, "--labels", &labels]);
    every_command_takes(&blob, [&data, &format!("{data}/test/{}/0000.png", classes[0]), &key]);
}
