//! What is saved is whole, in a group with its near copies, and is never lost.

use std::collections::BTreeMap;
use std::fs;

use no_std_infer::image::PixelFormat;

use super::*;
use crate::data::dataset::{Dataset, GROUPS_FILE, rgb565};

const SHAPE: Shape = Shape { format: PixelFormat::Rgb888, width: 20, height: 12 };

/// A picture of one colour, but for a speck.
fn frame(brightness: u8, speck: u8) -> Vec<u8> {
    let mut bytes = vec![brightness; 20 * 12 * 3];
    bytes[0] = speck;
    bytes
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
    let mut save =
        |brightness, speck, label, near| collection.save(&SHAPE, &frame(brightness, speck), label, near).unwrap();
    let (path, first) = new(save(10, 0, Some("cat"), false));
    assert_eq!(image::open(&path).unwrap().to_rgb8().into_raw(), frame(10, 0));
    assert_eq!(save(10, 0, Some("cat"), false), Saved::Again, "to the last byte");
    let (_, same) = new(save(10, 200, Some("cat"), false));
    let (_, other) = new(save(200, 0, Some("dog"), false));
    let (_, burst) = new(save(90, 0, Some("dog"), true));
    let (path, unlabelled) = new(save(40, 0, None, false));
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
    let (path, _) = new(collection.save(&shape, &bytes, Some("a"), false).unwrap());
    assert_eq!(fs::read(path.with_extension("4x2.uyvy422")).unwrap(), bytes);
    let shape = Shape { format: PixelFormat::Grey8, width: 4, height: 4 };
    let bytes: Vec<u8> = bytes.into_iter().rev().collect();
    let (path, _) = new(collection.save(&shape, &bytes, Some("a"), false).unwrap());
    assert_eq!(image::open(&path).unwrap().to_luma8().into_raw(), bytes, "grey stays grey");
    assert_eq!(fs::read_dir(dir.path().join("a")).unwrap().count(), 3);
    assert!(collection.save(&shape, &bytes[1..], Some("a"), false).is_err());
}

#[test]
fn rgb565_leads_back_to_the_cameras_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let mut collection = Collection::open(dir.path()).unwrap();
    let all: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
    let shape = Shape { format: PixelFormat::Rgb565Le, width: 256, height: 256 };
    let (path, _) = new(collection.save(&shape, &all, Some("a"), false).unwrap());
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
        let error = collection.save(&SHAPE, &frame(1, 1), Some(name), false).unwrap_err().to_string();
        assert!(error.contains("no name of a class"), "{name}: {error}");
    }
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "the lock and the groups: {names:?}");
}

/// Whatever is left of the last line, or of the last picture, what was saved before is there and collecting goes on.
#[test]
fn a_kill_at_any_moment_loses_nothing_that_was_saved() {
    let dir = tempfile::tempdir().unwrap();
    let whole = {
        let mut collection = Collection::open(dir.path()).unwrap();
        new(collection.save(&SHAPE, &frame(10, 0), Some("cat"), false).unwrap());
        let before = fs::read(dir.path().join(GROUPS_FILE)).unwrap().len();
        let (last, _) = new(collection.save(&SHAPE, &frame(200, 0), Some("dog"), false).unwrap());
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
        new(collection.save(&SHAPE, &frame(100, len as u8), Some("dog"), false).unwrap());
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
    let (path, _) = new(collection.save(&SHAPE, &frame(10, 0), Some("cat"), false).unwrap());
    collection.groups.fill_disk();
    let error = format!("{:#}", collection.save(&SHAPE, &frame(200, 0), Some("cat"), false).unwrap_err());
    assert!(error.contains("has room") && error.contains("No space left"), "{error}");
    assert!(path.exists() && groups(dir.path()).len() == 1);
}
