//! What the tests share: calling a command, and pictures to call it with.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use host_trainer::commands::{Cli, run};
use image::{Rgb, RgbImage};
use tempfile::{TempDir, tempdir};

pub fn call(arguments: &[&str]) -> anyhow::Result<ExitCode> {
    let all = ["host-trainer"].into_iter().chain(arguments.iter().copied());
    run(Cli::try_parse_from(all)?)
}

/// The error of a command that must fail, checked to be one paragraph.
pub fn refusal(arguments: &[&str]) -> String {
    let error = call(arguments).expect_err("the command must fail");
    let text = format!("{error:#}");
    assert!(!text.contains("\n\n"), "more than a paragraph: {text}");
    text
}

pub fn picture(seed: u8, width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([seed, (x * 3) as u8 ^ seed, (y * 5) as u8]))
}

/// Two classes with ten pictures each.
pub fn pictures() -> TempDir {
    pictures_of(12, 9)
}

/// The same, of other sizes.
pub fn pictures_of(width: u32, height: u32) -> TempDir {
    let dir = tempdir().expect("a temporary folder");
    for (class, seed) in [("cat", 20), ("dog", 200)] {
        fs::create_dir(dir.path().join(class)).expect("a folder");
        for index in 0..10 {
            let path = dir.path().join(class).join(format!("{index}.png"));
            picture(seed + index, width, height).save(path).expect("a picture");
        }
    }
    dir
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

/// Trains on `data`, which must fail, name `named`, and leave no run folder.
pub fn training_refuses(data: &Path, named: &[&str]) {
    let out = tempdir().expect("a temporary folder");
    let run_dir = out.path().join("run");
    let error = refusal(&["train", "--data", text(data), "--out", text(&run_dir)]);
    for name in named {
        assert!(error.contains(name), "{name} is not in: {error}");
    }
    assert!(!run_dir.exists(), "a run folder was left behind");
}

/// 208 small faces of four classes, of which every other two are in a group, and a configuration that trains fast.
pub struct Faces {
    pub dir: TempDir,
    pub config: String,
    pub groups: String,
}

impl Faces {
    pub fn draw() -> Self {
        let dir = tempdir().expect("a temporary folder");
        let data = dir.path().join("faces");
        let sizes = ["--size", "16", "--train", "40", "--valid", "6", "--test", "6"];
        call(&[&["dev", "faces", "--out", text(&data)][..], &sizes].concat()).expect("it draws");
        let config = dir.path().join("config.toml");
        let entries = "[model]\npreset = \"shallow\"\n[input]\nwidth = 16\nheight = 16\n[train]\nepochs = 1\n";
        fs::write(&config, entries).expect("written");
        let groups = dir.path().join("groups.csv");
        let rows = (0..40).map(|i| format!("train/happy/{i:04}.png,g{}\n", i / 2)).collect::<String>();
        fs::write(&groups, format!("path,group\n{rows}")).expect("written");
        Self { config: text(&config).to_owned(), groups: text(&groups).to_owned(), dir }
    }

    pub fn path(&self, name: &str) -> String {
        text(&self.dir.path().join(name)).to_owned()
    }

    /// Cross-validates into `out`.
    pub fn cv(&self, out: &str, more: &[&str]) -> anyhow::Result<ExitCode> {
        let (data, out) = (self.path("faces"), self.path(out));
        let arguments = ["cv", "--data", &data, "--config", &self.config, "--groups", &self.groups, "--out", &out];
        call(&[&arguments, &["--folds", "3"][..], more].concat())
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.dir.path().join(name)).expect("readable")
    }
}
