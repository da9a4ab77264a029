use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use image::{Rgb, RgbImage};
use no_std_infer::format::{Color, Fit};
use tempfile::TempDir;

use super::*;
use crate::config::InputConfig;

mod cached;
mod groups;

/// Writes images whose colour tells their number.
fn images(dir: &Path, class: &str, numbers: std::ops::Range<u8>) {
    let folder = dir.join(class);
    fs::create_dir_all(&folder).unwrap();
    for number in numbers {
        RgbImage::from_pixel(4, 3, Rgb([number, 10, 200])).save(folder.join(format!("{number:03}.png"))).unwrap();
    }
}

fn flat(classes: &[(&str, u8)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (class, count) in classes {
        images(dir.path(), class, 0..*count);
    }
    dir
}

fn open(dir: &Path) -> Result<Dataset> {
    Dataset::open(dir, &Options::default())
}

fn refusal(dir: &Path) -> String {
    format!("{:#}", open(dir).expect_err("this folder must be refused"))
}

fn input() -> InputConfig {
    InputConfig { width: 2, height: 2, color: Color::Rgb, fit: Fit::Stretch }
}

fn reading() -> Reading {
    Reading::all(&input(), View::Rgb888)
}

fn quiet(_: usize, _: usize) {}

fn names(samples: &[Sample]) -> Vec<&str> {
    samples.iter().map(|sample| sample.name.as_str()).collect()
}

#[test]
fn a_folder_of_classes_is_split_by_class_and_seed() {
    let dir = flat(&[("dog", 40), ("cat", 20), ("Ant", 10)]);
    let dataset = open(dir.path()).unwrap();
    assert_eq!(dataset.classes, ["Ant", "cat", "dog"]);
    let counts = |split: &[Sample]| [0, 1, 2].map(|label| split.iter().filter(|s| s.label == label).count());
    assert_eq!([&dataset.train, &dataset.valid, &dataset.test].map(|s| counts(s)), [[6, 14, 28], [2, 3, 6], [2, 3, 6]]);
    assert_eq!(dataset.train, open(dir.path()).unwrap().train);
    let other = Dataset::open(dir.path(), &Options { seed: 1, ..Options::default() }).unwrap();
    assert_ne!(dataset.valid, other.valid);
    assert!(dataset.train.iter().all(|s| s.name.starts_with(&dataset.classes[s.label])));
}

#[test]
fn given_splits_are_kept_under_all_their_names_and_one_folder_deeper() {
    for (valid, inside) in [("valid", ""), ("val", ""), ("validation", "archive"), ("Valid", "archive/")] {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join(inside);
        for class in ["a", "b"] {
            images(&root.join("train"), class, 0..3);
            images(&root.join(valid), class, 3..5);
        }
        images(&root.join("test"), "b", 5..6);
        fs::write(dir.path().join("about.txt"), "words").unwrap();
        let dataset = open(dir.path()).unwrap();
        assert_eq!((dataset.train.len(), dataset.valid.len()), (6, 4), "{valid}");
        assert_eq!(names(&dataset.test), ["test/b/005.png"]);
        assert_eq!(dataset.test[0].label, 1);
    }
}

#[test]
fn validation_images_are_taken_from_the_training_images_where_they_are_missing() {
    let dir = tempfile::tempdir().unwrap();
    for class in ["a", "b"] {
        images(&dir.path().join("train"), class, 0..20);
        images(&dir.path().join("test"), class, 20..25);
    }
    let dataset = open(dir.path()).unwrap();
    assert_eq!((dataset.train.len(), dataset.valid.len(), dataset.test.len()), (34, 6, 10));
    assert!(dataset.valid.iter().all(|sample| sample.name.starts_with("train/")));
    assert!(dataset.notes.iter().any(|note| note.contains("6 of the training images")), "{:?}", dataset.notes);
}

#[test]
fn a_class_may_be_called_train() {
    let dir = flat(&[("bus", 4), ("train", 4)]);
    assert_eq!(open(dir.path()).unwrap().classes, ["bus", "train"]);
}

#[test]
fn folders_without_the_right_classes_are_refused_with_the_remedy() {
    let missing = Path::new("no/such/folder");
    assert!(refusal(missing).contains("no/such/folder does not exist"));
    assert!(refusal(tempfile::tempdir().unwrap().path()).contains("one folder of images for each class"));
    assert!(refusal(flat(&[("only", 5)]).path()).contains("one class only, only"));
    assert!(
        refusal(flat(&[("a", 5), ("b", 1), ("c", 1)]).path())
            .contains("only one (or copies of one, by the groups file) of the class b, c")
    );
    assert!(refusal(flat(&[("a", 5), ("b", 0)]).path()).contains("no training image of the class b"));
    let hollow = flat(&[("a", 0), ("b", 0)]);
    assert!(refusal(hollow.path()).contains("holds no image"));

    let file = hollow.path().join("file.png");
    fs::write(&file, "").unwrap();
    assert!(refusal(&file).contains("is a file"));

    let dir = tempfile::tempdir().unwrap();
    for class in ["a", "b"] {
        images(&dir.path().join("train"), class, 0..3);
    }
    images(&dir.path().join("test"), "zebra", 0..1);
    let message = refusal(dir.path());
    assert!(message.contains("zebra") && message.contains("are a, b"), "{message}");
    fs::rename(dir.path().join("train"), dir.path().join("valid")).unwrap();
    assert!(refusal(dir.path()).contains("no `train` folder"));
    images(&dir.path().join("val"), "a", 0..1);
    assert!(refusal(dir.path()).contains("the same split"));
}

#[test]
fn two_data_sets_in_one_folder_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for set in ["one", "two"] {
        images(&dir.path().join(set).join("train"), "a", 0..1);
    }
    let message = refusal(dir.path());
    assert!(message.contains("several data sets") && message.contains("two"), "{message}");
}

#[test]
fn other_files_are_ignored_and_images_are_known_by_content() {
    let dir = flat(&[("a", 4), ("b", 4)]);
    for name in ["a/.DS_Store", "a/Thumbs.db", "b/notes.txt", "list.csv"] {
        fs::write(dir.path().join(name), "words").unwrap();
    }
    fs::create_dir(dir.path().join(".git")).unwrap();
    fs::rename(dir.path().join("a/000.png"), dir.path().join("a/000.jpg")).unwrap();
    fs::rename(dir.path().join("a/001.png"), dir.path().join("a/001")).unwrap();
    let mut dataset = open(dir.path()).unwrap();
    assert_eq!(dataset.classes, ["a", "b"]);
    assert_eq!(dataset.notes[0], "3 files that are not images were ignored");
    let loaded = dataset.load(&reading(), &quiet).unwrap();
    assert_eq!(loaded.train.len() + loaded.valid.len() + loaded.test.len(), 8);
}

#[test]
fn all_bad_files_are_listed_or_left_out() {
    let dir = flat(&[("a", 6), ("b", 6)]);
    fs::write(dir.path().join("a/words.jpg"), "these are words").unwrap();
    fs::write(dir.path().join("b/empty.png"), "").unwrap();
    let whole = fs::read(dir.path().join("b/000.png")).unwrap();
    fs::write(dir.path().join("b/cut.png"), &whole[..whole.len() / 2]).unwrap();

    let mut dataset = open(dir.path()).unwrap();
    let before = dataset.clone();
    let error = dataset.load(&reading(), &quiet).unwrap_err();
    let bad = error.downcast_ref::<BadFiles>().unwrap();
    assert_eq!(bad.files.len(), 3);
    let message = error.to_string();
    for part in ["words.jpg is not an image", "empty.png is empty", "cut.png cannot be decoded", "--skip-bad"] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(dataset.train, before.train);

    let mut dataset = Dataset::open(dir.path(), &Options { skip_bad: true, ..Options::default() }).unwrap();
    let loaded = dataset.load(&reading(), &quiet).unwrap();
    assert_eq!(dataset.skipped.len(), 3);
    assert_eq!(loaded.train.len() + loaded.valid.len() + loaded.test.len(), 12);
    for (samples, images) in [(&dataset.train, &loaded.train), (&dataset.valid, &loaded.valid)] {
        assert_eq!(samples.iter().map(|sample| sample.label).collect::<Vec<_>>(), images.labels);
    }
}

#[test]
fn a_long_list_of_bad_files_is_cut_and_counted() {
    let files = (0..25).map(|number| (PathBuf::from(format!("{number}.jpg")), "is empty".to_owned())).collect();
    let message = BadFiles { files }.to_string();
    assert!(message.starts_with("25 image files"), "{message}");
    assert!(message.contains("19.jpg") && !message.contains("20.jpg") && message.contains("and 5 more"), "{message}");
}

#[test]
fn leaving_bad_files_out_must_leave_images_of_every_class() {
    let dir = flat(&[("a", 4), ("b", 0)]);
    for name in ["1.jpg", "2.jpg", "3.jpg"] {
        fs::write(dir.path().join("b").join(name), "these are words").unwrap();
    }
    let mut dataset = Dataset::open(dir.path(), &Options { skip_bad: true, ..Options::default() }).unwrap();
    let error = dataset.load(&reading(), &quiet).unwrap_err();
    assert!(error.to_string().contains("no training image of the class b"), "{error}");
}

#[test]
fn images_come_in_the_order_of_their_samples_with_progress() {
    let dir = flat(&[("a", 30), ("b", 30)]);
    let mut dataset = open(dir.path()).unwrap();
    let calls = AtomicUsize::new(0);
    let progress = |done: usize, all: usize| {
        assert!(done <= all && all == 60);
        calls.fetch_add(1, Ordering::Relaxed);
    };
    let loaded = dataset.load(&reading(), &progress).unwrap();
    assert_eq!(calls.into_inner(), 60);
    for (index, sample) in dataset.train.iter().enumerate() {
        let number: u8 = sample.name[2..5].parse().unwrap();
        assert_eq!(&*loaded.train.image(index), [number, 10, 200].repeat(4));
        assert_eq!(loaded.train.labels[index], sample.label);
        assert_eq!(input_for(&sample.path(&dataset.root), &input(), View::Rgb888).unwrap(), loaded.train.input(index));
    }
    assert_eq!(load(&dataset.root, &dataset.valid, &input(), &quiet).unwrap(), loaded.valid);
}

#[test]
fn the_hash_names_the_data_and_nothing_else() {
    let dir = flat(&[("a", 5), ("b", 5)]);
    let hash = |dir: &Path, seed| {
        let mut dataset = Dataset::open(dir, &Options { seed, ..Options::default() }).unwrap();
        dataset.load(&reading(), &quiet).unwrap().hash
    };
    let first = hash(dir.path(), 1);
    assert_eq!(first.len(), 64);
    assert_eq!(first, hash(dir.path(), 2));
    assert_eq!(first, hash(flat(&[("b", 5), ("a", 5)]).path(), 1));
    fs::rename(dir.path().join("a/000.png"), dir.path().join("a/900.png")).unwrap();
    let renamed = hash(dir.path(), 1);
    fs::copy(dir.path().join("a/001.png"), dir.path().join("a/900.png")).unwrap();
    assert_eq!(BTreeSet::from([first, renamed, hash(dir.path(), 1)]).len(), 3);
}

#[test]
fn statistics_are_those_of_the_pixels() {
    let shape = model_compiler::graph::Shape { height: 1, width: 2, channels: 3 };
    let images = Images::of_pixels(shape, &[0, 7, 255, 255, 7, 255, 0, 7, 255, 255, 7, 255], &[0, 1]);
    let [first, second, third] = images.statistics()[..] else { panic!("three channels") };
    assert_eq!(first, ChannelStatistics { mean: 0.5, std: 0.5 });
    assert_eq!(second, ChannelStatistics { mean: 7.0 / 255.0, std: 1.0 / 255.0 });
    assert_eq!(third.mean, 1.0);
}

#[test]
fn a_model_that_exists_decides_about_labels() {
    let labels = ["z", "b", "a"].map(str::to_owned);
    let dir = flat(&[("a", 1), ("b", 2)]);
    let mut dataset = Dataset::open_for(dir.path(), &labels, false).unwrap();
    assert_eq!(dataset.test.iter().map(|sample| sample.label).collect::<Vec<_>>(), [2, 1, 1]);
    assert!(dataset.train.is_empty());
    assert_eq!(dataset.load(&reading(), &quiet).unwrap().test.len(), 3);
    let error = Dataset::open_for(dir.path(), &labels[..2], false).unwrap_err();
    assert!(error.to_string().contains("by the name of the folders a in"), "{error}");
}

#[test]
fn each_file_is_decoded_once_whatever_is_made_of_it() {
    let dir = flat(&[("a", 12), ("b", 12)]);
    let source = InputConfig { width: 3, height: 3, ..input() };
    let reading = Reading { source: Some(source.clone()), ..reading() };
    let mut whole = Dataset::open_whole(dir.path(), &Options::default()).unwrap();
    let loaded = whole.load(&reading, &quiet).unwrap();
    let folds = whole.folds(3, 1).unwrap();
    for fold in 0..3 {
        let mut split = whole.fold(&folds, fold, 0.2, 1).unwrap();
        let images = loaded.divided(&whole, &mut split).unwrap();
        assert_eq!(images.hash, loaded.hash);
        let sides = [(&split.train, &images.train), (&split.valid, &images.valid), (&split.test, &images.test)];
        for (samples, images) in sides {
            assert!(samples.iter().all(|sample| sample.digest.is_some()));
            for (index, sample) in samples.iter().enumerate() {
                let number: u8 = sample.name[2..5].parse().unwrap();
                assert_eq!(
                    (&*images.image(index), images.labels[index]),
                    (&[number, 10, 200].repeat(4)[..], sample.label)
                );
            }
        }
        assert_eq!(images.source().labels, images.train.labels);
        assert_eq!(images.source().image(0).len(), 27);
        split.test.pop();
        split.test.push(split.train[0].clone());
        assert!(loaded.divided(&whole, &mut split).unwrap_err().to_string().contains("has other images"));
        split.test.pop();
        split.test.push(Sample { name: "a/else.png".into(), ..split.train[0].clone() });
        assert!(loaded.divided(&whole, &mut split).unwrap_err().to_string().contains("a/else.png"));
    }
    let decoded = counted::below(dir.path());
    assert_eq!(decoded.len(), 24);
    assert!(decoded.values().all(|&times| times == 1), "{decoded:?}");
}

#[test]
fn training_images_that_are_not_asked_for_are_known_without_being_decoded() {
    let dir = flat(&[("a", 12), ("b", 12)]);
    let mut all = open(dir.path()).unwrap();
    let hash = {
        let copy = flat(&[("a", 12), ("b", 12)]);
        open(copy.path()).unwrap().load(&reading(), &quiet).unwrap().hash
    };
    let reading = Reading { train: Some(BTreeSet::from([1, 3])), ..reading() };
    let loaded = all.load(&reading, &quiet).unwrap();
    assert_eq!(loaded.hash, hash);
    assert_eq!(counted::below(dir.path()).len(), 2 + all.valid.len() + all.test.len());
    let number: u8 = all.train[3].name[2..5].parse().unwrap();
    assert_eq!(loaded.train.image(3), [number, 10, 200].repeat(4));
    assert!(all.train.iter().all(|sample| sample.digest.is_some()));
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_refused_and_does_not_hang() {
    let dir = flat(&[("a", 4), ("b", 4)]);
    let pipe = |name: &str| {
        let path = dir.path().join(name);
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    };
    let named = pipe("a/pipe.png");
    std::os::unix::fs::symlink(&named, dir.path().join("b/link.jpg")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", dir.path().join("b/zero.png")).unwrap();
    std::os::unix::fs::symlink("nowhere.png", dir.path().join("b/broken.png")).unwrap();
    std::os::unix::fs::symlink("nowhere", dir.path().join("b/.lock.png")).unwrap();
    pipe("b/unnamed");
    let error = open(dir.path()).unwrap().load(&reading(), &quiet).unwrap_err();
    let files = &error.downcast_ref::<BadFiles>().unwrap().files;
    let said: Vec<String> = files.iter().map(|(path, why)| format!("{} {why}", path.display())).collect();
    let said = said.join("\n");
    assert_eq!(files.len(), 4, "{said}");
    for bad in [
        "a/pipe.png cannot be read: it is no regular",
        "b/link.jpg cannot be read: it is no regular",
        "b/zero.png cannot be read: it is no regular",
        "b/broken.png cannot",
    ] {
        assert!(said.contains(bad), "{bad} is not in {said}");
    }
    assert!(input_for(&named, &input(), View::Rgb888).unwrap_err().to_string().contains("it is no regular file"));
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_loops_of_them_are_refused() {
    let dir = flat(&[("a", 4), ("b", 4)]);
    let elsewhere = flat(&[("more", 3)]);
    std::os::unix::fs::symlink(elsewhere.path().join("more"), dir.path().join("a/more")).unwrap();
    let dataset = Dataset::list(dir.path(), None).unwrap();
    assert_eq!(dataset.test.len(), 11);
    assert_eq!(dataset.test[4].name, "a/more/000.png");
    std::os::unix::fs::symlink(dir.path().join("a"), dir.path().join("a/loop")).unwrap();
    assert!(refusal(dir.path()).contains("a/loop is a link to a folder above it"), "{}", refusal(dir.path()));
}

#[cfg(target_os = "linux")]
#[test]
fn images_that_memory_cannot_hold_are_refused_before_any_is_decoded() {
    let dir = flat(&[("a", 20), ("b", 20)]);
    let largest = InputConfig { width: u16::MAX, height: u16::MAX, ..input() };
    let error = open(dir.path()).unwrap().load(&Reading::all(&largest, View::Rgb888), &quiet).unwrap_err().to_string();
    assert!(error.starts_with("the 40 images take 515381 MB of memory once they are decoded, and "), "{error}");
    assert!(counted::below(dir.path()).is_empty());
}
