//! The files of a training run.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use model_compiler::graph::Graph;
use model_compiler::quantise::calibrate::Calibrated;
use sha2::{Digest, Sha256};

use crate::config::Config;
use crate::data::epochs::{self, Epoch};
use crate::data::record::Record;
use crate::measure::predictions::PREDICTIONS_FILE;
pub use crate::system::claim::Claim;
use crate::system::claim::claim;
use crate::system::files::{CONFIG_FILE, GRAPH_FILE, METRICS_FILE, RANGES_FILE, RECORD_FILE};
use crate::system::hexadecimal::hexadecimal;
use crate::system::hints::{program, quoted};
use crate::system::{atomic, read};

/// Name of the file that is locked while something writes to the folder.
const LOCK_FILE: &str = "run.lock";

/// Reads a configuration and checks it.
///
/// # Errors
/// When the file cannot be read, is not TOML, or has an unknown or impossible entry.
pub fn load_config(path: &Path) -> Result<Config> {
    let text = read::text(path, read::SETTINGS)
        .with_context(|| format!("cannot read the configuration {}: give the path of a TOML file", path.display()))?;
    Config::from_toml(&text).with_context(|| format!("the configuration {} cannot be used", path.display()))
}

/// A folder that `train` makes.
#[derive(Clone, Debug)]
pub struct RunDir(PathBuf);

impl RunDir {
    /// Names a folder; nothing is read or made.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self(path.to_path_buf())
    }

    /// A run, where a folder is named, and the file of its blob; or the blob that is named.
    #[must_use]
    pub fn or_blob(path: &Path) -> (Option<Self>, PathBuf) {
        let run = path.is_dir().then(|| Self::new(path));
        let blob = run.as_ref().map_or_else(|| path.to_owned(), Self::blob);
        (run, blob)
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The folder's own name, after which a model is called.
    #[must_use]
    pub fn name(&self) -> String {
        self.0.file_name().map_or_else(|| "model".to_owned(), |name| name.to_string_lossy().into_owned())
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
        let claim = self.try_claim()?;
        claim.with_context(|| {
            format!("another process is writing to {shown}: wait for its end, or choose another place with `--out`")
        })
    }

    /// The same; none where another process or thread has claimed it.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn try_claim(&self) -> Result<Option<Claim>> {
        claim(&self.0, LOCK_FILE).context("choose another place with `--out`")
    }

    /// The configuration of the run.
    ///
    /// # Errors
    /// When the folder holds no run.
    pub fn config(&self) -> Result<Config> {
        load_config(&self.file(CONFIG_FILE)).with_context(|| self.no_run())
    }

    /// SHA-256 of the configuration file, in hexadecimal.
    ///
    /// # Errors
    /// When the folder holds no run.
    pub fn config_hash(&self) -> Result<String> {
        let bytes = read::bytes(&self.file(CONFIG_FILE), read::SETTINGS).with_context(|| self.no_run())?;
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
            "there is no run folder {shown}: give the folder that `{program} train --out` made",
            program = program()
        );
        ensure!(
            path.exists(),
            "{shown} holds no trained network: finish the run by `{program} train --resume {}`",
            quoted(&self.0),
            program = program()
        );
        let shown = path.display();
        let bytes = read::bytes(&path, read::MODEL).with_context(|| format!("cannot read the float graph {shown}"))?;
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
        let text = read::text(&path, read::DATA).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is damaged: train again", path.display()))
    }

    /// What was measured in each epoch.
    ///
    /// # Errors
    /// When the folder holds no run.
    pub fn epochs(&self) -> Result<Vec<Epoch>> {
        epochs::read_csv(&self.file(METRICS_FILE))
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

    /// Takes over all files of another run, each whole or not at all, the predictions last.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn adopt(&self, other: &Self) -> Result<()> {
        let shown = other.0.display();
        let unread = || format!("cannot take over the run in {shown}");
        let files = std::fs::read_dir(&other.0).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
        let mut files: Vec<PathBuf> = files.with_context(unread)?.into_iter().map(|entry| entry.path()).collect();
        files.retain(|path| path.is_file() && path.file_name().is_some_and(|name| name != LOCK_FILE));
        files.sort_by_key(|path| path.file_name().is_some_and(|name| name == PREDICTIONS_FILE));
        for path in files {
            let Some(name) = path.file_name() else { continue };
            atomic::write(&self.0.join(name), &std::fs::read(&path).with_context(unread)?)?;
        }
        Ok(())
    }

    fn no_run(&self) -> String {
        format!(
            "{} is not a run folder: give the folder that `{program} train --out` made",
            self.0.display(),
            program = program()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_takes_over_the_files_of_another_but_not_its_lock() {
        let folder = tempfile::tempdir().unwrap();
        let [run, other] = ["run", "other"].map(|name| RunDir::new(&folder.path().join(name)));
        let _claims = [run.claim().unwrap(), other.claim().unwrap()];
        std::fs::write(run.blob(), b"old").unwrap();
        std::fs::write(other.blob(), b"new").unwrap();
        std::fs::write(other.file(PREDICTIONS_FILE), b"said").unwrap();
        std::fs::create_dir(other.file("folder")).unwrap();
        run.adopt(&other).unwrap();
        assert_eq!(std::fs::read(run.blob()).unwrap(), b"new");
        assert_eq!(std::fs::read(run.file(PREDICTIONS_FILE)).unwrap(), b"said");
        assert!(!run.file("folder").exists() && run.adopt(&RunDir::new(&folder.path().join("none"))).is_err());
    }

    #[test]
    fn a_missing_configuration_is_named() {
        let error = load_config(Path::new("no/such.toml")).unwrap_err();
        assert!(format!("{error:#}").contains("no/such.toml"));
    }
}
