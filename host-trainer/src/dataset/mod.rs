//! Image folders: which images there are, of which class, on which side of the split; reading them.
//!
//! A data set is a folder with `train`, `valid` (or `val`, `validation`) and `test` sub-folders, each holding a folder a
//! class, at the top or one folder deeper; or a folder of class folders, which is split here. Nothing is decoded before
//! [`Dataset::load`], which reads every file once.

mod decode;
mod folds;
mod groups;
mod load;
mod scan;
mod split;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::config::DataConfig;

pub use decode::View;
pub use load::{BadFiles, ChannelStatistics, Images, Loaded, Progress, input_for, load};
pub use scan::image_files;
use scan::{Classes, Layout};

/// One image file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Where it is.
    pub path: PathBuf,
    /// Its path inside the data set, with `/` between the parts.
    pub name: String,
    /// Index into [`Dataset::classes`].
    pub label: usize,
    /// Images of one group show the same photograph and stay on one side of every split; `None` is a group of its own.
    pub group: Option<String>,
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
    /// CSV file with the columns `path` and `group`.
    pub groups: Option<&'a Path>,
    /// Whether unreadable files are left out; otherwise they are an error.
    pub skip_bad: bool,
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
                dataset.check_groups_apart()?;
                if dataset.valid.is_empty() {
                    dataset.check_divisible()?;
                    let [train, valid, _] = dataset.divide([options.data.valid, 0.0], options.seed);
                    (dataset.train, dataset.valid) = (train, valid);
                    dataset.notes.push(format!(
                        "{} has no validation images: {} of the training images were set aside",
                        dataset.root.display(),
                        dataset.valid.len()
                    ));
                }
            }
        }
        dataset.check_complete()?;
        dataset.for_training = true;
        Ok(dataset)
    }

    /// Lists the images below `dir` for a model that exists: labels are indices into `labels`, any split may be empty,
    /// and an unsplit folder is all `test`.
    ///
    /// # Errors
    /// No such folder, no images, or a class that the model does not know.
    pub fn open_for(dir: &Path, labels: &[String], skip_bad: bool) -> Result<Self> {
        let folder = scan::scan(dir)?;
        let mut dataset = Self::empty(folder.root, folder.notes, skip_bad);
        dataset.classes = labels.to_vec();
        let [train, valid, test] = match folder.layout {
            Layout::Flat(test) => [Classes::new(), Classes::new(), test],
            Layout::Split { train, valid, test } => [train, valid, test],
        };
        let unknown: Vec<_> =
            [&train, &valid, &test].into_iter().flat_map(|c| c.keys()).filter(|c| !labels.contains(c)).collect();
        ensure!(
            unknown.is_empty(),
            "the model has no class by the name of the folders {} in {}; its classes are {}: rename the folders or leave \
             them out (an imported model gets its class names by `import --labels`)",
            listed(&unknown),
            dataset.root.display(),
            listed(labels)
        );
        dataset.train = dataset.samples(train);
        dataset.valid = dataset.samples(valid);
        dataset.test = dataset.samples(test);
        Ok(dataset)
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
            skip_bad,
            for_training: false,
        }
    }

    /// The training classes' names, when there are at least two and each has an image.
    fn class_names(&self, classes: &Classes) -> Result<Vec<String>> {
        let root = self.root.display();
        let names: Vec<_> = classes.keys().cloned().collect();
        ensure!(
            names.len() > 1,
            "{root} has one class only, {}: a classifier needs a folder for each of two or more classes",
            listed(&names)
        );
        let hollow: Vec<_> = classes.iter().filter(|(_, files)| files.is_empty()).map(|(name, _)| name).collect();
        ensure!(
            hollow.is_empty(),
            "{root} has no training image of the class {}: add images or remove the folder",
            listed(&hollow)
        );
        Ok(names)
    }

    /// Refuses classes that cannot be learned because only other splits have them.
    fn check_known(&self, others: &[&Classes]) -> Result<()> {
        let unknown: Vec<_> =
            others.iter().flat_map(|c| c.keys()).filter(|c| self.classes.binary_search(c).is_err()).collect();
        ensure!(
            unknown.is_empty(),
            "{} has no training folder for the class {} of its validation or test images; the training classes are {}: \
             add training images or remove the class",
            self.root.display(),
            listed(&unknown),
            listed(&self.classes)
        );
        Ok(())
    }

    fn samples(&self, classes: Classes) -> Vec<Sample> {
        let mut samples = Vec::new();
        for (class, files) in classes {
            let label = self.classes.iter().position(|name| *name == class).expect("the classes were checked");
            samples.extend(files.into_iter().map(|path| {
                let name = scan::name_of(&path, &self.root);
                Sample { path, name, label, group: None }
            }));
        }
        samples.sort_by(|a, b| a.name.cmp(&b.name));
        samples
    }

    fn assign_groups(&mut self, dir: &Path, options: &Options) -> Result<()> {
        let Some(file) = options.groups else { return Ok(()) };
        let groups = groups::Groups::read(file)?;
        let samples = [&mut self.train, &mut self.valid, &mut self.test].into_iter().flatten();
        self.notes.extend(groups.assign(samples, dir)?);
        Ok(())
    }

    fn check_groups_apart(&self) -> Result<()> {
        let mut sides: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (side, samples) in [("train", &self.train), ("valid", &self.valid), ("test", &self.test)] {
            for group in samples.iter().filter_map(|sample| sample.group.as_deref()) {
                let on = sides.entry(group).or_default();
                if on.last() != Some(&side) {
                    on.push(side);
                }
            }
        }
        let shared: Vec<_> = sides
            .iter()
            .filter(|(_, on)| on.len() > 1)
            .map(|(group, on)| format!("{group} ({})", on.join(", ")))
            .collect();
        ensure!(
            shared.is_empty(),
            "the given split of {} puts copies of one photograph on two sides, so its accuracy would be an illusion; \
             group {}: move each group into one folder, or correct the groups file",
            self.root.display(),
            listed(&shared)
        );
        Ok(())
    }

    /// Refuses classes whose training images are all of one group.
    fn check_divisible(&self) -> Result<()> {
        let mut units = vec![std::collections::BTreeSet::new(); self.classes.len()];
        for sample in &self.train {
            units[sample.label].insert(sample.group.as_deref().ok_or(&sample.name));
        }
        let single: Vec<_> = self.classes.iter().zip(&units).filter(|(_, u)| u.len() < 2).map(|(c, _)| c).collect();
        ensure!(
            single.is_empty(),
            "{} cannot be split, since training and validation need an image each and there is only one (or copies of \
             one, by the groups file) of the class {}: add images or remove the folder",
            self.root.display(),
            listed(&single)
        );
        Ok(())
    }

    fn divide(&mut self, [valid, test]: [f64; 2], seed: u64) -> [Vec<Sample>; 3] {
        split::split(std::mem::take(&mut self.train), self.classes.len(), [1.0 - valid - test, valid, test], seed)
    }

    /// Refuses what cannot be trained: a class without a training image, or no image to validate with.
    fn check_complete(&self) -> Result<()> {
        let missing: Vec<_> = (0..self.classes.len())
            .filter(|&label| self.train.iter().all(|sample| sample.label != label))
            .map(|label| &self.classes[label])
            .collect();
        ensure!(
            missing.is_empty(),
            "{} leaves no training image of the class {}: add images, or lower `data.valid` and `data.test`",
            self.root.display(),
            listed(&missing)
        );
        ensure!(
            !self.valid.is_empty(),
            "{} leaves no validation image: add images, or raise `data.valid`",
            self.root.display()
        );
        Ok(())
    }
}

/// Names for a message: the first ten and how many more there are.
fn listed<T: AsRef<str>>(names: &[T]) -> String {
    const SHOWN: usize = 10;
    let mut text = names.iter().take(SHOWN).map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text += &format!(" and {} more", names.len() - SHOWN);
    }
    text
}

#[cfg(test)]
mod tests;
