//! Every command that reads a blob or a run, on every way to make one.

use std::fs;
use std::process::ExitCode;

use no_std_infer::format::arena_len;

use crate::common::{Faces, call, text};

/// KiB of arena that suffice without transformed weights, and not with as many as the flash has room for.
const BOTH_KIB: &str = "9";

/// How a run is made: what its configuration says besides the network, and how it is quantised again.
const KINDS: [(&str, &str, &[&str]); 6] = [
    ("plain", "", &[]),
    ("flash", "", &["--flash-budget", "600"]),
    ("ram", "", &["--ram-budget", "0"]),
    ("both", "", &["--flash-budget", "600", "--ram-budget", BOTH_KIB]),
    ("aware", "[quantize.aware]\nepochs = 1\n", &[]),
    ("kmeans", "[model.kmeans]\npatches = 500\n", &["--ram-budget", "0"]),
];

fn success(arguments: &[&str]) {
    let code = call(arguments).unwrap_or_else(|error| panic!("{arguments:?}: {error:#}"));
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS), "{arguments:?}");
}

#[test]
fn commands_work_on_all_kinds_of_blobs() {
    let faces = Faces::draw();
    let (data, picture) = (faces.path("faces"), faces.path("faces/test/happy/0000.png"));
    let mut arenas = Vec::new();
    for (kind, entries, budget) in KINDS {
        let config = faces.dir.path().join(format!("{kind}.toml"));
        let network = "[model]\npreset = \"resnet8\"\n[input]\nwidth = 16\nheight = 16\n[train]\nepochs = 1\n";
        fs::write(&config, format!("{network}{entries}")).expect("written");
        let run = faces.path(kind);
        let train = ["train", "--data", &data, "--config", text(&config), "--out", &run];
        success(&train);
        if !budget.is_empty() {
            success(&[&["quantize", &run], budget].concat());
        }
        let blob = format!("{run}/model.blob");
        success(&["inspect", &blob]);
        success(&["inspect", &blob, "--json"]);
        success(&["predict", &blob, &picture]);
        success(&["eval", &blob, "--data", &data]);
        success(&["parity", &run, "--data", &data]);
        success(&["compare", &run, &run]);
        arenas.push(arena_len(&fs::read(&blob).expect("the blob")));
    }
    let [plain, _, ram, both, ..] = arenas[..] else { panic!("all kinds") };
    assert!(ram < plain && both <= 9 * 1024, "{arenas:?}");
}
