//! What a run needs to go on after it was killed, in one file that is replaced atomically.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::Epoch;
use super::aware::Aware;
use crate::data::dataset::Images;
use crate::system::{atomic, read};
use crate::training::plateau::{EarlyStopping, Plateau};

const FILE: &str = "checkpoint.postcard";
static CRC: crc::Crc<u32> = no_std_infer::CRC32;

/// State of a run after a step.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// The configuration as TOML.
    pub config: String,
    /// [`fingerprint`] of the images.
    pub images: u32,
    /// burn's record of the network, batch-norm's statistics included.
    pub weights: Vec<u8>,
    /// burn's record of the average network, where there is one.
    pub average: Vec<u8>,
    /// burn's record of the optimiser.
    pub optimizer: Vec<u8>,
    /// `weights`, or else `average`, of the epoch that is kept.
    pub best_weights: Vec<u8>,
    /// That epoch, counted from 1.
    pub best_epoch: usize,
    /// Learning rate of the next epoch.
    pub learning_rate: f64,
    pub plateau: Plateau,
    pub stopping: EarlyStopping,
    /// True when early stopping has ended the run.
    pub stopped: bool,
    /// Since when the run learns with int8's values, where it does.
    pub aware: Option<Aware>,
    /// Those that are over.
    pub epochs: Vec<Epoch>,
    pub within: Within,
}

/// How far a run is within an epoch; the default is its beginning.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Within {
    /// Steps that are done.
    pub steps: usize,
    /// Position of the generator that dropout draws from, in words.
    pub dropout: u128,
    /// Sum of the losses, each times the weight of its images.
    pub loss_sum: f64,
    pub weight_sum: f64,
    /// Images that the network had right before it learnt them, and all.
    pub right: usize,
    pub seen: usize,
    /// Wall time.
    pub seconds: f64,
}

impl Within {
    /// Mean training loss.
    pub fn loss(&self) -> f64 {
        self.loss_sum / self.weight_sum
    }

    /// Training accuracy, 0 to 1.
    pub fn accuracy(&self) -> f64 {
        self.right as f64 / self.seen as f64
    }
}

impl Checkpoint {
    /// Replaces the checkpoint of `run_dir`.
    pub fn save(&self, run_dir: &Path) -> Result<()> {
        let bytes = postcard::to_stdvec_crc32(self, CRC.digest())?;
        atomic::write(&run_dir.join(FILE), &bytes)
    }

    /// True when `run_dir` has a checkpoint.
    pub fn exists(run_dir: &Path) -> bool {
        run_dir.join(FILE).exists()
    }

    /// The checkpoint of `run_dir`, or `None` when the run was never saved.
    pub fn load(run_dir: &Path) -> Result<Option<Self>> {
        let path = run_dir.join(FILE);
        let bytes = match read::bytes(&path, read::DATA) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => bail!("cannot read the checkpoint {}: {error}", path.display()),
        };
        let checkpoint = postcard::from_bytes_crc32(&bytes, CRC.digest()).with_context(|| {
            format!(
                "the checkpoint {} is damaged or of another version: remove it, and the run starts over",
                path.display()
            )
        })?;
        Ok(Some(checkpoint))
    }
}

/// A number that changes when images or labels do.
pub(super) fn fingerprint(parts: [&Images; 2]) -> u32 {
    let mut digest = CRC.digest();
    for images in parts {
        digest.update(&(images.len() as u64).to_le_bytes());
        (0..images.len()).for_each(|index| digest.update(&images.image(index)));
        images.labels.iter().for_each(|&label| digest.update(&(label as u64).to_le_bytes()));
    }
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use model_compiler::graph::Shape;

    use super::*;

    #[test]
    fn damaged_checkpoints_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Checkpoint::load(dir.path()).unwrap().is_none());
        std::fs::write(dir.path().join(FILE), [1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
        let error = format!("{:#}", Checkpoint::load(dir.path()).map(|_| ()).unwrap_err());
        assert!(error.contains(FILE), "{error}");
    }

    #[test]
    fn fingerprints_see_pixels_labels_and_the_border_between_splits() {
        let images = |pixels: &[u8], labels: &[usize]| {
            Images::of_pixels(Shape { height: 1, width: 1, channels: 1 }, pixels, labels)
        };
        let parts = [
            [images(&[1, 2], &[0, 1]), images(&[3], &[0])],
            [images(&[1, 9], &[0, 1]), images(&[3], &[0])],
            [images(&[1, 2], &[1, 1]), images(&[3], &[0])],
            [images(&[1], &[0]), images(&[2, 3], &[1, 0])],
        ];
        let prints: std::collections::HashSet<u32> = parts.iter().map(|parts| fingerprint(parts.each_ref())).collect();
        assert_eq!(prints.len(), 4);
    }
}
