//! The commands as a user calls them: what they refuse, how they say it, and that nothing is left half-written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use host_trainer::commands::{Cli, run};
use host_trainer::config::Preset;
use host_trainer::faces::{CLASSES, draw};
use host_trainer::signing::Signer;
use image::imageops::flip_horizontal;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use model_compiler::aligned::Aligned;
use model_compiler::blob::repair_crc;
use no_std_infer::Model;
use no_std_infer::format::InputKind;
use tempfile::{TempDir, tempdir};
use tests::networks::preset;
use tests::operators::{ANY_IMAGE, without_names};

fn call(arguments: &[&str]) -> anyhow::Result<ExitCode> {
    let all = ["host-trainer"].into_iter().chain(arguments.iter().copied());
    run(Cli::try_parse_from(all)?)
}

/// The error of a command that must fail, checked to be one paragraph.
fn refusal(arguments: &[&str]) -> String {
    let error = call(arguments).expect_err("the command must fail");
    let text = format!("{error:#}");
    assert!(!text.contains("\n\n"), "more than a paragraph: {text}");
    text
}

fn picture(seed: u8, width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([seed, (x * 3) as u8 ^ seed, (y * 5) as u8]))
}

/// Two classes with ten pictures each.
fn pictures() -> TempDir {
    let dir = tempdir().expect("a temporary folder");
    for (class, seed) in [("cat", 20), ("dog", 200)] {
        fs::create_dir(dir.path().join(class)).expect("a folder");
        for index in 0..10 {
            let path = dir.path().join(class).join(format!("{index}.png"));
            picture(seed + index, 12, 9).save(path).expect("a picture");
        }
    }
    dir
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

/// Trains on `data`, which must fail, name `named`, and leave no run folder.
fn training_refuses(data: &Path, named: &[&str]) {
    let out = tempdir().expect("a temporary folder");
    let run_dir = out.path().join("run");
    let error = refusal(&["train", "--data", text(data), "--out", text(&run_dir)]);
    for name in named {
        assert!(error.contains(name), "{name} is not in: {error}");
    }
    assert!(!run_dir.exists(), "a run folder was left behind");
}

#[test]
fn an_empty_or_missing_folder() {
    let empty = tempdir().expect("a temporary folder");
    training_refuses(empty.path(), &[text(empty.path())]);
    training_refuses(Path::new("no/such/folder"), &["no/such/folder"]);
}

/// A split folder of drawings, in which a test picture is a training picture in the mirror.
fn leaking() -> TempDir {
    let dir = tempdir().expect("a temporary folder");
    for (split, class, seeds) in [("train", 0, 0..3), ("train", 1, 3..6), ("valid", 0, 6..7), ("valid", 1, 7..8)] {
        let folder = dir.path().join(split).join(CLASSES[class]);
        fs::create_dir_all(&folder).expect("a folder");
        for seed in seeds {
            draw(seed, class, 128).save(folder.join(format!("{seed}.png"))).expect("a picture");
        }
    }
    let folder = dir.path().join("test").join(CLASSES[1]);
    fs::create_dir_all(&folder).expect("a folder");
    flip_horizontal(&draw(1, 0, 128)).save(folder.join("mirrored.png")).expect("a picture");
    dir
}

#[test]
fn copies_are_listed_and_shown_and_a_split_that_leaks_is_refused() {
    let data = leaking();
    let check = ["data", "check", text(data.path())];
    call(&check).expect("the copies are found");
    let groups = fs::read_to_string(data.path().join("groups.csv")).expect("the groups file");
    assert_eq!(groups.lines().count(), 10);
    for line in ["path,split,label,group", "train/angry/1.png,train,angry,1", "test/happy/mirrored.png,test,happy,1"] {
        assert!(groups.lines().any(|found| found == line), "{line} is not in: {groups}");
    }
    let page = fs::read_to_string(data.path().join("copies.html")).expect("the page");
    assert_eq!(page.matches("data:image/jpeg;base64,").count(), 2);
    assert!(page.contains("test/happy/mirrored.png") && page.contains("several sides of the split: 1<"));

    assert!(refusal(&check).contains("--overwrite"));
    call(&[&check[..], &["--overwrite", "--against", text(&data.path().join("groups.csv")), "--json"]].concat())
        .expect("the copies are found again");
    assert_eq!(fs::read_to_string(data.path().join("groups.csv")).expect("the groups file"), groups);
    training_refuses(data.path(), &["train/angry/1.png and test/happy/mirrored.png", "--allow-leak"]);
}

#[test]
fn one_class() {
    let data = pictures();
    fs::remove_dir_all(data.path().join("dog")).expect("removed");
    training_refuses(data.path(), &["one class", "cat"]);
}

#[test]
fn a_class_with_one_image() {
    let data = pictures();
    for index in 1..10 {
        fs::remove_file(data.path().join(format!("dog/{index}.png"))).expect("removed");
    }
    training_refuses(data.path(), &["dog"]);
}

#[test]
fn every_bad_file_is_listed() {
    let data = pictures();
    fs::write(data.path().join("cat/text.jpg"), "no picture").expect("written");
    let mut jpeg = std::io::Cursor::new(Vec::new());
    picture(1, 64, 64).write_to(&mut jpeg, ImageFormat::Jpeg).expect("encoded");
    let half = jpeg.get_ref().len() / 2;
    fs::write(data.path().join("dog/half.jpg"), &jpeg.get_ref()[..half]).expect("written");
    training_refuses(data.path(), &["text.jpg", "half.jpg", "--skip-bad"]);
}

#[test]
fn an_unknown_or_impossible_entry_of_the_configuration() {
    let data = pictures();
    let config = data.path().join("config.toml");
    let out = data.path().join("run");
    for (line, named) in
        [("[train]\nepoch = 3", "epoch"), ("[train]\nepochs = 0", "epochs"), ("nonsense", "config.toml")]
    {
        fs::write(&config, line).expect("written");
        let error = refusal(&["train", "--data", text(data.path()), "--config", text(&config), "--out", text(&out)]);
        assert!(error.contains(named), "{named} is not in: {error}");
        assert!(!out.exists());
    }
}

#[test]
fn a_run_folder_that_cannot_be_made() {
    let data = pictures();
    let file = data.path().join("file");
    fs::write(&file, "in the way").expect("written");
    let out = file.join("run");
    let error = refusal(&["train", "--data", text(data.path()), "--out", text(&out)]);
    assert!(error.contains(text(&out)) && error.contains("--out"), "{error}");
    assert_eq!(fs::read_to_string(&file).expect("still a file"), "in the way");
}

fn blob(dir: &TempDir) -> PathBuf {
    let path = dir.path().join("model.blob");
    fs::write(&path, &*preset(Preset::Shallow, 16, 20, 3).blob).expect("written");
    path
}

#[test]
fn a_blob_that_is_none() {
    let dir = tempdir().expect("a temporary folder");
    let path = blob(&dir);
    let good = fs::read(&path).expect("readable");
    let mut newer = good.clone();
    newer[4] += 1;
    repair_crc(&mut newer);
    let newer_version = format!("version {}", newer[4]);
    let mut damaged = good.clone();
    damaged[100] ^= 1;
    let cases =
        [(&newer[..], newer_version.as_str()), (&damaged, "damaged"), (&good[..99], "cut off"), (b"text", "cut off")];
    for (bytes, named) in cases {
        fs::write(&path, bytes).expect("written");
        let error = refusal(&["inspect", text(&path)]);
        assert!(error.contains(named) && error.contains("model.blob"), "{named} is not in: {error}");
    }
}

#[test]
fn a_model_that_reads_no_pictures_or_does_not_classify_them() {
    let dir = tempdir().expect("a temporary folder");
    let path = dir.path().join("model.blob");
    let folder = text(dir.path());
    let tensor = without_names(InputKind::Tensor, [1, 1, 490]);
    let image = without_names(InputKind::Image(ANY_IMAGE), [6, 8, 3]);
    let cases = [
        (tensor, "reads a tensor of 1x490 int8 values, not pictures: use `host-trainer run`"),
        (image, "gives 6x8x3 values for a picture, not one score a class: use `host-trainer run`"),
    ];
    for (blob, named) in cases {
        fs::write(&path, &*blob).expect("written");
        for arguments in [["predict", text(&path), "x.png"].to_vec(), ["eval", text(&path), "--data", folder].to_vec()]
        {
            let error = refusal(&arguments);
            assert!(error.contains(named), "{named} is not in: {error}");
        }
        call(&["inspect", text(&path)]).expect("a blob need not read pictures");
    }
}

#[test]
fn any_kind_of_picture_is_classified() {
    let dir = tempdir().expect("a temporary folder");
    let blob = blob(&dir);
    let big = DynamicImage::from(picture(3, 300, 200));
    let kinds = [
        ("one-pixel.png", DynamicImage::from(picture(9, 1, 1))),
        ("grey.png", big.to_luma8().into()),
        ("sixteen-bit.png", big.to_rgb16().into()),
        ("alpha.png", big.to_rgba8().into()),
        ("large.bmp", DynamicImage::from(picture(7, 5200, 4000))),
    ];
    let paths: Vec<PathBuf> = kinds
        .iter()
        .map(|(name, picture)| {
            let path = dir.path().join(name);
            picture.save(&path).expect("written");
            path
        })
        .collect();
    let mut arguments = vec!["predict", text(&blob)];
    arguments.extend(paths.iter().map(|path| text(path)));
    call(&arguments).expect("all are pictures");
    call(&["inspect", text(&blob), "--json"]).expect("the blob is good");

    let unnamed = dir.path().join("unnamed.blob");
    fs::write(&unnamed, &*without_names(InputKind::Image(ANY_IMAGE), [1, 1, 3])).expect("written");
    arguments[1] = text(&unnamed);
    call(&arguments).expect("classes need no names");

    let missing = dir.path().join("missing.png");
    assert!(refusal(&["predict", text(&blob), text(&missing)]).contains("missing.png"));
    let other = dir.path().join("other.png");
    let error = refusal(&["predict", text(&blob), text(&missing), text(&paths[0]), text(&other)]);
    assert!(error.contains("2 of 3") && error.contains("missing.png") && error.contains("other.png"), "{error}");
}

/// The whole path on a task that any network learns, then the commands that read a run folder.
#[test]
fn from_pictures_to_parity() {
    let data = pictures();
    let out = data.path().join("out");
    let config = data.path().join("config.toml");
    fs::write(&config, "[model]\npreset = \"shallow\"\n[input]\nwidth = 16\nheight = 16\n[train]\nepochs = 2\n")
        .expect("written");
    let pictures = tempdir().expect("a temporary folder");
    for class in ["cat", "dog"] {
        fs::rename(data.path().join(class), pictures.path().join(class)).expect("moved");
    }
    let folder = text(pictures.path());
    call(&["train", "--data", folder, "--config", text(&config), "--out", text(&out)]).expect("it trains");
    for name in ["model.blob", "report.json", "report.html", "metrics.csv", "curves.svg", "dataset.json", "config.toml"]
    {
        assert!(out.join(name).exists(), "{name}");
    }
    let first = fs::read(out.join("model.blob")).expect("readable");
    call(&["quantize", text(&out), "--json"]).expect("it quantises again");
    assert_eq!(fs::read(out.join("model.blob")).expect("readable"), first, "the same run gives the same blob");

    let success = format!("{:?}", ExitCode::SUCCESS);
    let parity = |bound| {
        let arguments = ["parity", text(&out), "--data", folder, "--min-agreement", bound];
        format!("{:?}", call(&arguments).expect("it compares"))
    };
    assert_eq!(parity("0"), success);
    assert_ne!(parity("101"), success, "a bound that cannot be met fails");
    call(&["eval", text(&out.join("model.blob")), "--data", folder, "--as", "rgb565"]).expect("it evaluates");

    let again = refusal(&["train", "--data", folder, "--out", text(&out)]);
    assert!(again.contains("holds a run already"), "{again}");
    assert!(refusal(&["quantize", folder]).contains("not a run folder"));
}

/// 208 small faces of four classes, of which every other two are in a group, and a configuration that trains fast.
struct Faces {
    dir: TempDir,
    config: String,
    groups: String,
}

impl Faces {
    fn draw() -> Self {
        let dir = tempdir().expect("a temporary folder");
        let data = dir.path().join("faces");
        let sizes = ["--size", "16", "--train", "40", "--valid", "6", "--test", "6"];
        call(&[&["faces", "--out", text(&data)][..], &sizes].concat()).expect("it draws");
        let config = dir.path().join("config.toml");
        let entries = "[model]\npreset = \"shallow\"\n[input]\nwidth = 16\nheight = 16\n[train]\nepochs = 1\n";
        fs::write(&config, entries).expect("written");
        let groups = dir.path().join("groups.csv");
        let rows = (0..40).map(|i| format!("train/happy/{i:04}.png,g{}\n", i / 2)).collect::<String>();
        fs::write(&groups, format!("path,group\n{rows}")).expect("written");
        Self { config: text(&config).to_owned(), groups: text(&groups).to_owned(), dir }
    }

    fn path(&self, name: &str) -> String {
        text(&self.dir.path().join(name)).to_owned()
    }

    /// Cross-validates into `out`.
    fn cv(&self, out: &str, more: &[&str]) -> anyhow::Result<ExitCode> {
        let (data, out) = (self.path("faces"), self.path(out));
        let arguments = ["cv", "--data", &data, "--config", &self.config, "--groups", &self.groups, "--out", &out];
        call(&[&arguments, &["--folds", "3"][..], more].concat())
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.dir.path().join(name)).expect("readable")
    }
}

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
fn keys_are_kept_and_blobs_signed_where_they_lie() {
    let dir = tempdir().expect("a temporary folder");
    let [key, blob] = ["owner.key", "model.blob"].map(|name| dir.path().join(name));
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/faces.blob");
    fs::copy(shipped, &blob).expect("a copy");
    call(&["keygen", text(&key)]).expect("a key");
    let before = fs::read(&key).expect("the key");
    assert!(refusal(&["keygen", text(&key)]).contains("--force"));
    assert_eq!(fs::read(&key).expect("the key"), before);
    let public = dir.path().join("owner.key.pub");
    let error = refusal(&["sign", text(&blob), "--key", text(&public), "--number", "3"]);
    assert!(error.contains("public key"), "{error}");
    call(&["sign", text(&blob), "--key", text(&key), "--number", "3"]).expect("a signed blob");
    let signer = Signer::of(&fs::read(&blob).expect("the blob")).expect("it is signed");
    assert_eq!((signer.number, signer.valid), (3, true));
    call(&["inspect", text(&blob)]).expect("it can be inspected");
}

#[test]
fn what_is_no_device_takes_no_model() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/faces.blob");
    let error = refusal(&["flash", text(&shipped), "--link", "host"]);
    assert!(error.contains("no device"), "{error}");
    let error = refusal(&["flash", text(&shipped), "--link", "serial:/dev/there-is-none"]);
    assert!(error.contains("/dev/there-is-none") && error.contains("the ports of this machine"), "{error}");
    assert!(call(&["flash", text(&shipped), "--link", "telepathy"]).is_err());
}
