//! Pictures that a board's camera has taken, collected in a folder to train on.
//!
//! The folder has a folder for each class, as `train` reads it, and [`UNLABELLED`] for those whose class nobody has said yet, which
//! training leaves out. Each picture is a PNG of exactly the colours that the network's preprocessing sees; where these do not
//! lead back to the camera's bytes, the bytes lie beside it. `groups.csv` says which pictures are nearly the same.

mod gallery;
mod groups;
pub mod health;
mod pixels;
pub mod rules;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use no_std_device::link::Shape;
use serde::Serialize;
use sha2::{Digest, Sha256};

pub use gallery::{Picture, counts, pictures, sentence};
use groups::GroupsFile;
use model_training::data::dataset::{UNLABELLED, is_class_name};
use model_training::system::atomic;
use model_training::system::claim::{Claim, claim};
pub use pixels::{Thumbnail, picture, png};

/// Name of the file that is locked while something collects.
const LOCK_FILE: &str = ".collect.lock";
/// So many of the pictures that were saved last are remembered.
const REMEMBERED: usize = 64;
/// Longest name of a class, in bytes: no system has shorter names of folders.
const CLASS_MAX: usize = 200;
/// Pictures whose [`Thumbnail`]s differ by less are copies of each other. The noise of a sensor is below it; a hand that moves is not.
pub const NEAR: f32 = 6.0;

/// A folder of pictures that grows; nobody else adds to it meanwhile.
#[derive(Debug)]
pub struct Collection {
    folder: PathBuf,
    _claim: Claim,
    groups: GroupsFile,
    /// What was saved last, the latest at the end.
    last: VecDeque<Remembered>,
}

#[derive(Debug)]
struct Remembered {
    camera: usize,
    digest: [u8; 32],
    thumbnail: Thumbnail,
    group: String,
    path: PathBuf,
}

/// Where a frame belongs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filing<'a> {
    /// Its class, where somebody has said it.
    pub label: Option<&'a str>,
    /// Which of several cameras took it.
    pub camera: usize,
    /// Whether it followed the camera's picture before at once, as the next one of a burst does.
    pub near: bool,
}

/// What has become of a picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Saved {
    /// It is in this file, in this group.
    New {
        /// Path of the PNG.
        path: PathBuf,
        /// Name of its group.
        group: String,
    },
    /// Its bytes are those of a picture that was saved shortly before, and nothing was written.
    Again,
}

impl Collection {
    /// Opens a folder, which is made where it is missing.
    ///
    /// # Errors
    /// When it cannot be made, something else collects into it, or its `groups.csv` is not one that this can add to.
    pub fn open(folder: &Path) -> Result<Self> {
        let claim = claim(folder, LOCK_FILE)?.with_context(|| {
            format!(
                "another process is collecting into {}: wait for its end, or choose another folder",
                folder.display()
            )
        })?;
        let groups = GroupsFile::open(folder)?;
        Ok(Self { folder: folder.to_owned(), _claim: claim, groups, last: VecDeque::new() })
    }

    /// By how much a picture differs from the one that was saved last and is most like it; without bound where there is none.
    #[must_use]
    pub fn distance(&self, thumbnail: &Thumbnail) -> f32 {
        self.last.iter().map(|last| last.thumbnail.distance(thumbnail)).fold(f32::INFINITY, f32::min)
    }

    /// Saves a frame. It belongs to the group of its camera's picture before when it is near that by the caller's word, or when the
    /// two are nearly the same.
    ///
    /// # Errors
    /// When the class's name is no name of a folder, the bytes are no frame, or something cannot be written, as on a full disk:
    /// then what was saved before is whole.
    pub fn save(&mut self, shape: &Shape, bytes: &[u8], filing: Filing<'_>) -> Result<Saved> {
        let Filing { label, camera, near } = filing;
        let class = label.unwrap_or(UNLABELLED);
        check_class(label)?;
        let digest = Sha256::digest(bytes).into();
        if self.last.iter().any(|last| last.digest == digest) {
            return Ok(Saved::Again);
        }
        let (image, thumbnail) = (png(shape, bytes)?, Thumbnail::new(shape, bytes)?);
        let stem = self.free_name(class)?;
        let before = self.last.iter().rfind(|last| last.camera == camera);
        let before = before.filter(|last| near || last.thumbnail.distance(&thumbnail) < NEAR);
        let group = before.map_or_else(|| format!("camera-{stem}"), |last| last.group.clone());
        let path = self.folder.join(class).join(format!("{stem}.png"));
        // The group first, so that no picture is ever without one: a line without its picture says nothing.
        self.groups.add(&format!("{class}/{stem}.png"), label.unwrap_or_default(), &group)?;
        let Shape { format, width, height } = shape;
        let raw = path.with_extension(format!("{width}x{height}.{}", format!("{format:?}").to_lowercase()));
        if !pixels::is_invertible(*format) {
            atomic::write(&raw, bytes)?;
        }
        if let Err(error) = atomic::write(&path, &image) {
            // Bytes without their picture would only fill the disk; where there are none, nothing is removed.
            let _ = std::fs::remove_file(&raw);
            return Err(error);
        }
        self.last.push_back(Remembered { camera, digest, thumbnail, group: group.clone(), path: path.clone() });
        if self.last.len() > REMEMBERED {
            self.last.pop_front();
        }
        Ok(Saved::New { path, group })
    }

    /// A name that no picture has yet, by the time, so that the order of names is that of the pictures. Makes the folder of the class.
    fn free_name(&self, class: &str) -> Result<String> {
        let folder = self.folder.join(class);
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let now = humantime::format_rfc3339_millis(SystemTime::now()).to_string().replace([':', '.'], "-");
        let now = now.trim_end_matches('Z');
        let names = (0_u32..).map(|number| if number == 0 { now.to_owned() } else { format!("{now}-{number:03}") });
        // Class folders are where a person moves pictures to and fro.
        let taken = |name: &String| self.groups.names(name) || folder.join(format!("{name}.png")).exists();
        names.into_iter().find(|name| !taken(name)).context("there are names without end")
    }
}

/// Refuses a label that is no name of a folder, or an unwieldy one.
///
/// # Errors
/// When it is refused.
pub fn check_class(label: Option<&str>) -> Result<()> {
    let fits = |class: &str| class.len() <= CLASS_MAX && class.trim() == class && is_class_name(class);
    ensure!(
        label.is_none_or(fits),
        "`{}` is no name of a class: it becomes a folder's name of at most {CLASS_MAX} bytes, without separators and outer spaces, and \
         does not begin with a dot",
        label.unwrap_or_default()
    );
    Ok(())
}

#[cfg(test)]
mod tests;
