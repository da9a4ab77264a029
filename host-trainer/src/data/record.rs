//! What a run remembers about its images.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::config::{Config, Normalization};
use crate::data::dataset::{ChannelStatistics, Dataset, Loaded, Sample, listed};

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
    /// When it is missing or damaged.
    pub fn load(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
        serde_json::from_str(&text).with_context(|| format!("{shown} is damaged: train again"))
    }

    /// The images again, below `root`.
    #[must_use]
    pub fn dataset(&self, root: &Path) -> Dataset {
        let splits = [&self.train, &self.valid, &self.test].map(Clone::clone);
        Dataset::from_samples(root, self.classes.clone(), splits)
    }

    /// The images of [`Record::dataset`] have been read: refuses them when they are not those of the run.
    ///
    /// # Errors
    /// When contents differ; names the images.
    pub fn check_same(&self, dataset: &Dataset, images: &Loaded) -> Result<()> {
        let known = [&self.train, &self.valid, &self.test].into_iter().flatten();
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
