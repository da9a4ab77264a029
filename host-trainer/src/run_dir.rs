//! The files of a training run, and what it remembers about its images.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use model_compiler::graph::Graph;
use model_compiler::quantise::calibrate::Calibrated;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::config::{Config, Normalization};
use crate::dataset::{ChannelStatistics, Dataset, Loaded, Sample, listed};
use crate::hexadecimal::hexadecimal;
use crate::hints::quoted;
use crate::training::{CONFIG_FILE, GRAPH_FILE, METRICS_FILE, RANGES_FILE};
use crate::{atomic, metrics};

/// Name of the record's file.
pub const RECORD_FILE: &str = "dataset.json";
/// Name of the file that is locked while something writes to the folder.
const LOCK_FILE: &str = "run.lock";

/// Keeps others from writing to a run folder; the system ends it with the process, however that ends.
#[derive(Debug)]
pub struct Claim(#[expect(dead_code, reason = "the lock ends when the file is closed")] File);

/// A folder that `train` makes.
#[derive(Clone, Debug)]
pub struct RunDir(PathBuf);

impl RunDir {
    /// Names a folder; nothing is read or made.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self(path.to_path_buf())
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The blob.
    #[must_use]
    pub fn blob(&self) -> PathBuf {
        self.file("model.blob")
    }

    /// Makes the folder and its parents where they are missing, and keeps others from writing there as long as the claim
    /// lives.
    ///
    /// # Errors
    /// When it cannot be made, or another process or thread has claimed it.
    pub fn claim(&self) -> Result<Claim> {
        let shown = self.0.display();
        let why = || format!("cannot make the run folder {shown}: choose another place with `--out`");
        std::fs::create_dir_all(&self.0).with_context(why)?;
        let file = File::create(self.file(LOCK_FILE)).with_context(why)?;
        match file.try_lock() {
            Ok(()) => Ok(Claim(file)),
            Err(TryLockError::WouldBlock) => {
                bail!("another process is writing to {shown}: wait for its end, or choose another place with `--out`")
            }
            // Some network file systems have no locks.
            Err(TryLockError::Error(error)) => {
                eprintln!("note: {shown} cannot be locked ({error}): see that nothing else writes to it");
                Ok(Claim(file))
            }
        }
    }

    /// The configuration of the run.
    ///
    /// # Errors
    /// When the folder holds no run.
    pub fn config(&self) -> Result<Config> {
        Config::load(&self.file(CONFIG_FILE)).with_context(|| self.no_run())
    }

    /// SHA-256 of the configuration file, in hexadecimal.
    ///
    /// # Errors
    /// When the folder holds no run.
    pub fn config_hash(&self) -> Result<String> {
        let bytes = std::fs::read(self.file(CONFIG_FILE)).with_context(|| self.no_run())?;
        Ok(hexadecimal(&Sha256::digest(bytes)))
    }

    /// The trained float network.
    ///
    /// # Errors
    /// When the run has not ended.
    pub fn graph(&self) -> Result<Graph> {
        let path = self.file(GRAPH_FILE);
        let shown = self.0.display();
        ensure!(
            self.0.is_dir(),
            "there is no run folder {shown}: give the folder that `host-trainer train --out` made"
        );
        ensure!(
            path.exists(),
            "{shown} holds no trained network: finish the run by `host-trainer train --resume {}`",
            quoted(&self.0)
        );
        let shown = path.display();
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read the float graph {shown}"))?;
        Graph::from_bytes(&bytes).with_context(|| format!("the float graph {shown} cannot be used"))
    }

    /// The ranges that the network has learnt to be quantised with, where it has.
    ///
    /// # Errors
    /// When their file is damaged.
    pub fn ranges(&self) -> Result<Option<Calibrated>> {
        let path = self.file(RANGES_FILE);
        if !path.exists() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is damaged: train again", path.display()))
    }

    /// What was measured in each epoch.
    ///
    /// # Errors
    /// When the folder holds no run.
    pub fn epochs(&self) -> Result<Vec<metrics::Epoch>> {
        metrics::read_csv(&self.file(METRICS_FILE))
    }

    /// What the run remembers about its images.
    ///
    /// # Errors
    /// When the folder holds no run.
    pub fn record(&self) -> Result<Record> {
        Record::load(&self.file(RECORD_FILE)).with_context(|| self.no_run())
    }

    /// Remembers the images.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save_record(&self, record: &Record) -> Result<()> {
        atomic::write(&self.file(RECORD_FILE), serde_json::to_string_pretty(record)?.as_bytes())
    }

    fn no_run(&self) -> String {
        format!("{} is not a run folder: give the folder that `host-trainer train --out` made", self.0.display())
    }
}

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
