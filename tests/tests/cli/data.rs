//! Folders of pictures.

use std::fs;
use std::path::Path;

use host_trainer::faces::{CLASSES, draw};
use image::ImageFormat;
use image::imageops::flip_horizontal;
use tempfile::{TempDir, tempdir};

use crate::common::{call, picture, pictures, refusal, text, training_refuses};

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
