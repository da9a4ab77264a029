//! Folders of pictures.

use std::fs;
use std::path::Path;

use image::ImageFormat;
use image::imageops::flip_horizontal;
use model_training::data::dataset::{Dataset, Options};
use model_training::data::faces::{CLASSES, draw};
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
    training_refuses(data.path(), &["train/angry/1.png and test/happy/mirrored.png", "--allow-leak", "--groups none"]);
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

/// Pictures in the folder of a class.
fn fill(folder: &Path, seeds: std::ops::Range<u8>) {
    fs::create_dir_all(folder).expect("a folder");
    for seed in seeds {
        picture(seed, 12, 9).save(folder.join(format!("{seed}.png"))).expect("a picture");
    }
}

/// A split folder with two classes under these names of its sides.
fn split([train, valid, test]: [&str; 3]) -> TempDir {
    let dir = tempdir().expect("a temporary folder");
    for (side, seeds) in [(train, 0..6), (valid, 6..8), (test, 8..10)] {
        for class in ["cat", "dog"] {
            fill(&dir.path().join(side).join(class), seeds.clone());
        }
    }
    dir
}

fn open(folder: &Path) -> Dataset {
    Dataset::open(folder, &Options::default()).expect("a data set")
}

#[test]
fn sides_of_a_split_are_known_by_all_their_usual_names() {
    for names in [
        ["train", "valid", "test"],
        ["training", "validation", "testing"],
        ["Train", "dev", "Test"],
        ["seg_train/seg_train", "seg_val", "seg_test/seg_test"],
        ["training_set/training_set", "val-images", "test_set/test_set"],
    ] {
        let dataset = open(split(names).path());
        let sizes = [&dataset.train, &dataset.valid, &dataset.test].map(Vec::len);
        assert_eq!((dataset.classes.join(" ").as_str(), sizes), ("cat dog", [12, 4, 4]), "{names:?}");
    }
    // Edge Impulse has no validation images.
    let data = split(["training", "gone", "testing"]);
    fs::remove_dir_all(data.path().join("gone")).expect("removed");
    let dataset = open(data.path());
    assert_eq!((dataset.train.len() + dataset.valid.len(), dataset.test.len()), (12, 4));
}

#[test]
fn folders_beside_a_split_are_named_and_not_dropped() {
    let data = split(["train", "valid", "test"]);
    fill(&data.path().join("holdout/cat"), 20..22);
    training_refuses(data.path(), &["holdout", "beside the split in test, train, valid"]);
    fs::remove_dir_all(data.path().join("holdout")).expect("removed");
    fill(&data.path().join("more"), 20..22);
    training_refuses(data.path(), &["more"]);
    fs::remove_dir_all(data.path().join("more")).expect("removed");
    fs::create_dir(data.path().join("docs")).expect("a folder");
    fs::write(data.path().join("docs/read.me"), "no picture").expect("written");
    assert_eq!(open(data.path()).train.len(), 12);
}

#[test]
fn folders_that_systems_make_are_no_classes() {
    let data = pictures();
    for name in ["@eaDir", ".thumbnails", "__MACOSX", "$RECYCLE.BIN", "lost+found"] {
        fill(&data.path().join(name), 0..4);
        fill(&data.path().join("cat").join(name), 0..4);
    }
    let dataset = open(data.path());
    assert_eq!(dataset.classes, ["cat", "dog"]);
    assert_eq!(dataset.train.len() + dataset.valid.len() + dataset.test.len(), 20);
}

#[test]
fn a_class_that_is_never_checked_is_said() {
    let data = split(["train", "valid", "test"]);
    fs::remove_dir_all(data.path().join("valid/dog")).expect("removed");
    fs::remove_dir_all(data.path().join("test/cat")).expect("removed");
    let notes = open(data.path()).notes.join("\n");
    assert!(notes.contains("no validation image of the class dog"), "{notes}");
    assert!(notes.contains("no test image of the class cat"), "{notes}");
}

#[test]
#[cfg(unix)]
fn names_that_are_no_text_are_refused() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let data = pictures();
    for name in [b"k\xE4se", b"k\xF6se"] {
        fill(&data.path().join(OsStr::from_bytes(name)), 0..4);
    }
    training_refuses(data.path(), &["k\u{FFFD}se", "UTF-8"]);
}

#[test]
fn files_that_the_program_wrote_are_not_counted() {
    let data = pictures();
    call(&["data", "check", text(data.path())]).expect("the copies are found");
    let notes = open(data.path()).notes.join("\n");
    assert!(!notes.contains("not images"), "{notes}");
    fs::write(data.path().join("words.txt"), "words").expect("written");
    assert!(open(data.path()).notes[0].starts_with("1 file that is not an image"), "{:?}", open(data.path()).notes);
}

#[test]
fn groups_that_leave_nothing_to_split_name_the_remedy() {
    let data = pictures();
    let lines: String = (0..10).map(|index| format!("cat/{index}.png,1\n")).collect();
    fs::write(data.path().join("groups.csv"), format!("path,group\n{lines}")).expect("written");
    training_refuses(data.path(), &["the class cat", "--groups none", "copies.html"]);
    let lines: String = (0..14).map(|index| format!("{}/{}.png,1\n", ["cat", "dog"][index % 2], index / 2)).collect();
    fs::write(data.path().join("groups.csv"), format!("path,group\n{lines}")).expect("written");
    let notes = open(data.path()).notes.join("\n");
    assert!(notes.contains("group 1 holds 14 of 20 images") && notes.contains("--groups none"), "{notes}");
}
