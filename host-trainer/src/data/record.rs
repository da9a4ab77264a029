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
    pub train: Vec<Entry>,
    /// Images by split.
    pub valid: Vec<Entry>,
    /// Images by split.
    pub test: Vec<Entry>,
}

/// One image of a [`Record`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Path below the root.
    pub name: String,
    /// Index of its class.
    pub label: usize,
    /// Images of one group show the same photograph.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub group: Option<String>,
    /// SHA-256 of the file, in hexadecimal; none in records of earlier versions.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub digest: Option<String>,
}

impl Entry {
    /// Name of what is drawn independently: the group, or the image where it has none.
    #[must_use]
    pub fn cluster(&self) -> &str {
        self.group.as_deref().unwrap_or(&self.name)
    }
}

impl Record {
    /// What there is to remember.
    ///
    /// # Errors
    /// When the folder's absolute path cannot be found.
    pub fn new(dataset: &Dataset, loaded: &Loaded) -> Result<Self> {
        let entries = |samples: &[Sample], digests: &[String]| {
            let entry = |(s, digest): (&Sample, &String)| Entry {
                name: s.name.clone(),
                label: s.label,
                group: s.group.clone(),
                digest: Some(digest.clone()),
            };
            samples.iter().zip(digests).map(entry).collect()
        };
        let [train, valid, test] = &loaded.digests;
        let root = std::path::absolute(&dataset.root);
        Ok(Self {
            root: root.with_context(|| format!("cannot find {}", dataset.root.display()))?,
            classes: dataset.classes.clone(),
            hash: loaded.hash.clone(),
            statistics: loaded.train.statistics(),
            train: entries(&dataset.train, train),
            valid: entries(&dataset.valid, valid),
            test: entries(&dataset.test, test),
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
        let samples = |entries: &[Entry]| {
            let sample = |e: &Entry| Sample {
                path: root.join(&e.name),
                name: e.name.clone(),
                label: e.label,
                group: e.group.clone(),
            };
            entries.iter().map(sample).collect()
        };
        let splits = [samples(&self.train), samples(&self.valid), samples(&self.test)];
        Dataset::from_samples(root, self.classes.clone(), splits)
    }

    /// The images of [`Record::dataset`] below `root` have been read: refuses them when they are not those of the run.
    ///
    /// # Errors
    /// When contents differ; names the images.
    pub fn check_same(&self, root: &Path, images: &Loaded) -> Result<()> {
        let entries = [&self.train, &self.valid, &self.test].into_iter().flatten();
        let read = entries.zip(images.digests.iter().flatten());
        let changed = read.filter(|(entry, read)| entry.digest.as_ref().is_some_and(|digest| digest != *read));
        let changed: Vec<&str> = changed.map(|(entry, _)| entry.name.as_str()).collect();
        let named = if changed.is_empty() { String::new() } else { format!(" ({})", listed(&changed)) };
        ensure!(
            images.hash == self.hash,
            "images in {} have changed since the run began{named}: restore them, or train again",
            root.display()
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
