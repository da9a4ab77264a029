//! Image folders: which images there are, of which class, on which side of the split; reading them.
//!
//! A data set is a folder with `train`, `valid` and `test` sub-folders, under any of their usual names, each holding a folder
//! a class, at the top or one folder deeper; or a folder of class folders, which is split here. Nothing is decoded before
//! [`Dataset::load`], which reads every file once.

mod added;
mod cache;
mod checks;
mod decode;
mod folds;
mod groups;
mod images;
mod jpeg;
mod load;
mod pixels;
mod read;
mod scan;
mod split;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::config::DataConfig;
use crate::system::hints::{program, quoted};
use crate::system::terminal::escaped;

pub use added::{digest, divided};
#[cfg(test)]
use decode::counted;
pub use decode::{View, picture, rgb565};
pub use groups::renamed as groups_renamed;
pub use groups::{COPIES_FILE, GROUPS_FILE};
pub use images::{ChannelStatistics, Images};
pub use load::{BadFiles, Loaded, Progress, Reading, input_for, load};
use scan::{Classes, Layout};
pub use scan::{UNLABELLED, image_files, is_class_name};

/// One image file of a data set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Its path inside the data set, with `/` between the parts.
    pub name: String,
    /// Index of its class.
    pub label: usize,
    /// Images of one group show the same photograph and stay on one side of every split; `None` is a group of its own.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub group: Option<String>,
    /// SHA-256 of the file, in hexadecimal, once it was read; none in records of earlier versions.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub digest: Option<String>,
}

impl Sample {
    /// Name of what is drawn independently: the group, or the image where it has none.
    #[must_use]
    pub fn cluster(&self) -> &str {
        self.group.as_deref().unwrap_or(&self.name)
    }

    /// Where it is when its data set is in `root`.
    #[must_use]
    pub fn path(&self, root: &Path) -> PathBuf {
        root.join(&self.name)
    }
}

/// The images of a folder, in a fixed order: by name within each split.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The folder that all names are relative to.
    pub root: PathBuf,
    /// Class names, sorted; a label is an index into them.
    pub classes: Vec<String>,
    /// Images to train on.
    pub train: Vec<Sample>,
    /// Images to choose the best epoch with.
    pub valid: Vec<Sample>,
    /// Images for the final figures; may be empty.
    pub test: Vec<Sample>,
    /// Files that [`Dataset::load`] left out because of `skip_bad`, with the reason.
    pub skipped: Vec<(PathBuf, String)>,
    /// What the user should be told about how the folder was read, a sentence each.
    pub notes: Vec<String>,
    /// Whether the validation images were set aside here, not given as such.
    pub set_aside: bool,
    /// Folder in which decoded images are kept for other commands, and read from; without one they are in memory.
    pub cache: Option<PathBuf>,
    skip_bad: bool,
    for_training: bool,
}

/// How a folder is read.
#[derive(Clone, Debug, Default)]
pub struct Options<'a> {
    /// Shares of the split, where the folder is not split already.
    pub data: DataConfig,
    /// Seed of the split.
    pub seed: u64,
    /// Which images are copies of one photograph.
    pub groups: Grouping<'a>,
    /// Whether a given split is used although it has copies of one photograph on two sides; otherwise that is an error.
    pub allow_leak: bool,
    /// Whether unreadable files are left out; otherwise they are an error.
    pub skip_bad: bool,
}

/// Where it stands which images are copies of one photograph.
#[derive(Clone, Copy, Debug, Default)]
pub enum Grouping<'a> {
    /// In [`GROUPS_FILE`] in the data set's folder, where it is there.
    #[default]
    Beside,
    /// In this CSV file, with the columns `path` and `group`.
    File(&'a Path),
    /// Nowhere: every image counts as a photograph of its own.
    Ignored,
}

impl Dataset {
    /// Lists and splits the images below `dir`. The split depends on the names, the seed, the shares and the groups only.
    ///
    /// # Errors
    /// No such folder, no images, fewer than two classes, classes that cannot be split or have no training image,
    /// a groups file that cannot be used, groups on two sides of a given split.
    pub fn open(dir: &Path, options: &Options) -> Result<Self> {
        let folder = scan::scan(dir)?;
        let mut dataset = Self::empty(folder.root, folder.notes, options.skip_bad);
        match folder.layout {
            Layout::Flat(classes) => {
                dataset.classes = dataset.class_names(&classes)?;
                dataset.train = dataset.samples(classes);
                dataset.assign_groups(dir, options)?;
                dataset.check_divisible()?;
                let [train, valid, test] = dataset.divide([options.data.valid, options.data.test], options.seed);
                (dataset.train, dataset.valid, dataset.test) = (train, valid, test);
                dataset.set_aside = true;
            }
            Layout::Split { train, valid, test } => {
                ensure!(
                    !train.is_empty(),
                    "{} has no `train` folder with class folders in it: add one, or give a folder of class folders",
                    dataset.root.display()
                );
                dataset.classes = dataset.class_names(&train)?;
                dataset.check_known(&[&valid, &test])?;
                dataset.train = dataset.samples(train);
                dataset.valid = dataset.samples(valid);
                dataset.test = dataset.samples(test);
                dataset.assign_groups(dir, options)?;
                dataset.check_groups_apart(options.allow_leak)?;
                if dataset.valid.is_empty() {
                    dataset.check_divisible()?;
                    let [train, valid, _] = dataset.divide([options.data.valid, 0.0], options.seed);
                    (dataset.train, dataset.valid) = (train, valid);
                    dataset.set_aside = true;
                    dataset.notes.push(format!(
                        "{} has no validation images: {} of the training images were set aside",
                        dataset.root.display(),
                        dataset.valid.len()
                    ));
                }
            }
        }
        dataset.check_complete()?;
        dataset.note_unchecked();
        dataset.for_training = true;
        Ok(dataset)
    }

    /// The folder that the names of `dir`'s images are relative to: itself, or the one inside that holds the splits or classes.
    ///
    /// # Errors
    /// No such folder, or several data sets in it.
    pub fn root(dir: &Path) -> Result<PathBuf> {
        scan::root(dir)
    }

    /// Lists the images below `dir` for a model that exists: labels are indices into `labels`, any split may be empty,
    /// and an unsplit folder is all `test`.
    ///
    /// # Errors
    /// No such folder, no images, or a class that the model does not know.
    pub fn open_for(dir: &Path, labels: &[String], skip_bad: bool) -> Result<Self> {
        let (splits, mut dataset) = Self::scanned(dir, skip_bad)?;
        let unknown: Vec<_> = splits.iter().flat_map(Classes::keys).filter(|c| !labels.contains(c)).collect();
        ensure!(
            unknown.is_empty(),
            "the model has no class by the name of the folders {} in {}; its classes are {}: rename the folders or leave \
             them out (an imported model gets its class names by `import --labels`)",
            listed(&unknown),
            dataset.root.display(),
            listed(labels)
        );
        dataset.classes = labels.to_vec();
        dataset.fill(splits);
        Ok(dataset)
    }

    /// Lists the images below `dir` as they lie there: any class may be in any split, any split may be empty, and an
    /// unsplit folder is all `test`. `groups` names a file with their groups.
    ///
    /// # Errors
    /// No such folder, no images, or a groups file that cannot be used.
    pub fn list(dir: &Path, groups: Option<&Path>) -> Result<Self> {
        let (splits, mut dataset) = Self::scanned(dir, false)?;
        dataset.classes = splits.iter().flat_map(Classes::keys).cloned().collect::<BTreeSet<_>>().into_iter().collect();
        dataset.fill(splits);
        let groups = groups.map_or(Grouping::Ignored, Grouping::File);
        dataset.assign_groups(dir, &Options { groups, ..Options::default() })?;
        Ok(dataset)
    }

    /// The class folders of train, valid and test, and a data set without samples.
    fn scanned(dir: &Path, skip_bad: bool) -> Result<([Classes; 3], Self)> {
        let folder = scan::scan(dir)?;
        let splits = match folder.layout {
            Layout::Flat(test) => [Classes::new(), Classes::new(), test],
            Layout::Split { train, valid, test } => [train, valid, test],
        };
        Ok((splits, Self::empty(folder.root, folder.notes, skip_bad)))
    }

    /// Takes the groups of the groups file beside the images, where there is one that names some.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn take_groups(&mut self, dir: &Path) -> Result<()> {
        if [&self.root, dir].iter().any(|folder| folder.join(GROUPS_FILE).is_file()) {
            self.assign_groups(dir, &Options::default())?;
        }
        Ok(())
    }

    /// What is drawn independently: of train, valid and test the group of each image, or its name where it has none.
    pub fn clusters(&self) -> [Vec<&str>; 3] {
        [&self.train, &self.valid, &self.test].map(|samples| samples.iter().map(Sample::cluster).collect())
    }

    fn fill(&mut self, [train, valid, test]: [Classes; 3]) {
        self.train = self.samples(train);
        self.valid = self.samples(valid);
        self.test = self.samples(test);
    }

    /// A data set whose samples are known already: train, valid and test.
    #[must_use]
    pub fn from_samples(root: &Path, classes: Vec<String>, [train, valid, test]: [Vec<Sample>; 3]) -> Self {
        Self { classes, train, valid, test, ..Self::empty(root.to_path_buf(), Vec::new(), false) }
    }

    fn empty(root: PathBuf, notes: Vec<String>, skip_bad: bool) -> Self {
        let [train, valid, test] = Default::default();
        Self {
            root,
            classes: Vec::new(),
            train,
            valid,
            test,
            skipped: Vec::new(),
            notes,
            set_aside: false,
            cache: None,
            skip_bad,
            for_training: false,
        }
    }

    fn samples(&self, classes: Classes) -> Vec<Sample> {
        let mut samples = Vec::new();
        for (class, files) in classes {
            let label = self.classes.iter().position(|name| *name == class).expect("the classes were checked");
            samples.extend(files.into_iter().map(|path| {
                let name = scan::name_of(&path, &self.root);
                Sample { name, label, group: None, digest: None }
            }));
        }
        samples.sort_by(|a, b| a.name.cmp(&b.name));
        samples
    }

    fn assign_groups(&mut self, dir: &Path, options: &Options) -> Result<()> {
        let beside = [&self.root, dir].map(|folder| folder.join(GROUPS_FILE));
        let file =
            match options.groups {
                Grouping::Ignored => return Ok(()),
                Grouping::File(file) => file,
                Grouping::Beside => match beside.iter().find(|file| file.is_file()) {
                    Some(file) => file,
                    None => {
                        self.notes.push(format!(
                        "whether {} holds copies of one photograph is not known: `{program} data check {}` finds them",
                        dir.display(),
                        quoted(dir), program = program()));
                        return Ok(());
                    }
                },
            };
        let groups = groups::Groups::read(file)?;
        let samples = [&mut self.train, &mut self.valid, &mut self.test].into_iter().flatten();
        self.notes.extend(groups.assign(samples, &self.root, dir)?);
        self.note_large_group();
        Ok(())
    }

    fn divide(&mut self, [valid, test]: [f64; 2], seed: u64) -> [Vec<Sample>; 3] {
        split::split(std::mem::take(&mut self.train), self.classes.len(), [1.0 - valid - test, valid, test], seed)
    }
}

/// Names for a message: the first ten and how many more there are.
pub fn listed<T: AsRef<str>>(names: &[T]) -> String {
    const SHOWN: usize = 10;
    let mut text = names.iter().take(SHOWN).map(|name| escaped(name.as_ref())).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text += &format!(" and {} more", names.len() - SHOWN);
    }
    text
}

#[cfg(test)]
mod tests;
