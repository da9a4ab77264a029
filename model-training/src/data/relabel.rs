//! Corrected labels: images move into the folder of another class, and keep their names and their group.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::dataset::{Dataset, GROUPS_FILE, groups_renamed, listed};
use crate::system::spreadsheet::{cell, text};
use crate::system::{atomic, read};

/// The columns of a file of corrections.
const COLUMNS: [&str; 3] = ["path", "label", "to"];

/// One image that moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// Its path below the data folder, `/` between the parts.
    pub from: String,
    /// The path that it gets.
    pub into: String,
    /// The class that it is filed under.
    pub label: String,
    /// The class that it belongs to.
    pub to: String,
}

/// What a file of corrections asks of a data folder.
#[derive(Debug)]
pub struct Relabelling {
    root: PathBuf,
    /// The images that move, in the order of the file.
    pub moves: Vec<Move>,
    /// How many of the file's images have moved already.
    pub done: usize,
    /// Files of groups, with their images' new paths.
    groups: Vec<(PathBuf, Vec<u8>)>,
}

impl Relabelling {
    /// Reads a CSV file with the columns `path`, `label` and `to`, and plans. `groups` is another file of groups than that in the
    /// data folder. Nothing is changed.
    ///
    /// # Errors
    /// When the file cannot be read, names an image or a class that is not there or an image twice, when two images would get one
    /// path, or something lies at a new path.
    pub fn plan(data: &Path, corrections: &Path, groups: Option<&Path>) -> Result<Self> {
        let dataset = Dataset::list(data, None)?;
        let samples = [&dataset.train, &dataset.valid, &dataset.test].into_iter().flatten();
        let names: BTreeMap<&str, &str> =
            samples.map(|sample| (sample.name.as_str(), dataset.classes[sample.label].as_str())).collect();
        let (mut moves, mut done) = (Vec::new(), 0);
        for [path, label, to] in records(corrections)? {
            ensure!(
                dataset.classes.contains(&to),
                "{} has no class {to}: its classes are {}",
                dataset.root.display(),
                listed(&dataset.classes)
            );
            if label == to {
                continue;
            }
            let into = with_class(&dataset.root, &path, &label, &to)?;
            if !names.contains_key(path.as_str()) && names.get(into.as_str()) == Some(&to.as_str()) {
                done += 1;
                continue;
            }
            ensure!(
                names.get(path.as_str()) == Some(&label.as_str()),
                "{} holds no image {path} of the class {label}: give the folder that the corrections are of",
                dataset.root.display()
            );
            moves.push(Move { from: path, into, label, to });
        }
        check_apart(&dataset.root, &moves)?;
        let groups = renamed_groups(&dataset.root, data, groups, &moves)?;
        Ok(Self { root: dataset.root, moves, done, groups })
    }

    /// Moves the images, after it has written corrections that undo it to `undo`, and the files of groups. When it is interrupted,
    /// the same again goes on.
    ///
    /// # Errors
    /// When `undo` is there already, or a file cannot be written or moved.
    pub fn apply(&self, undo: &Path) -> Result<()> {
        ensure!(
            !undo.exists(),
            "{} is there already: move it elsewhere, since it undoes earlier moves",
            undo.display()
        );
        atomic::write(undo, &self.undoing()?)?;
        for (file, bytes) in &self.groups {
            atomic::write(file, bytes)?;
        }
        for Move { from, into, .. } in &self.moves {
            let (from, into) = (self.root.join(from), self.root.join(into));
            let failed = || format!("cannot move {} to {}", from.display(), into.display());
            into.parent().map_or(Ok(()), fs::create_dir_all).with_context(failed)?;
            ensure!(
                fs::symlink_metadata(&into).is_err(),
                "{} appeared meanwhile: nothing is written over",
                into.display()
            );
            fs::rename(&from, &into).with_context(failed)?;
        }
        Ok(())
    }

    fn undoing(&self) -> Result<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(COLUMNS)?;
        for Move { into, label, to, .. } in &self.moves {
            writer.write_record([cell(into), cell(to), cell(label)].map(String::from))?;
        }
        Ok(writer.into_inner()?)
    }
}

/// The corrections in a file.
fn records(file: &Path) -> Result<Vec<[String; 3]>> {
    let shown = file.display();
    let unreadable = || format!("cannot read the corrections {shown}");
    let bytes = read::bytes(file, read::DATA).with_context(unreadable)?;
    let mut reader = csv::Reader::from_reader(&bytes[..]);
    let header = reader.headers().with_context(unreadable)?;
    let column = |name: &str| header.iter().position(|title| title == name);
    let columns: Option<Vec<usize>> = COLUMNS.iter().map(|name| column(name)).collect();
    let columns = columns.with_context(|| {
        format!("{shown} has no columns `path`, `label` and `to`: give the file that the page of suspected labels made")
    })?;
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for record in reader.records() {
        let record = record.with_context(unreadable)?;
        let field = |which: usize| text(&record[columns[which]]).to_owned();
        let fields = [field(0), field(1), field(2)];
        ensure!(seen.insert(fields[0].clone()), "{shown} names {} twice: keep one", fields[0]);
        found.push(fields);
    }
    Ok(found)
}

/// The path with another class in place of its own: of several parts of that name the one beside whose folder the other class is.
fn with_class(root: &Path, path: &str, label: &str, to: &str) -> Result<String> {
    let parts: Vec<&str> = path.split('/').collect();
    let changed = |at: usize| {
        let mut parts = parts.clone();
        parts[at] = to;
        parts
    };
    let places: Vec<usize> = (0..parts.len() - 1).filter(|&at| parts[at] == label).collect();
    let is_there = |&at: &usize| root.join(changed(at)[..=at].join("/")).is_dir();
    let at = if let [only] = places[..] { Some(only) } else { places.iter().copied().find(is_there) };
    let at = at.with_context(|| format!("{path} does not lie in a folder {label}: its class is not known"))?;
    Ok(changed(at).join("/"))
}

/// Refuses two images for one place, and a place that is taken.
fn check_apart(root: &Path, moves: &[Move]) -> Result<()> {
    let mut taken = BTreeMap::new();
    for Move { from, into, .. } in moves {
        if let Some(other) = taken.insert(into, from) {
            anyhow::bail!("{other} and {from} would both become {into}: rename one of them first");
        }
        ensure!(
            fs::symlink_metadata(root.join(into)).is_err(),
            "{from} would become {into}, which is there already: rename one of them first"
        );
    }
    Ok(())
}

/// The files of groups that name images that move, with their new names.
fn renamed_groups(root: &Path, data: &Path, other: Option<&Path>, moves: &[Move]) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let beside = [root, data].map(|folder| folder.join(GROUPS_FILE));
    let found: BTreeSet<PathBuf> = match other {
        Some(file) => BTreeSet::from([file.to_path_buf()]),
        None => beside.into_iter().filter(|file| file.is_file()).collect(),
    };
    let renamed: Vec<[&str; 3]> =
        moves.iter().map(|Move { from, into, to, .. }| [from, into, to].map(String::as_str)).collect();
    let mut files = Vec::new();
    for file in found {
        if let Some(bytes) = groups_renamed(&file, root, data, &renamed)? {
            files.push((file, bytes));
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two classes in two splits, with groups, and corrections of these lines.
    fn folder(corrections: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for path in ["train/cat/a.png", "train/cat/b.png", "train/cat/deep/c.png", "train/dog/b.png", "train/dog/d.png"]
        {
            let path = dir.path().join("pets").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, path.file_name().unwrap().as_encoded_bytes()).unwrap();
        }
        let groups = "path,label,group\ntrain/cat/a.png,cat,1\n./train/cat/deep/c.png,cat,1\ntrain/dog/d.png,dog,2\n";
        fs::write(dir.path().join("pets/groups.csv"), groups).unwrap();
        fs::write(dir.path().join("corrections.csv"), format!("path,label,to\n{corrections}")).unwrap();
        dir
    }

    fn plan(dir: &tempfile::TempDir) -> Result<Relabelling> {
        Relabelling::plan(&dir.path().join("pets"), &dir.path().join("corrections.csv"), None)
    }

    fn files(dir: &tempfile::TempDir) -> Vec<String> {
        let all = walkdir::WalkDir::new(dir.path().join("pets")).sort_by_file_name().into_iter().map(Result::unwrap);
        let files = all.filter(|entry| entry.file_type().is_file()).map(|entry| {
            let name = entry.path().strip_prefix(dir.path()).unwrap().to_string_lossy().replace('\\', "/");
            format!("{name}={}", fs::read_to_string(entry.path()).unwrap())
        });
        files.collect()
    }

    #[test]
    fn images_move_with_their_groups_and_back() {
        let dir = folder("train/cat/a.png,cat,dog\ntrain/cat/deep/c.png,cat,dog\ntrain/dog/d.png,dog,dog\n");
        let before = files(&dir);
        let planned = plan(&dir).unwrap();
        assert_eq!(files(&dir), before, "a plan changes nothing");
        assert_eq!(planned.moves.len(), 2);
        assert_eq!(planned.moves[1].into, "train/dog/deep/c.png");
        let undo = dir.path().join("undo.csv");
        planned.apply(&undo).unwrap();
        let after = files(&dir).join("\n");
        assert!(
            after.contains("pets/train/dog/a.png=a.png") && after.contains("pets/train/dog/deep/c.png=c.png"),
            "{after}"
        );
        assert!(after.contains("train/dog/a.png,dog,1\ntrain/dog/deep/c.png,dog,1\ntrain/dog/d.png,dog,2"), "{after}");
        assert!(!after.contains("cat/a.png"), "{after}");
        let again = plan(&dir).unwrap();
        assert_eq!((again.moves.len(), again.done), (0, 2));
        assert!(planned.apply(&undo).unwrap_err().to_string().contains("is there already"));
        let back = Relabelling::plan(&dir.path().join("pets"), &undo, None).unwrap();
        back.apply(&dir.path().join("redo.csv")).unwrap();
        let images =
            |files: &[String]| files.iter().filter(|file| !file.contains("groups")).cloned().collect::<Vec<_>>();
        assert_eq!(images(&files(&dir)), images(&before));
    }

    #[test]
    fn what_was_interrupted_goes_on() {
        let dir = folder("train/cat/a.png,cat,dog\ntrain/cat/deep/c.png,cat,dog\n");
        fs::rename(dir.path().join("pets/train/cat/a.png"), dir.path().join("pets/train/dog/a.png")).unwrap();
        let planned = plan(&dir).unwrap();
        assert_eq!((planned.moves.len(), planned.done), (1, 1));
    }

    #[test]
    fn what_cannot_be_done_is_refused_and_nothing_changes() {
        let cases = [
            ("train/cat/b.png,cat,dog", "there already"),
            ("train/cat/a.png,cat,cow", "no class cow"),
            ("train/cat/z.png,cat,dog", "no image train/cat/z.png"),
            ("train/cat/a.png,dog,cat", "does not lie in a folder dog"),
            ("../cat/a.png,cat,dog", "no image"),
            ("train/cat/a.png,cat,dog\ntrain/cat/a.png,cat,dog", "twice"),
        ];
        for (corrections, part) in cases {
            let dir = folder(corrections);
            let before = files(&dir);
            let error = format!("{:#}", plan(&dir).unwrap_err());
            assert!(error.contains(part), "{corrections}: {error}");
            assert_eq!(files(&dir), before);
        }
        let dir = folder("");
        fs::write(dir.path().join("corrections.csv"), "path,group\n").unwrap();
        assert!(plan(&dir).unwrap_err().to_string().contains("no columns"));
    }

    #[test]
    fn a_class_called_as_a_split_is_told_from_it() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["train/train", "train/car"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        assert_eq!(with_class(dir.path(), "train/train/1.png", "train", "car").unwrap(), "train/car/1.png");
    }
}
