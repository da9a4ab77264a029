//! What a person does with pictures that were collected: looks at them, corrects their classes, deletes them.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use model_training::data::dataset::{GROUPS_FILE, UNLABELLED, is_class_name};
use model_training::system::{atomic, read};
use serde::{Deserialize, Serialize};

use super::{Collection, check_class};

/// What pictures' files end with.
const PICTURES: [&str; 3] = ["png", "jpg", "jpeg"];

/// A picture of a collection, by the folder and the file that it lies in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Picture {
    /// Its class, or [`UNLABELLED`].
    pub class: String,
    /// The name of its file.
    pub name: String,
}

impl Picture {
    /// The picture that a file is, and the folder of its collection: `FOLDER/CLASS/NAME`.
    ///
    /// # Errors
    /// When the path has no such end.
    pub fn at(file: &Path) -> Result<(PathBuf, Self)> {
        let whole = std::path::absolute(file).with_context(|| format!("{} is no path of a file", file.display()))?;
        let text = |part: Option<&OsStr>| part.and_then(OsStr::to_str).map(str::to_owned);
        let found = || {
            let class = whole.parent()?;
            let picture = Self { class: text(class.file_name())?, name: text(whole.file_name())? };
            Some((class.parent()?.to_owned(), picture))
        };
        found().with_context(|| {
            format!("{} is no picture of a collection: name a file, as in FOLDER/CLASS/PICTURE.png", file.display())
        })
    }

    /// Its path below the collection's folder, `/` between the parts.
    fn path(&self) -> String {
        format!("{}/{}", self.class, self.name)
    }

    /// Refuses names that lead elsewhere.
    fn check(&self) -> Result<()> {
        let Self { class, name } = self;
        let inside = is_folder(class) && !name.starts_with('.') && Path::new(name).components().count() == 1;
        let plain = !name.contains(['/', '\\', ':']) && is_picture(name);
        ensure!(inside && plain, "`{class}/{name}` is no picture of this collection");
        Ok(())
    }
}

fn is_folder(class: &str) -> bool {
    class == UNLABELLED || is_class_name(class)
}

fn is_picture(name: &str) -> bool {
    let ending = Path::new(name).extension().and_then(OsStr::to_str).unwrap_or_default();
    PICTURES.contains(&&*ending.to_lowercase())
}

/// How many pictures each class of a collection's folder has, and [`UNLABELLED`], where there is such a folder.
///
/// # Errors
/// When a folder cannot be read.
pub fn counts(folder: &Path) -> Result<BTreeMap<String, usize>> {
    let entries = fs::read_dir(folder).with_context(|| unreadable(folder))?;
    let mut counts = BTreeMap::new();
    for entry in entries {
        let entry = entry.with_context(|| unreadable(folder))?;
        let Ok(class) = entry.file_name().into_string() else { continue };
        if is_folder(&class) && entry.path().is_dir() {
            let pictures = names(&entry.path())?.len();
            counts.insert(class, pictures);
        }
    }
    Ok(counts)
}

/// The pictures of a class of a collection's folder, or of [`UNLABELLED`], the latest first; none where there is no such class.
///
/// # Errors
/// When the name is no class's, or the folder cannot be read.
pub fn pictures(folder: &Path, class: &str) -> Result<Vec<Picture>> {
    ensure!(is_folder(class), "`{class}` is no class of this collection");
    let folder = folder.join(class);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut names = names(&folder)?;
    // Without their endings: of two in a millisecond the second has a number behind the time.
    names.sort_by_cached_key(|name| Reverse(Path::new(name).file_stem().map(OsStr::to_owned)));
    Ok(names.into_iter().map(|name| Picture { class: class.to_owned(), name }).collect())
}

/// What has become of so many pictures, as a sentence.
#[must_use]
pub fn sentence(count: usize, now: &str) -> String {
    let are = if count == 1 { "1 picture is".to_owned() } else { format!("{count} pictures are") };
    format!("{are} {now}")
}

impl Collection {
    /// Opens the folder of a collection that is there.
    ///
    /// # Errors
    /// When it is none, or those of [`open`](Self::open).
    pub fn open_existing(folder: &Path) -> Result<Self> {
        let is_one = folder.join(GROUPS_FILE).is_file();
        ensure!(is_one, "{} is no folder into which was collected: it has no {GROUPS_FILE}", folder.display());
        Self::open(folder)
    }

    /// Where it lies.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A picture's file.
    ///
    /// # Errors
    /// When its names lead elsewhere, or it is not there.
    pub fn file(&self, picture: &Picture) -> Result<PathBuf> {
        picture.check()?;
        let path = self.folder.join(&picture.class).join(&picture.name);
        let regular = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file());
        ensure!(regular, "there is no picture {} any more", picture.path());
        Ok(path)
    }

    /// Moves pictures into the folder of another class, or of none, and keeps their groups. Whatever happens meanwhile, a picture is in
    /// one of the two folders, whole, with the camera's bytes beside it and with its group.
    ///
    /// # Errors
    /// When one is not there, its name is taken there, or something cannot be written.
    pub fn relabel(&mut self, pictures: &[Picture], label: Option<&str>) -> Result<()> {
        check_class(label)?;
        let class = label.unwrap_or(UNLABELLED);
        let folder = self.folder.join(class);
        let moving: Vec<&Picture> = pictures.iter().filter(|picture| picture.class != class).collect();
        let mut files = Vec::new();
        for picture in &moving {
            let (from, into) = (self.file(picture)?, folder.join(&picture.name));
            let twice = files.iter().any(|(_, other)| *other == into);
            let taken = twice || fs::symlink_metadata(&into).is_ok();
            ensure!(!taken, "{class} has a picture of the name {} already: rename one of them first", picture.name);
            files.push((from, into));
        }
        fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let paths: Vec<[String; 2]> =
            moving.iter().map(|picture| [picture.path(), format!("{class}/{}", picture.name)]).collect();
        let label = label.unwrap_or_default();
        let paths: Vec<_> = paths.iter().map(|[from, into]| [from.as_str(), into, label]).collect();
        let raws = || files.iter().try_for_each(|(from, _)| raw(from)?.iter().try_for_each(|raw| copy(raw, &folder)));
        if let Err(error) = raws().and_then(|()| self.groups.rename(&paths)) {
            // No picture is there yet, and on a full disk each byte counts.
            files.iter().for_each(|(_, into)| remove_raw(into).unwrap_or_default());
            files.iter().for_each(|(_, into)| remove_empty(into));
            return Err(error);
        }
        for (from, into) in files {
            let failed = || format!("cannot move {} to {}", from.display(), into.display());
            fs::rename(&from, &into).with_context(failed)?;
            remove_raw(&from)?;
            remove_empty(&from);
            self.last.iter_mut().filter(|last| last.path == from).for_each(|last| last.path.clone_from(&into));
        }
        Ok(())
    }

    /// Deletes pictures for good.
    ///
    /// # Errors
    /// When one is not there, or cannot be deleted; those before it are.
    pub fn remove(&mut self, pictures: &[Picture]) -> Result<()> {
        for picture in pictures {
            let file = self.file(picture)?;
            fs::remove_file(&file).with_context(|| format!("cannot delete {}", file.display()))?;
            remove_raw(&file)?;
            remove_empty(&file);
            // The same frame may be saved anew.
            self.last.retain(|last| last.path != file);
        }
        Ok(())
    }
}

fn unreadable(folder: &Path) -> String {
    format!("cannot read the folder {}: check that it is there, and its permissions", folder.display())
}

/// Names of the pictures in a folder.
fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| unreadable(folder))? {
        let Ok(name) = entry.with_context(|| unreadable(folder))?.file_name().into_string() else { continue };
        if !name.starts_with('.') && is_picture(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// Files beside a picture that hold the camera's bytes of it: `NAME.320x240.yuv422` beside `NAME.png`.
fn raw(picture: &Path) -> Result<Vec<PathBuf>> {
    let folder = picture.parent().unwrap_or(Path::new(""));
    let Some(stem) = picture.file_stem().and_then(OsStr::to_str) else { return Ok(Vec::new()) };
    let is_raw = |name: &str| {
        let rest = name.strip_prefix(stem).and_then(|rest| rest.strip_prefix('.'));
        rest.and_then(|rest| rest.split_once('.')).is_some_and(|(size, format)| {
            let size = size.split_once('x').is_some_and(|(w, h)| [w, h].iter().all(|n| n.parse::<u16>().is_ok()));
            size && format.chars().all(char::is_alphanumeric)
        })
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| unreadable(folder))? {
        let entry = entry.with_context(|| unreadable(folder))?;
        if entry.file_name().to_str().is_some_and(is_raw) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn remove_raw(picture: &Path) -> Result<()> {
    for file in raw(picture)? {
        match fs::remove_file(&file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot delete {}", file.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Removes a picture's folder where nothing is left in it: a class without pictures is none.
fn remove_empty(picture: &Path) {
    // The system refuses where something is left.
    picture.parent().map(fs::remove_dir).into_iter().for_each(drop);
}

/// Copies a file into a folder, whole or not at all.
fn copy(file: &Path, folder: &Path) -> Result<()> {
    let bytes = read::bytes(file, read::DATA).with_context(|| format!("cannot read {}", file.display()))?;
    atomic::write(&folder.join(file.file_name().unwrap_or_default()), &bytes)
}
