//! What a run remembers about its images.

use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::config::{Config, Normalization};
use crate::data::dataset::{ChannelStatistics, Dataset, Loaded, Sample, listed};
use crate::system::read;
use crate::system::terminal::escaped;

/// What a run remembers about its images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The folder that names are relative to.
    pub root: PathBuf,
    /// Class names in the order of the labels.
    pub classes: Vec<String>,
    /// Identifies names and contents of all images.
    pub hash: String,
    /// Mean and standard deviation of the training pixels by channel.
    pub statistics: Vec<ChannelStatistics>,
    /// Images by split.
    pub train: Vec<Sample>,
    /// Images by split.
    pub valid: Vec<Sample>,
    /// Images by split.
    pub test: Vec<Sample>,
}

impl Record {
    /// What there is to remember of a data set that was read.
    ///
    /// # Errors
    /// When the folder's absolute path cannot be found.
    pub fn new(dataset: &Dataset, loaded: &Loaded) -> Result<Self> {
        let root = std::path::absolute(&dataset.root);
        Ok(Self {
            root: root.with_context(|| format!("cannot find {}", dataset.root.display()))?,
            classes: dataset.classes.clone(),
            hash: loaded.hash.clone(),
            statistics: loaded.train.statistics(),
            train: dataset.train.clone(),
            valid: dataset.valid.clone(),
            test: dataset.test.clone(),
        })
    }

    /// Reads a record's file.
    ///
    /// # Errors
    /// When it is missing or damaged, or names images outside of the data folder.
    pub fn load(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = read::text(path, read::DATA).with_context(|| format!("cannot read {shown}"))?;
        let damaged = || format!("{shown} is damaged: train again");
        let record: Self = serde_json::from_str(&text).with_context(damaged)?;
        record.check().with_context(damaged)?;
        Ok(record)
    }

    fn check(&self) -> Result<()> {
        for Sample { name, label, .. } in self.samples() {
            let mut parts = Path::new(name).components();
            let inside = !name.is_empty() && parts.all(|part| matches!(part, Component::Normal(_)));
            ensure!(inside, "{} is no path inside a data folder", escaped(name));
            ensure!(*label < self.classes.len(), "{} has a class that is not listed", escaped(name));
        }
        let sound = |of: &ChannelStatistics| of.mean.is_finite() && of.std.is_finite() && of.std > 0.0;
        ensure!(
            [1, 3].contains(&self.statistics.len()) && self.statistics.iter().all(sound),
            "the statistics of the pixels are not those of one or three channels"
        );
        Ok(())
    }

    /// Each image with its side: 0 of the training images, 1 of the validation and 2 of the test images.
    pub fn sides(&self) -> impl Iterator<Item = (usize, &Sample)> {
        let sides = [&self.train, &self.valid, &self.test].into_iter().enumerate();
        sides.flat_map(|(side, entries)| entries.iter().map(move |entry| (side, entry)))
    }

    fn samples(&self) -> impl Iterator<Item = &Sample> {
        [&self.train, &self.valid, &self.test].into_iter().flatten()
    }

    /// The images again, below `root`, to be [compared](Self::check_same) once they are read.
    ///
    /// # Errors
    /// When one whose content is not known by its digest is a link that leads out of the folder.
    pub fn dataset(&self, root: &Path) -> Result<Dataset> {
        // What is not there is an error where it is read.
        let real = |path: &Path| std::fs::canonicalize(path).ok();
        for sample in self.samples().filter(|sample| sample.digest.is_none()) {
            let leads_out =
                real(root).zip(real(&sample.path(root))).is_some_and(|(root, path)| !path.starts_with(root));
            ensure!(!leads_out, "{} leads out of {}: put the image there", escaped(&sample.name), root.display());
        }
        let splits = [&self.train, &self.valid, &self.test].map(Clone::clone);
        Ok(Dataset::from_samples(root, self.classes.clone(), splits))
    }

    /// The folder that names are relative to, where the images lie in `dir` now: that, or the one in it.
    ///
    /// # Errors
    /// Those of [`Dataset::root`].
    pub fn root_in(&self, dir: &Path) -> Result<PathBuf> {
        let is_there = self.samples().next().is_some_and(|sample| sample.path(dir).exists());
        if is_there { Ok(dir.to_owned()) } else { Dataset::root(dir) }
    }

    /// The images of [`Record::dataset`] have been read: refuses them when they are not those of the run.
    ///
    /// # Errors
    /// When contents differ; names the images.
    pub fn check_same(&self, dataset: &Dataset, images: &Loaded) -> Result<()> {
        let known = self.samples();
        let read = [&dataset.train, &dataset.valid, &dataset.test].into_iter().flatten();
        let changed = known.zip(read).filter(|(known, read)| known.digest.is_some() && known.digest != read.digest);
        let changed: Vec<&str> = changed.map(|(known, _)| known.name.as_str()).collect();
        let named = if changed.is_empty() { String::new() } else { format!(" ({})", listed(&changed)) };
        ensure!(
            images.hash == self.hash,
            "images in {} have changed since the run began{named}: restore them, or train again",
            dataset.root.display()
        );
        Ok(())
    }

    /// The same record for images that lie below `root` now.
    ///
    /// # Errors
    /// When the folder's absolute path cannot be found.
    pub fn moved(self, root: &Path) -> Result<Self> {
        let root = std::path::absolute(root).with_context(|| format!("cannot find {}", root.display()))?;
        Ok(Self { root, ..self })
    }

    /// Mean and standard deviation by which the network's pixels are normalised: the configuration's, or else those of
    /// the training pixels, where a single channel's stand in all three places.
    #[must_use]
    pub fn normalization(&self, config: &Config) -> Normalization {
        let channel = |c: usize| self.statistics[c.min(self.statistics.len() - 1)];
        config.normalization.unwrap_or_else(|| Normalization {
            mean: [0, 1, 2].map(|c| channel(c).mean as f32),
            std: [0, 1, 2].map(|c| channel(c).std as f32),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::InputConfig;
    use crate::data::dataset::{Reading, View};

    fn sample(name: &str) -> Sample {
        Sample { name: name.to_owned(), label: 0, group: None, digest: None }
    }

    fn record(name: &str) -> Record {
        Record {
            root: PathBuf::new(),
            classes: vec!["a".to_owned()],
            hash: String::new(),
            statistics: vec![ChannelStatistics { mean: 0.5, std: 0.2 }],
            train: Vec::new(),
            valid: vec![sample(name)],
            test: Vec::new(),
        }
    }

    /// What a record is read as that is written as it is.
    fn read_back(record: &Record) -> Result<Record> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("dataset.json");
        fs::write(&path, serde_json::to_string(record)?)?;
        Record::load(&path)
    }

    #[test]
    fn images_outside_of_the_data_folder_are_refused() {
        for name in ["a/1.png", "a/b/..c/1.png", "1.png"] {
            assert_eq!(read_back(&record(name)).unwrap(), record(name));
        }
        for name in ["../secret", "a/../../secret", "/etc/hosts", "", ".", "./1.png", "a/.."] {
            let error = format!("{:#}", read_back(&record(name)).unwrap_err());
            assert!(error.contains("no path inside a data folder") && error.contains("damaged"), "{error}");
        }
    }

    #[test]
    fn records_that_do_not_hold_together_are_refused() {
        let mut unknown = record("1.png");
        unknown.valid[0].label = 1;
        assert!(format!("{:#}", read_back(&unknown).unwrap_err()).contains("not listed"));
        let channel = |std| ChannelStatistics { mean: 0.5, std };
        for statistics in [vec![], vec![channel(0.2); 2], vec![channel(0.0)], vec![channel(-1.0)]] {
            let error = read_back(&Record { statistics, ..record("1.png") }).unwrap_err();
            assert!(format!("{error:#}").contains("statistics"), "{error:#}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_out_of_the_folder_is_followed_only_to_what_the_record_knows() {
        let [inside, outside] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        image::RgbImage::from_pixel(2, 2, image::Rgb([9, 8, 7])).save(outside.path().join("1.png")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("1.png"), inside.path().join("1.png")).unwrap();
        let error = record("1.png").dataset(inside.path()).unwrap_err().to_string();
        assert!(error.contains("1.png leads out of"), "{error}");

        let input = InputConfig { width: 2, height: 2, ..InputConfig::default() };
        let mut dataset =
            Dataset::from_samples(inside.path(), vec!["a".to_owned()], [vec![sample("1.png")], vec![], vec![]]);
        let loaded = dataset.load(&Reading::all(&input, View::Rgb888), &|_, _| {}).unwrap();
        let known = Record::new(&dataset, &loaded).unwrap();
        let mut again = known.dataset(inside.path()).unwrap();
        let loaded = again.load(&Reading::all(&input, View::Rgb888), &|_, _| {}).unwrap();
        known.check_same(&again, &loaded).unwrap();

        image::RgbImage::new(2, 2).save(outside.path().join("1.png")).unwrap();
        let mut changed = known.dataset(inside.path()).unwrap();
        let loaded = changed.load(&Reading::all(&input, View::Rgb888), &|_, _| {}).unwrap();
        assert!(known.check_same(&changed, &loaded).unwrap_err().to_string().contains("1.png"));
    }
}
