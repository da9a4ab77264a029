//! The weights that a network starts from: a file's, the program's, or another run's.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use burn::tensor::Device;

use super::checkpoint::Checkpoint;
use super::record::load;
use crate::config::{Config, Normalization, PretrainedConfig};
use crate::data::record::Record;
use crate::system::files::{CONFIG_FILE, RECORD_FILE};
use crate::system::read;
use crate::training::model::{Net, Task};
use crate::training::pretrained::Pretrained;

/// Opens what a configuration names.
///
/// # Errors
/// Those of [`Pretrained::open`], and when the run that is named has not ended or is damaged.
pub(super) fn open(config: &PretrainedConfig) -> Result<Pretrained> {
    match config.file.as_deref().filter(|file| file.is_dir()) {
        Some(folder) => of_run(folder).with_context(|| format!("cannot start from the run in {}", folder.display())),
        None => Pretrained::open(config),
    }
}

/// The network that a run has kept.
fn of_run(folder: &Path) -> Result<Pretrained> {
    let path = folder.join(CONFIG_FILE);
    let text = read::text(&path, read::SETTINGS).with_context(|| format!("cannot read {}", path.display()))?;
    let config = Config::from_toml(&text).with_context(|| format!("{} cannot be used", path.display()))?;
    let record = Record::load(&folder.join(RECORD_FILE))?;
    let saved = Checkpoint::load(folder)?.context("it has no checkpoint: train again")?;
    ensure!(saved.best_epoch > 0, "no epoch of it has ended: finish it first");
    let Normalization { mean, std } = record.normalization(&config);
    let task = Task { input: config.input.shape(), classes: record.classes.len(), mean, std };
    let net = Net::new(&config.model, task, config.seed, &Device::flex())?;
    let mut net = load(net, saved.best_weights).context("its checkpoint does not fit its configuration")?;
    Ok(Pretrained::of_run(folder, net.layers(), record.classes))
}
