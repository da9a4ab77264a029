//! Every image is on the side on which no copy of it was learnt.

use std::fs;

use image::{Rgb, RgbImage};
use tempfile::TempDir;

use super::*;
use crate::config::InputConfig;
use crate::data::dataset::{GROUPS_FILE, Reading, View};

/// Folders of pictures.
struct Folders(TempDir);

impl Folders {
    /// `own` with sixteen pictures of either of two classes.
    fn new() -> Self {
        let folders = Self(tempfile::tempdir().unwrap());
        for index in 0..16 {
            folders.draw(&format!("own/cat/{index:02}.png"), index);
            folders.draw(&format!("own/dog/{index:02}.png"), 100 + index);
        }
        folders
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn draw(&self, name: &str, seed: u8) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::from_fn(4, 4, |x, y| Rgb([seed, x as u8 * 60, y as u8 * 60])).save(path).unwrap();
    }

    /// `count` pictures of a class that are not in `own`.
    fn draw_new(&self, folder: &str, class: &str, first: u8, count: u8) {
        (0..count).for_each(|index| self.draw(&format!("{folder}/{class}/{index:02}.png"), first + index));
    }

    fn group(&self, folder: &str, lines: &[&str]) {
        fs::write(self.path(folder).join(GROUPS_FILE), format!("path,group\n{}\n", lines.join("\n"))).unwrap();
    }

    /// What a run remembers of a data set.
    fn record(mut dataset: Dataset) -> Record {
        let input = InputConfig { width: 4, height: 4, ..InputConfig::default() };
        let loaded = dataset.load(&Reading::all(&input, View::Rgb888), &|_, _| {}).unwrap();
        Record::new(&dataset, &loaded).unwrap()
    }

    fn run(&self) -> Record {
        Self::record(Dataset::open(&self.path("own"), &Options::default()).unwrap())
    }

    fn add(&self, record: &Record, folder: &str) -> Result<Added> {
        Added::new(record, &record.root, &self.path(folder), &Options::default())
    }

    fn refusal(&self, record: &Record, folder: &str) -> String {
        format!("{:#}", self.add(record, folder).unwrap_err())
    }
}

/// Names and classes by side.
fn sides(dataset: &Dataset) -> BTreeMap<String, (usize, String)> {
    let sides = [&dataset.train, &dataset.valid, &dataset.test].into_iter().enumerate();
    sides
        .flat_map(|(side, samples)| samples.iter().map(move |sample| (side, sample)))
        .map(|(side, sample)| (sample.name.clone(), (side, dataset.classes[sample.label].clone())))
        .collect()
}

#[test]
fn the_runs_images_stay_on_their_sides_and_new_ones_are_split() {
    let folders = Folders::new();
    let record = folders.run();
    folders.draw_new("new", "dog", 40, 20);
    folders.draw_new("new", "ape", 70, 8);
    folders.draw("new/cat/copy.png", 3);
    let added = folders.add(&record, "new").unwrap();
    let (dataset, found) = (&added.dataset, sides(&added.dataset));
    assert_eq!(dataset.classes, ["ape", "cat", "dog"]);
    assert_eq!((added.new_classes.as_slice(), added.prefix.as_str()), (&["ape".to_owned()][..], "new/"));
    for (side, sample) in record.sides() {
        let class = record.classes[sample.label].clone();
        assert_eq!(found[&format!("own/{}", sample.name)], (side, class), "{}", sample.name);
    }
    assert_eq!(found.len(), 32 + 28, "the copy of a picture of the run counts once");
    assert_eq!(added.new, [20, 4, 4]);
    assert!(found["new/ape/00.png"].1 == "ape" && found["new/dog/00.png"].1 == "dog");
    assert_eq!(dataset.root, folders.0.path().canonicalize().unwrap());
    let again = folders.add(&record, "new").unwrap();
    assert_eq!(sides(&again.dataset), found);
    // The same from a record of both, after the next pictures have come.
    let joint = Folders::record(added.dataset);
    folders.draw_new("new", "cat", 90, 5);
    let more = folders.add(&joint, "new").unwrap();
    let now = sides(&more.dataset);
    assert!(found.iter().all(|(name, place)| now[name] == *place) && now.len() == found.len() + 5);
    assert!(folders.refusal(&Folders::record(more.dataset), "new").contains("nothing to learn"));
}

#[test]
fn copies_go_where_their_group_is() {
    let folders = Folders::new();
    folders.draw_new("new", "cat", 40, 12);
    let lines: Vec<String> = (0..12).map(|index| format!("cat/{index:02}.png,{}", index / 4)).collect();
    folders.group("new", &lines.iter().map(String::as_str).collect::<Vec<_>>());
    let joint = Folders::record(folders.add(&folders.run(), "new").unwrap().dataset);
    let before: BTreeMap<&str, usize> =
        joint.sides().filter_map(|(side, sample)| Some((sample.group.as_deref()?, side))).collect();
    assert_eq!(before.keys().copied().collect::<Vec<_>>(), ["new:0", "new:1", "new:2"]);
    // Of the first group nothing is left but the next pictures of its burst; the others grow.
    (0..4).for_each(|index| fs::remove_file(folders.path(&format!("new/cat/{index:02}.png"))).unwrap());
    let mut lines = lines;
    for index in 12..18 {
        folders.draw(&format!("new/cat/{index:02}.png"), 200 + index);
        lines.push(format!("cat/{index:02}.png,{}", index % 3));
    }
    folders.group("new", &lines.iter().map(String::as_str).collect::<Vec<_>>());
    let added = folders.add(&joint, "new").unwrap();
    let found = sides(&added.dataset);
    for index in 12..18 {
        let group = format!("new:{}", index % 3);
        assert_eq!(found[&format!("new/cat/{index:02}.png")].0, before[group.as_str()], "{index}");
    }
    assert!(!found.contains_key("new/cat/00.png"));
}

#[test]
fn labels_are_corrected_in_the_folder_and_nowhere_else() {
    let folders = Folders::new();
    folders.draw_new("new", "cat", 40, 10);
    let joint = Folders::record(folders.add(&folders.run(), "new").unwrap().dataset);
    let (side, name) =
        joint.sides().find(|(_, s)| s.name.starts_with("new/")).map(|(a, s)| (a, s.name.clone())).unwrap();
    let moved = name.replace("new/cat", "new/fox");
    fs::create_dir(folders.path("new/fox")).unwrap();
    fs::rename(folders.path(&name), folders.path(&moved)).unwrap();
    for index in 0..3 {
        folders.draw(&format!("new/fox/more{index}.png"), 180 + index);
    }
    let found = sides(&folders.add(&joint, "new").unwrap().dataset);
    assert_eq!(found[&moved], (side, "fox".to_owned()));
    assert!(!found.contains_key(&name));
    folders.draw("other/dog/1.png", 3);
    let error = folders.refusal(&joint, "other");
    assert!(error.contains("other/dog/1.png") && error.contains("label cat in the run"), "{error}");
}

#[test]
fn a_split_that_is_given_counts() {
    let folders = Folders::new();
    folders.draw_new("new/train", "cat", 40, 3);
    folders.draw_new("new/test", "cat", 60, 2);
    let added = folders.add(&folders.run(), "new").unwrap();
    assert_eq!(added.new, [3, 0, 2]);
    assert_eq!(sides(&added.dataset)["new/test/cat/00.png"].0, 2);
}

#[test]
fn folders_that_are_none_of_their_own_are_refused() {
    let folders = Folders::new();
    let record = folders.run();
    assert!(folders.refusal(&record, "none").contains("does not exist"));
    fs::create_dir_all(folders.path("empty/cat")).unwrap();
    assert!(folders.refusal(&record, "empty").contains("holds no image"));
    folders.draw_new("own/inside", "cat", 40, 3);
    assert!(folders.refusal(&record, "own/inside").contains("would be taken for a class"));
    fs::remove_dir_all(folders.path("own/inside")).unwrap();
    assert!(folders.refusal(&record, "own").contains("nothing to learn"));
    folders.draw_new("parent", "cat", 40, 3);
    fs::rename(folders.path("own"), folders.path("parent/own")).unwrap();
    let error =
        format!("{:#}", Added::new(&record, &record.root, &folders.path("parent"), &Options::default()).unwrap_err());
    assert!(error.contains("--from-data"), "{error}");
    let own = folders.path("parent/own");
    let error = format!("{:#}", Added::new(&record, &own, &folders.path("parent"), &Options::default()).unwrap_err());
    assert!(error.contains("holds the run's own pictures"), "{error}");
}

#[test]
fn pictures_that_are_put_into_the_runs_own_folder_are_new_ones() {
    let folders = Folders::new();
    let record = folders.run();
    folders.draw("own/cat/new.png", 60);
    let added = folders.add(&record, "own").unwrap();
    assert_eq!((added.new.iter().sum::<usize>(), added.prefix.as_str()), (1, ""));
    assert_eq!(sides(&added.dataset).len(), 33);
}

#[test]
fn classes_that_differ_in_their_writing_alone_are_refused() {
    let folders = Folders::new();
    folders.draw_new("new", "Cat", 40, 3);
    let error = folders.refusal(&folders.run(), "new");
    assert!(error.contains("class Cat") && error.contains("class cat"), "{error}");
}

#[test]
fn what_changes_while_it_is_read_is_named() {
    let folders = Folders::new();
    folders.draw_new("new", "cat", 40, 4);
    let record = folders.run();
    folders.draw("own/cat/05.png", 250);
    let added = folders.add(&record, "new").unwrap();
    let mut dataset = added.dataset.clone();
    let input = InputConfig { width: 4, height: 4, ..InputConfig::default() };
    dataset.load(&Reading::all(&input, View::Rgb888), &|_, _| {}).unwrap();
    let error = added.check_same(&dataset).unwrap_err().to_string();
    assert!(error.contains("own/cat/05.png"), "{error}");
}
