//! Blobs: those that are none, those that read no pictures, what is done with good ones.

use std::fs;
use std::path::{Path, PathBuf};

use host_trainer::device::Link;
use host_trainer::device::signing::Signer;
use image::DynamicImage;
use model_compiler::blob::repair_crc;
use model_training::config::Preset;
use no_std_infer::format::InputKind;
use tempfile::{TempDir, tempdir};
use tests::networks::preset;
use tests::operators::{ANY_IMAGE, without_names};

use crate::common::{call, picture, refusal, text};

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
        (tensor, "reads a tensor of 1x490 int8 values, not pictures: use `"),
        (image, "gives 6x8x3 values for a picture, not one score a class: use `"),
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

#[test]
fn a_model_that_runs_too_long_is_refused_with_the_option_that_allows_more() {
    let dir = tempdir().expect("a temporary folder");
    let (blob, folder, input) = (blob(&dir), text(dir.path()), dir.path().join("in.i8"));
    fs::write(&input, "any bytes").expect("written");
    let output = dir.path().join("out.i8");
    let commands = [
        vec!["run", text(&blob), "--input", text(&input), "--output", text(&output)],
        vec!["eval", text(&blob), "--data", folder],
        vec!["predict", text(&blob), "x.png"],
        vec!["bench", text(&blob)],
    ];
    for command in commands {
        let arguments: Vec<&str> = command.iter().copied().chain(["--max-products", "1000"]).collect();
        let error = refusal(&arguments);
        for named in ["products", "1000 products and 100 bytes moved are allowed", "allow more with --max-products"] {
            assert!(error.contains(named), "{named} is not in: {error}");
        }
    }
}

#[test]
fn a_model_that_works_in_more_memory_than_any_board_has_is_refused_before_it_is_held() {
    let dir = tempdir().expect("a temporary folder");
    let [blob, input, output] = ["model.blob", "in.i8", "out.i8"].map(|name| dir.path().join(name));
    fs::write(&blob, &*without_names(InputKind::Tensor, [6000, 6000, 1])).expect("written");
    fs::write(&input, "any bytes").expect("written");
    let error = refusal(&["run", text(&blob), "--input", text(&input), "--output", text(&output)]);
    assert!(error.contains("72000000 bytes of memory") && error.contains("33554432"), "{error}");
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
    let error = refusal(&["sign", text(&blob), "--key", text(&blob), "--number", "3"]);
    assert!(error.contains("no key in PEM"), "{error}");
    call(&["sign", text(&blob), "--key", text(&key), "--number", "3"]).expect("a signed blob");
    let signer = Signer::of(&fs::read(&blob).expect("the blob")).expect("it is signed");
    assert_eq!((signer.number, signer.valid), (3, true));
    call(&["inspect", text(&blob)]).expect("it can be inspected");
}

#[test]
fn ports_are_listed_or_said_to_be_missing() {
    call(&["ports"]).expect("a list");
    call(&["ports", "--json"]).expect("a list");
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

#[test]
fn only_an_image_of_flash_is_written_to() {
    let dir = tempdir().expect("a temporary folder");
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/faces.blob");
    let [words, missing] = ["words.txt", "missing.bin"].map(|name| dir.path().join(name));
    fs::write(&words, "what somebody wrote and wants to keep").expect("written");
    let link = |file: &Path| format!("qemu:{}", text(file));
    let error = refusal(&["flash", text(&shipped), "--link", &link(&words)]);
    assert!(error.contains("words.txt") && error.contains("no image of a flash"), "{error}");
    assert_eq!(fs::read(&words).expect("readable"), b"what somebody wrote and wants to keep");
    let error = refusal(&["flash", text(&shipped), "--link", &link(dir.path())]);
    assert!(error.contains("no image of a flash"), "{error}");
    let error = format!("{:#}", link(&missing).parse::<Link>().unwrap().transport(&[]).err().expect("no such file"));
    assert!(error.contains("missing.bin") && error.contains("flash"), "{error}");
    assert!(!missing.exists());
}
