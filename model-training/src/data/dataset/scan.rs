//! Finds class folders and the image files in them.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use image::ImageFormat;
use walkdir::WalkDir;

use super::{COPIES_FILE, GROUPS_FILE, listed};
use crate::system::read;

/// The image files of each class.
pub(super) type Classes = BTreeMap<String, Vec<PathBuf>>;

/// What a folder holds.
pub(super) struct Folder {
    /// The folder that holds the splits or the classes.
    pub root: PathBuf,
    pub layout: Layout,
    pub notes: Vec<String>,
}

pub(super) enum Layout {
    /// Class folders.
    Flat(Classes),
    /// Class folders in split folders; a split without a folder is empty.
    Split { train: Classes, valid: Classes, test: Classes },
}

/// Files that say by their name that they are images, readable here or not.
const IMAGE_EXTENSIONS: [&str; 17] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "bmp", "webp", "gif", "tif", "tiff", "heic", "heif", "avif", "jxl", "jp2",
    "tga", "ico",
];

/// What systems leave in folders, besides hidden entries.
const LEFTOVERS: [&str; 6] =
    ["__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found"];

/// Folder of pictures that nobody has labelled yet: no class.
pub const UNLABELLED: &str = "unlabelled";

/// Whether a folder of this name is a class.
#[must_use]
pub fn is_class_name(name: &str) -> bool {
    let separates = |c: char| c.is_control() || matches!(c, '/' | '\\' | ':');
    !name.trim().is_empty() && !name.starts_with('.') && is_shown(Path::new(name)) && !name.contains(separates)
}

/// Words around the name of a split, as in `training_set` and `seg_train`.
const FILLERS: [&str; 7] = ["set", "seg", "data", "dataset", "images", "imgs", "split"];

/// Reads the structure of `dir`.
pub(super) fn scan(dir: &Path) -> Result<Folder> {
    let root = root(dir)?;
    let mut other = Other::default();
    let splits = split_folders(&root)?;
    refuse_beside(&root, splits.values())?;
    let layout = if splits.is_empty() {
        let classes = classes(&root, &mut other)?;
        ensure!(
            !classes.is_empty(),
            "{} has no folder with images in it: give a folder that holds one folder of images for each class",
            dir.display()
        );
        Layout::Flat(classes)
    } else {
        let mut read = |name: &str| splits.get(name).map_or(Ok(Classes::new()), |folder| classes(folder, &mut other));
        Layout::Split { train: read("train")?, valid: read("valid")?, test: read("test")? }
    };
    let images = match &layout {
        Layout::Flat(classes) => classes.values().flatten().count(),
        Layout::Split { train, valid, test } => {
            [train, valid, test].into_iter().flat_map(|c| c.values()).flatten().count()
        }
    };
    ensure!(
        images > 0,
        "{} holds no image: put JPEG, PNG, BMP or WebP files into a folder for each class",
        dir.display()
    );
    Ok(Folder { root, layout, notes: other.notes() })
}

/// The folder with the splits or classes: `dir` itself or, as archives have it, the one folder inside.
pub(super) fn root(dir: &Path) -> Result<PathBuf> {
    ensure!(dir.exists(), "the data folder {} does not exist: give the path of a folder of images", dir.display());
    ensure!(dir.is_dir(), "{} is a file: give the path of a folder of images", dir.display());
    find_root(dir)
}

/// All image files in a folder, at any depth, in the order of their paths.
///
/// # Errors
/// When there is none, or a folder cannot be listed.
pub fn image_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    collect_images(dir, &mut files, &mut Other::default())?;
    ensure!(!files.is_empty(), "{} holds no image: give a folder of JPEG, PNG, BMP or WebP files", dir.display());
    Ok(files)
}

/// Files that are no part of the data set.
#[derive(Default)]
struct Other {
    no_image: usize,
    no_class: usize,
}

impl Other {
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        match self.no_image {
            0 => {}
            1 => notes.push("1 file that is not an image was ignored".to_owned()),
            several => notes.push(format!("{several} files that are not images were ignored")),
        }
        if self.no_class > 0 {
            notes.push(format!("{} images outside of the class folders were ignored", self.no_class));
        }
        notes
    }
}

fn find_root(dir: &Path) -> Result<PathBuf> {
    if !split_folders(dir)?.is_empty() {
        return Ok(dir.to_owned());
    }
    let inside = folders(dir)?;
    let mut split = Vec::new();
    for folder in inside.values() {
        if !split_folders(folder)?.is_empty() {
            split.push(folder.clone());
        }
    }
    match (split.as_slice(), inside.values().next()) {
        ([root], _) => {
            refuse_beside(dir, [root])?;
            Ok(root.clone())
        }
        ([], Some(only)) if inside.len() == 1 && is_folder_of_folders(only)? => Ok(only.clone()),
        ([], _) => Ok(dir.to_owned()),
        (several, _) => bail!(
            "{} holds several data sets, {}: give the path of one of them",
            dir.display(),
            listed(&several.iter().map(|path| path.display().to_string()).collect::<Vec<_>>())
        ),
    }
}

/// The folders of `dir` that hold a split, under the names `train`, `valid` and `test`. A folder of images called
/// `train` is a class, of vehicles perhaps.
fn split_folders(dir: &Path) -> Result<BTreeMap<&'static str, PathBuf>> {
    let mut splits = BTreeMap::new();
    for (name, folder) in folders(dir)? {
        if let Some(split) = split_name(&name)
            && let Some(inside) = class_folders_at(&folder, split)?
            && let Some(twin) = splits.insert(split, inside)
        {
            bail!("{} and {} are the same split: merge or remove one of them", twin.display(), folder.display());
        }
    }
    Ok(splits)
}

/// The split that a folder's name says.
fn split_name(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    let mut words = name.split(['_', '-', ' ']).filter(|word| !FILLERS.contains(word));
    let split = match words.next()? {
        "train" | "training" => "train",
        "valid" | "val" | "validation" | "validate" | "dev" => "valid",
        "test" | "testing" => "test",
        _ => return None,
    };
    words.next().is_none().then_some(split)
}

/// Where the class folders of a split are: in its folder or, as archives have it, in the one folder of its name inside.
/// `None` where the folder holds images or nothing.
fn class_folders_at(folder: &Path, split: &str) -> Result<Option<PathBuf>> {
    if !is_folder_of_folders(folder)? {
        return Ok(None);
    }
    let inside = folders(folder)?;
    match inside.iter().next() {
        Some((name, only)) if inside.len() == 1 && split_name(name) == Some(split) && is_folder_of_folders(only)? => {
            Ok(Some(only.clone()))
        }
        _ => Ok(Some(folder.to_owned())),
    }
}

/// Refuses images in folders of `dir` other than those that lead to the sides of a split: whether they belong to it
/// cannot be known.
fn refuse_beside<'a>(dir: &Path, sides: impl IntoIterator<Item = &'a PathBuf>) -> Result<()> {
    let sides: Vec<&PathBuf> = sides.into_iter().collect();
    let mut beside = Vec::new();
    for (name, folder) in folders(dir)? {
        if !sides.is_empty() && !sides.iter().any(|side| side.starts_with(&folder)) {
            let mut images = Vec::new();
            collect_images(&folder, &mut images, &mut Other::default())?;
            beside.extend((!images.is_empty()).then_some(name));
        }
    }
    let sides: Vec<String> = sides.into_iter().map(|side| name_of(side, dir)).collect();
    ensure!(
        beside.is_empty(),
        "{} holds images in {}, beside the split in {}: move them into a class folder of one side, or elsewhere",
        dir.display(),
        listed(&beside),
        listed(&sides)
    );
    Ok(())
}

/// Whether `dir` has folders but no images.
fn is_folder_of_folders(dir: &Path) -> Result<bool> {
    if folders(dir)?.is_empty() {
        return Ok(false);
    }
    Ok(!entries(dir, 1)?.iter().any(|path| path.is_file() && is_image(path)))
}

/// The class folders of `dir` and the images in each, at any depth.
fn classes(dir: &Path, other: &mut Other) -> Result<Classes> {
    for file in entries(dir, 1)?.into_iter().filter(|path| !path.is_dir()) {
        if is_image(&file) {
            other.no_class += 1;
        } else if !is_own(&file) {
            other.no_image += 1;
        }
    }
    folders(dir)?
        .into_iter()
        .map(|(name, folder)| {
            let mut files = Vec::new();
            collect_images(&folder, &mut files, other)?;
            Ok((name, files))
        })
        .collect()
}

fn collect_images(dir: &Path, files: &mut Vec<PathBuf>, other: &mut Other) -> Result<()> {
    for file in entries(dir, usize::MAX)?.into_iter().filter(|path| !path.is_dir()) {
        if is_image(&file) {
            check_text(&file, dir)?;
            files.push(file);
        } else {
            other.no_image += 1;
        }
    }
    Ok(())
}

/// Whether this program wrote the file.
fn is_own(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == GROUPS_FILE || name == COPIES_FILE)
}

/// Refuses names below `dir` that records of a run could not hold.
fn check_text(path: &Path, dir: &Path) -> Result<()> {
    let is_text = path.strip_prefix(dir).is_ok_and(|name| name.to_str().is_some());
    ensure!(is_text, "the name of {} is no UTF-8: rename it", path.display());
    Ok(())
}

/// Whether a file is meant to be an image: by its name, or by its first bytes where the name says nothing.
fn is_image(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    if extension.is_some_and(|extension| IMAGE_EXTENSIONS.contains(&extension.as_str())) {
        return true;
    }
    let mut start = Vec::new();
    let read = read::open(path).is_ok_and(|file| file.take(16).read_to_end(&mut start).is_ok());
    let format = image::guess_format(&start).ok();
    read && matches!(format, Some(ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP))
}

/// The folders in `dir` by name.
fn folders(dir: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let entries = entries(dir, 1)?.into_iter().filter(|path| path.is_dir());
    entries.map(|path| check_text(&path, dir).map(|()| (name_of(&path, dir), path))).collect()
}

/// What lies in `dir`, so many folders deep, in the order of the names; without hidden entries and what systems leave there.
/// Links are followed.
fn entries(dir: &Path, depth: usize) -> Result<Vec<PathBuf>> {
    ensure!(dir.is_dir(), "there is no folder {}: check the path", dir.display());
    let walk = WalkDir::new(dir).follow_links(true).min_depth(1).max_depth(depth).sort_by_file_name();
    let shown = walk.into_iter().filter_entry(|entry| is_shown(entry.path()));
    let paths = shown.map(|entry| entry.map_or_else(broken_link, |entry| Ok(entry.into_path())));
    Ok(paths.collect::<Result<Vec<_>>>()?.into_iter().filter(|path| is_shown(path)).collect())
}

fn is_shown(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    !name.starts_with('.') && !LEFTOVERS.contains(&&*name) && name != UNLABELLED
}

/// The path of a link that leads nowhere: what it is for, its name says. All other errors stay.
fn broken_link(error: walkdir::Error) -> Result<PathBuf> {
    let path = error.path().unwrap_or(Path::new("")).to_owned();
    let shown = path.display();
    ensure!(error.loop_ancestor().is_none(), "{shown} is a link to a folder above it: remove it");
    match error.io_error().map(std::io::Error::kind) {
        Some(ErrorKind::NotFound) => Ok(path),
        _ => Err(error).with_context(|| format!("cannot list the folder {shown}: check its permissions")),
    }
}

/// `path` relative to `root` with `/` between the parts.
pub(super) fn name_of(path: &Path, root: &Path) -> String {
    let inside = path.strip_prefix(root).unwrap_or(path);
    inside.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}
