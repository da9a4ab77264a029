//! Images that are added to those of a run.

use std::path::Path;

use anyhow::Result;

use super::scan::{self, Classes, Layout};
use super::{Dataset, Options, Sample, decode, split};
use crate::config::DataConfig;
use crate::system::hexadecimal::hexadecimal;

impl Dataset {
    /// Lists all images below `dir` with their groups: on the sides on which they lie, where the folder is split, which the second
    /// value says, or as training images. There may be one class only, and classes without an image do not count.
    ///
    /// # Errors
    /// No such folder, no images, a groups file that cannot be used, groups on two sides of a given split.
    pub fn open_added(dir: &Path, options: &Options) -> Result<(Self, bool)> {
        let folder = scan::scan(dir)?;
        let mut dataset = Self::empty(folder.root, folder.notes, options.skip_bad);
        let (sides, is_split) = match folder.layout {
            Layout::Flat(classes) => ([classes, Classes::new(), Classes::new()], false),
            Layout::Split { train, valid, test } => ([train, valid, test], true),
        };
        let there = sides.iter().flatten().filter(|(_, files)| !files.is_empty());
        dataset.classes = there.map(|(name, _)| name.clone()).collect();
        dataset.classes.sort();
        dataset.classes.dedup();
        dataset.fill(sides.map(|side| side.into_iter().filter(|(_, files)| !files.is_empty()).collect()));
        dataset.assign_groups(dir, options)?;
        if is_split {
            dataset.check_groups_apart(options.allow_leak)?;
        }
        Ok((dataset, is_split))
    }

    /// A data set to train on, whose samples are known already: train, valid and test.
    ///
    /// # Errors
    /// When a class has no training image, or there is none to validate with.
    pub fn to_train(root: &Path, classes: Vec<String>, splits: [Vec<Sample>; 3], skip_bad: bool) -> Result<Self> {
        let mut dataset = Self { skip_bad, for_training: true, ..Self::from_samples(root, classes, splits) };
        dataset.check_complete()?;
        dataset.note_unchecked();
        Ok(dataset)
    }
}

/// Splits images into train, valid and test, by groups, with the same shares of each of `classes` classes.
pub fn divided(samples: Vec<Sample>, classes: usize, data: &DataConfig, seed: u64) -> [Vec<Sample>; 3] {
    split::split(samples, classes, [1.0 - data.valid - data.test, data.valid, data.test], seed)
}

/// SHA-256 of a file in hexadecimal, as [`Sample::digest`] has it; none where it cannot be read, which reading it as an image says.
pub fn digest(path: &Path) -> Option<String> {
    let read = decode::read(path, &[], decode::View::Rgb888);
    read.ok().map(|(_, digest)| hexadecimal(&digest))
}
