//! What is saved is whole, in a group with its near copies, and is never lost.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use model_training::data::dataset::{Dataset, GROUPS_FILE, rgb565};
use no_std_infer::image::PixelFormat;

use super::*;

const SHAPE: Shape = Shape { format: PixelFormat::Rgb888, width: 20, height: 12 };

/// A picture of one colour, but for a speck.
fn frame(brightness: u8, speck: u8) -> Vec<u8> {
    let mut bytes = vec![brightness; 20 * 12 * 3];
    bytes[0] = speck;
    bytes
}

fn under(label: &str) -> Filing<'_> {
    Filing { label: Some(label), ..Filing::default() }
}

fn new(saved: Saved) -> (PathBuf, String) {
    match saved {
        Saved::New { path, group } => (path, group),
        Saved::Again => panic!("nothing was saved"),
    }
}

/// The pictures' groups as training reads them.
fn groups(folder: &Path) -> BTreeMap<String, Option<String>> {
    let dataset = Dataset::list(folder, Some(&folder.join(GROUPS_FILE))).unwrap();
    let samples = dataset.train.iter().chain(&dataset.valid).chain(&dataset.test);
    samples.map(|sample| (sample.name.clone(), sample.group.clone())).collect()
}

#[test]
fn pictures_lie_in_class_folders_and_near_copies_in_one_group() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("pictures");
    let mut collection = Collection::open(&folder).unwrap();
    assert_eq!(collection.distance(&Thumbnail::new(&SHAPE, &frame(0, 0)).unwrap()), f32::INFINITY);
    let mut save = |brightness, speck, filing| collection.save(&SHAPE, &frame(brightness, speck), filing).unwrap();
    let (path, first) = new(save(10, 0, under("cat")));
    assert_eq!(image::open(&path).unwrap().to_rgb8().into_raw(), frame(10, 0));
    assert_eq!(save(10, 0, under("cat")), Saved::Again, "to the last byte");
    let (_, same) = new(save(10, 200, under("cat")));
    let (_, other) = new(save(200, 0, under("dog")));
    let (_, burst) = new(save(90, 0, Filing { near: true, ..under("dog") }));
    let (path, unlabelled) = new(save(40, 0, Filing::default()));
    assert!(same == first && other != first && burst == other && unlabelled != other);
    assert!(path.starts_with(folder.join(UNLABELLED)));
    let found = groups(&folder);
    assert_eq!(found.len(), 4, "what has no label is left out: {found:?}");
    for (name, group) in &found {
        let expected = if name.contains("cat/") { &first } else { &other };
        assert_eq!(group.as_ref(), Some(expected), "{name}");
    }
}

#[test]
fn bytes_of_a_camera_lie_beside_the_picture_where_colours_do_not_lead_back() {
    let dir = tempfile::tempdir().unwrap();
    let shape = Shape { format: PixelFormat::Uyvy422, width: 4, height: 2 };
    let bytes: Vec<u8> = (0..16).map(|byte| byte * 15).collect();
    let mut collection = Collection::open(dir.path()).unwrap();
    let (path, _) = new(collection.save(&shape, &bytes, under("a")).unwrap());
    assert_eq!(fs::read(path.with_extension("4x2.uyvy422")).unwrap(), bytes);
    let shape = Shape { format: PixelFormat::Grey8, width: 4, height: 4 };
    let bytes: Vec<u8> = bytes.into_iter().rev().collect();
    let (path, _) = new(collection.save(&shape, &bytes, under("a")).unwrap());
    assert_eq!(image::open(&path).unwrap().to_luma8().into_raw(), bytes, "grey stays grey");
    assert_eq!(fs::read_dir(dir.path().join("a")).unwrap().count(), 3);
    assert!(collection.save(&shape, &bytes[1..], under("a")).is_err());
}

#[test]
fn rgb565_leads_back_to_the_cameras_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let mut collection = Collection::open(dir.path()).unwrap();
    let all: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
    let shape = Shape { format: PixelFormat::Rgb565Le, width: 256, height: 256 };
    let (path, _) = new(collection.save(&shape, &all, under("a")).unwrap());
    let pixels = image::open(path).unwrap().to_rgb8();
    assert!(rgb565(&pixels) == all);
}

#[test]
fn nobody_else_collects_into_the_folder_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let collection = Collection::open(dir.path()).unwrap();
    let error = Collection::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("another process is collecting"), "{error}");
    drop(collection);
    Collection::open(dir.path()).unwrap();
}

#[test]
fn names_that_are_no_class_are_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut collection = Collection::open(dir.path()).unwrap();
    for name in ["", " ", ".", "..", "../up", "a/b", "a\\b", ".hidden", "c:", "a\nb", "lost+found", UNLABELLED] {
        let error = collection.save(&SHAPE, &frame(1, 1), under(name)).unwrap_err().to_string();
        assert!(error.contains("no name of a class"), "{name}: {error}");
    }
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "the lock and the groups: {names:?}");
}

/// Two cameras see one scene each, in turns; a burst belongs to its own camera's picture before.
#[test]
fn each_camera_has_its_own_picture_before() {
    let dir = tempfile::tempdir().unwrap();
    let mut collection = Collection::open(dir.path()).unwrap();
    let mut save = |brightness, camera, near| {
        let filing = Filing { camera, near, ..under("cat") };
        new(collection.save(&SHAPE, &frame(brightness, 0), filing).unwrap()).1
    };
    let [one, other] = [save(10, 0, false), save(200, 1, false)];
    assert_ne!(one, other);
    assert_eq!([save(90, 0, true), save(120, 1, true)], [one, other]);
}

fn named(collection: &Collection, class: &str) -> Vec<Picture> {
    pictures(collection.folder(), class).unwrap()
}

#[test]
fn corrected_pictures_keep_their_groups_and_their_bytes_of_the_camera() {
    let dir = tempfile::tempdir().unwrap();
    let shape = Shape { format: PixelFormat::Uyvy422, width: 4, height: 2 };
    let mut collection = Collection::open(dir.path()).unwrap();
    let mut save = |byte: u8, filing| new(collection.save(&shape, &[byte; 16], filing).unwrap());
    let (path, group) = save(10, under("cat"));
    save(100, under("cat"));
    save(200, Filing::default());
    let before = groups(dir.path());
    let picture = named(&collection, "cat").pop().unwrap();
    let none: &[Picture] = &[];
    assert_eq!(collection.relabel(none, Some("dog")).ok(), Some(()));
    collection.relabel(std::slice::from_ref(&picture), Some("dog")).unwrap();
    assert_eq!(
        counts(dir.path()).unwrap(),
        [("cat", 1), ("dog", 1), (UNLABELLED, 1)].map(|(a, b)| (a.into(), b)).into()
    );
    let moved = named(&collection, "dog").pop().unwrap();
    assert_eq!(moved.name, picture.name, "the oldest is the last");
    assert_eq!(fs::read(dir.path().join("dog").join(&moved.name).with_extension("4x2.uyvy422")).unwrap(), [10; 16]);
    assert_eq!(fs::read_dir(dir.path().join("cat")).unwrap().count(), 2, "a picture and its bytes");
    assert!(!path.exists());
    let after = groups(dir.path());
    assert_eq!(after[&format!("dog/{}", moved.name)].as_ref(), Some(&group));
    let all = |groups: &BTreeMap<String, Option<String>>| groups.values().cloned().collect::<BTreeSet<_>>();
    assert_eq!(all(&before), all(&after));
    // What is unlabelled gets its class, and the next picture of the scene the group.
    let unlabelled = named(&collection, UNLABELLED);
    collection.relabel(&unlabelled, Some("dog")).unwrap();
    let (_, next) = new(collection.save(&shape, &[201; 16], under("dog")).unwrap());
    let found = groups(dir.path());
    assert_eq!(found.values().flatten().filter(|&group| *group == next).count(), 2, "{found:?}");
    // The same, back: nothing is lost by going to and fro.
    collection.relabel(&[moved], Some("cat")).unwrap();
    assert_eq!(groups(dir.path())[&format!("cat/{}", picture.name)].as_ref(), Some(&group));
}

/// Some of so many fall into one millisecond.
#[test]
fn pictures_are_listed_from_the_latest_to_the_oldest() {
    let dir = tempfile::tempdir().unwrap();
    let mut collection = Collection::open(dir.path()).unwrap();
    let names = ["now.png", "now-001.png", "now-002.png", "now-010.png", "then.jpg"];
    fs::create_dir(dir.path().join("cat")).unwrap();
    names.iter().for_each(|name| fs::write(dir.path().join("cat").join(name), "a picture").unwrap());
    let listed: Vec<String> = named(&collection, "cat").into_iter().rev().map(|picture| picture.name).collect();
    assert_eq!(listed, names);
    let saved = |speck: u8| new(collection.save(&SHAPE, &frame(90, speck), under("dog")).unwrap()).0;
    let saved: Vec<PathBuf> = (0..30).map(saved).collect();
    let listed = named(&collection, "dog").into_iter().rev().map(|picture| dir.path().join("dog").join(picture.name));
    assert!(listed.eq(saved), "pictures are listed in another order than they were saved in");
}

#[test]
fn deleted_pictures_are_gone_and_may_be_taken_anew() {
    let dir = tempfile::tempdir().unwrap();
    let shape = Shape { format: PixelFormat::Uyvy422, width: 4, height: 2 };
    let mut collection = Collection::open(dir.path()).unwrap();
    let saved = collection.save(&shape, &[7; 16], under("cat")).unwrap();
    assert_eq!(collection.save(&shape, &[7; 16], under("cat")).unwrap(), Saved::Again);
    let pictures = named(&collection, "cat");
    collection.remove(&pictures).unwrap();
    assert!(!dir.path().join("cat").exists(), "a class without pictures is none");
    assert!(collection.remove(&pictures).unwrap_err().to_string().contains("no picture cat/"));
    assert_ne!(collection.save(&shape, &[7; 16], under("cat")).unwrap(), saved, "a name is used once");
    assert_eq!(named(&collection, "cat").len(), 1);
}

#[test]
fn names_that_lead_out_of_a_collection_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("pictures");
    let mut collection = Collection::open(&folder).unwrap();
    new(collection.save(&SHAPE, &frame(1, 1), under("cat")).unwrap());
    fs::write(dir.path().join("own.png"), "mine").unwrap();
    for (class, name) in [
        ("..", "own.png"),
        ("cat", "../../own.png"),
        ("cat", "..\\own.png"),
        ("", "own.png"),
        ("cat/..", "own.png"),
        ("cat", ""),
        ("cat", "."),
        (".", "groups.csv"),
        ("cat", "groups.csv"),
        ("cat", ".hidden.png"),
        ("cat", "missing.png"),
    ] {
        let picture = [Picture { class: class.to_owned(), name: name.to_owned() }];
        assert!(collection.file(&picture[0]).is_err(), "{class} {name}");
        assert!(collection.remove(&picture).is_err() && collection.relabel(&picture, Some("dog")).is_err());
    }
    let cat = named(&collection, "cat");
    for label in ["..", "a/b", ".a", ""] {
        assert!(collection.relabel(&cat, Some(label)).unwrap_err().to_string().contains("no name of a class"));
    }
    fs::create_dir_all(folder.join("dog")).unwrap();
    fs::write(folder.join("dog").join(&cat[0].name), "another").unwrap();
    assert!(collection.relabel(&cat, Some("dog")).unwrap_err().to_string().contains("already"));
    assert_eq!(fs::read_to_string(folder.join("dog").join(&cat[0].name)).unwrap(), "another");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(dir.path().join("own.png"), folder.join("cat/link.png")).unwrap();
        let link = Picture { class: "cat".to_owned(), name: "link.png".to_owned() };
        assert!(collection.file(&link).is_err());
    }
    assert!(dir.path().join("own.png").exists() && named(&collection, "cat").contains(&cat[0]));
}

/// Whatever is left of the last line, or of the last picture, what was saved before is there and collecting goes on.
#[test]
fn a_kill_at_any_moment_loses_nothing_that_was_saved() {
    let dir = tempfile::tempdir().unwrap();
    let whole = {
        let mut collection = Collection::open(dir.path()).unwrap();
        new(collection.save(&SHAPE, &frame(10, 0), under("cat")).unwrap());
        let before = fs::read(dir.path().join(GROUPS_FILE)).unwrap().len();
        let (last, _) = new(collection.save(&SHAPE, &frame(200, 0), under("dog")).unwrap());
        // The group is written first.
        fs::remove_file(last).unwrap();
        before
    };
    let file = dir.path().join(GROUPS_FILE);
    let bytes = fs::read(&file).unwrap();
    for len in (whole..=bytes.len()).rev() {
        fs::write(&file, &bytes[..len]).unwrap();
        let _ = fs::remove_dir_all(dir.path().join("dog"));
        let mut collection = Collection::open(dir.path()).unwrap();
        new(collection.save(&SHAPE, &frame(100, len as u8), under("dog")).unwrap());
        let found = groups(dir.path());
        assert!(found.values().all(Option::is_some), "{len}: {found:?}");
        assert_eq!(found.keys().filter(|name| name.contains("cat/")).count(), 1);
    }
    fs::write(&file, "path,group\ncat/1.png,a\n").unwrap();
    let error = Collection::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("has other columns"), "{error}");
}

/// A disk that is full, as Linux has one.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_what_was_saved_stays() {
    let dir = tempfile::tempdir().unwrap();
    let mut collection = Collection::open(dir.path()).unwrap();
    let (path, _) = new(collection.save(&SHAPE, &frame(10, 0), under("cat")).unwrap());
    collection.groups.fill_disk();
    let error = format!("{:#}", collection.save(&SHAPE, &frame(200, 0), under("cat")).unwrap_err());
    assert!(error.contains("has room") && error.contains("No space left"), "{error}");
    assert!(path.exists() && groups(dir.path()).len() == 1);
}

/// A folder in which nothing can be written, as on a full disk: neither a picture nor the camera's bytes beside it.
#[cfg(target_os = "linux")]
#[test]
fn a_picture_that_cannot_be_written_is_an_error_and_what_was_saved_stays() {
    let dir = tempfile::tempdir().unwrap();
    let mut collection = Collection::open(dir.path()).unwrap();
    let (path, _) = new(collection.save(&SHAPE, &frame(10, 0), under("dog")).unwrap());
    std::os::unix::fs::symlink("/proc/self", dir.path().join("cat")).unwrap();
    let yuv = Shape { format: PixelFormat::Yuv422, ..SHAPE };
    for (shape, bytes) in [(SHAPE, frame(200, 0)), (yuv, vec![200; 20 * 12 * 2])] {
        let error = format!("{:#}", collection.save(&shape, &bytes, under("cat")).unwrap_err());
        assert!(error.contains("cannot write") && error.contains("cat") && error.contains("has room"), "{error}");
        // The very frame can be saved elsewhere: nothing says that it was.
        new(collection.save(&shape, &bytes, under("dog")).unwrap());
    }
    drop(collection);
    fs::remove_file(dir.path().join("cat")).unwrap();
    let mut collection = Collection::open(dir.path()).unwrap();
    new(collection.save(&SHAPE, &frame(90, 0), under("cat")).unwrap());
    let found = groups(dir.path());
    assert!(path.exists() && found.len() == 4 && found.values().all(Option::is_some), "{found:?}");
}
