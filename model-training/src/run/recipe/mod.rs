//! A recipe chosen by what the pictures are like and by validation: frozen features of a pretrained network with an output
//! layer, gentle fine-tuning, or training from random weights.

mod candidates;
mod choice;
mod further;
mod look;
mod pictures;
pub mod search;

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::config::{Config, Normalization, QuantizeConfig};
use crate::data::dataset::{Dataset, Loaded};
use crate::data::record::Record;
use crate::measure::evaluate::{int8_classes, int8_outputs, parse, read_blob};
use crate::measure::predictions::PREDICTIONS_FILE;
use crate::run::folder::RunDir;
use crate::system::files::GRAPH_FILE;
use crate::system::{atomic, read};
use crate::training::probe::{Probe, probe};
use crate::training::{Options, TrainingData};

pub use candidates::Common;
use candidates::sides;
use choice::USUAL;
pub use choice::{Choice, Probed, Tried};
pub use further::{Start, further};
pub use look::Look;
pub use pictures::Pictures;

/// Folder of the candidates in a run folder.
pub const FOLDER: &str = "candidates";
/// What was compared and chosen; the last file of a choice.
pub const CHOICE_FILE: &str = "choice.json";
/// What a choice begins with.
const PLAN_FILE: &str = "plan.json";
/// Folds of the training images that output layers are probed on, where there are groups enough.
const FOLDS: usize = 5;
/// Most images that output layers are probed on.
const PROBED: usize = 2000;
/// As much fewer mirror images than images are right where mirror images are of another class.
const CHIRAL: f64 = 0.05;
/// The penalty where nothing can be probed.
const L2: f64 = 6.0;
/// Photographs below which more are set aside for the choice than for a run; the chosen recipe then learns from all of them.
const FEW: usize = 1500;
/// Share of the photographs that are set aside for the choice where they are few.
const ASIDE: f64 = 0.25;
/// Images that a model is calibrated on which is only compared, where no number was given: those that quantisation compares by.
const CALIBRATED: usize = 64;
/// Share that is watched in the last run, where none was given to be.
const WATCHED: f64 = 0.02;

/// A network that was trained in a folder, to be exported.
#[derive(Debug)]
pub struct Trained {
    /// Its folder.
    pub run: RunDir,
    /// How it was trained.
    pub config: Config,
    /// On what.
    pub record: Record,
    /// The images themselves.
    pub images: Loaded,
}

/// What the choice asks of its caller.
pub trait Caller {
    /// Whether a configuration's network fits the target.
    ///
    /// # Errors
    /// When it does not; says what would.
    fn fits(&self, config: &Config, classes: &[String]) -> Result<()>;
    /// Trains in a folder, or goes on there; leaves the graph.
    ///
    /// # Errors
    /// When training fails.
    fn train(&self, trained: &Trained) -> Result<()>;
    /// Makes the blob in the same folder, the predictions last.
    ///
    /// # Errors
    /// When the network cannot be quantised.
    fn export(&self, trained: &Trained) -> Result<()>;
    /// Takes over the first candidate's files until there are better ones.
    ///
    /// # Errors
    /// When they cannot be read or written.
    fn take_first(&self, trained: &Trained) -> Result<()>;
}

/// What is chosen from, which a choice that is interrupted goes on with.
#[derive(Debug, Serialize, Deserialize)]
struct Plan {
    /// As TOML.
    config: String,
    set_aside: bool,
}

/// Whether a choice was begun in a run folder and has not ended.
#[must_use]
pub fn is_begun(run: &RunDir) -> bool {
    run.file(FOLDER).join(PLAN_FILE).exists() && !run.file(CHOICE_FILE).exists()
}

/// A choice among recipes in a run folder.
#[derive(Debug)]
pub struct Chooser {
    folder: RunDir,
    base: Config,
    split: Dataset,
    options: Options,
}

impl Chooser {
    /// A new one, by the training and validation images of `split`. Nothing is read or written yet.
    #[must_use]
    pub fn new(run: &RunDir, base: &Config, split: Dataset, options: Options) -> Self {
        Self { folder: RunDir::new(&run.file(FOLDER)), base: base.clone(), split, options }
    }

    /// The one that was begun in `run`, whose images lie below `root` now, or else where they were.
    ///
    /// # Errors
    /// When its files are damaged.
    pub fn resume(run: &RunDir, root: Option<&Path>, options: Options) -> Result<Self> {
        let folder = RunDir::new(&run.file(FOLDER));
        let path = folder.file(PLAN_FILE);
        let damaged = || format!("{} is damaged: remove {}, and train again", path.display(), run.path().display());
        let plan: Plan = serde_json::from_str(&read::text(&path, read::DATA)?).with_context(damaged)?;
        let record = folder.record()?;
        let mut split = record.dataset(root.unwrap_or(&record.root))?;
        split.set_aside = plan.set_aside;
        Ok(Self { folder, base: Config::from_toml(&plan.config).with_context(damaged)?, split, options })
    }

    /// All images of the split as training images.
    #[must_use]
    pub fn whole(&self) -> Dataset {
        self.split.whole()
    }

    /// How it computes.
    #[must_use]
    pub fn options(&self) -> Options {
        self.options
    }

    /// Looks at the pictures and reads them, at the first size that is asked for, before anything is written.
    ///
    /// # Errors
    /// When some cannot be read.
    pub fn read(&mut self, pictures: &mut Pictures) -> Result<(Look, Loaded)> {
        let look = Look::new(&self.split);
        let config = Common { base: &self.base, look: &look, flips: true }.fine_tuned(sides(&look)[0], L2);
        let images = pictures.of(&mut self.split, &config)?;
        Ok((look, images))
    }

    /// Trains the candidates for what was [read](Self::read), and the chosen one with more images where they are few. Candidates
    /// that are trained already are not trained again.
    ///
    /// # Errors
    /// When pictures cannot be read, training fails, or a file cannot be written.
    pub fn choose(
        mut self,
        (look, images): (Look, Loaded),
        pictures: &mut Pictures,
        caller: &dyn Caller,
    ) -> Result<(Choice, Trained)> {
        self.save(&images)?;
        tracing::info!("{}", look.text());
        let given = self.split.clone();
        let refitted = look.photographs < FEW;
        if refitted {
            self.split = given.with_validation(ASIDE, self.base.seed).unwrap_or_else(|_| given.clone());
        }
        let mut choice = Choice::new(look.clone());
        choice.probed = self.probe(&look, pictures, &self.fitting(&look, caller))?;
        let best = choice.best_probe().cloned();
        choice.flips = flips(best.as_ref());
        let recipes = self.recipes(&look, choice.flips, best.map(|best| (best.side, best.probe.l2)), caller)?;
        for (name, config) in &recipes {
            let config = if refitted { only_compared(config) } else { config.clone() };
            let trained = self.train(name, &config, pictures, caller)?;
            if !trained.run.file(PREDICTIONS_FILE).exists() {
                caller.export(&trained)?;
            }
            if choice.tried.is_empty() {
                caller.take_first(&trained)?;
            }
            choice.add(name, &hits(&trained)?, &trained.record.valid);
            tracing::info!("{}", choice.last());
        }
        let (name, config) = &recipes[choice.best()];
        choice.refitted = refitted;
        let trained = if refitted {
            self.refit(config, given, pictures, caller)
        } else {
            self.train(name, config, pictures, caller)
        };
        Ok((choice, trained?))
    }

    /// The recipes that fit the target, by name, with the input's side and the penalty that were probed.
    fn recipes(
        &self,
        look: &Look,
        flips: bool,
        probed: Option<(u16, f64)>,
        caller: &dyn Caller,
    ) -> Result<Vec<(&'static str, Config)>> {
        let common = Common { base: &self.base, look, flips };
        let mut recipes = Vec::new();
        if let Some((side, l2)) = probed.or_else(|| self.fitting(look, caller).first().map(|&side| (side, L2))) {
            recipes.extend([("frozen", common.frozen(side, l2)), (USUAL, common.fine_tuned(side, l2))]);
        }
        // Few photographs do not make up for what a network has seen of the world, unless they show something else.
        if !recipes.is_empty() && !look.is_unlike_photographs() && look.photographs < FEW {
            return Ok(recipes);
        }
        match caller.fits(&common.scratch(), &self.split.classes) {
            Ok(()) => recipes.push(("scratch", common.scratch())),
            Err(error) if recipes.is_empty() => return Err(error),
            Err(_) => {}
        }
        Ok(recipes)
    }

    /// Whether mirror images are of the same class, as far as an output layer on a pretrained network's features says.
    ///
    /// # Errors
    /// When pictures cannot be read.
    pub fn flips(&mut self, look: &Look, pictures: &mut Pictures) -> Result<bool> {
        let probed = self.probe(look, pictures, &sides(look)[..1])?;
        Ok(flips(probed.first()))
    }

    /// What output layers reach on the pretrained network's features, at each of these widths.
    fn probe(&mut self, look: &Look, pictures: &mut Pictures, sides: &[u16]) -> Result<Vec<Probed>> {
        let samples = self.split.train.clone();
        let train =
            Dataset::from_samples(&self.split.root, self.split.classes.clone(), [samples, Vec::new(), Vec::new()]);
        let Some(folds) = [FOLDS, 3, 2].iter().find_map(|&folds| train.folds(folds, self.base.seed).ok()) else {
            tracing::info!("too few photographs of a class to compare output layers: one recipe's are taken");
            return Ok(Vec::new());
        };
        let chosen: Vec<usize> = (0..folds.len()).step_by(folds.len().div_ceil(PROBED)).collect();
        let folds: Vec<usize> = chosen.iter().map(|&image| folds[image]).collect();
        let groups: Vec<&str> = chosen.iter().map(|&image| train.train[image].cluster()).collect();
        let mut probed = Vec::new();
        for &side in sides {
            let config = Common { base: &self.base, look, flips: true }.fine_tuned(side, L2);
            let images = pictures.of(&mut self.split, &config)?;
            let mut data = training_data(&config, &Record::new(&self.split, &images)?, &images);
            data.train = data.train.only(&chosen);
            let probe = probe(&data, &config, (&folds, &groups), self.options)?;
            tracing::info!(
                "an output layer on ImageNet's features at {side} x {side} pixels: {:.1} % right",
                100.0 * probe.accuracy
            );
            probed.push(Probed { side, probe });
        }
        Ok(probed)
    }

    /// The widths at which the pretrained network fits the target.
    fn fitting(&self, look: &Look, caller: &dyn Caller) -> Vec<u16> {
        let common = Common { base: &self.base, look, flips: true };
        let fits = |side: &u16| caller.fits(&common.frozen(*side, L2), &self.split.classes).is_ok();
        sides(look).iter().copied().filter(fits).collect()
    }

    fn train(&mut self, name: &str, config: &Config, pictures: &mut Pictures, caller: &dyn Caller) -> Result<Trained> {
        let images = pictures.of(&mut self.split, config)?;
        self.run(name, config, Record::new(&self.split, &images)?, images, caller)
    }

    /// The chosen recipe on the images that were set aside for the choice as well.
    fn refit(&self, config: &Config, given: Dataset, pictures: &mut Pictures, caller: &dyn Caller) -> Result<Trained> {
        let mut split = if given.set_aside { given.with_validation(WATCHED, self.base.seed)? } else { given };
        let images = pictures.of(&mut split, config)?;
        self.run("final", config, Record::new(&split, &images)?, images, caller)
    }

    fn run(&self, name: &str, config: &Config, record: Record, images: Loaded, caller: &dyn Caller) -> Result<Trained> {
        let run = RunDir::new(&self.folder.file(name));
        let _claim = run.claim()?;
        let trained = Trained { run, config: config.clone(), record, images };
        if !trained.run.file(GRAPH_FILE).exists() {
            trained.run.save_record(&trained.record)?;
            caller.train(&trained)?;
        }
        Ok(trained)
    }

    /// Remembers what is chosen from.
    fn save(&self, images: &Loaded) -> Result<()> {
        if self.folder.file(PLAN_FILE).exists() {
            return self.folder.record()?.check_same(&self.split, images);
        }
        let shown = self.folder.path().display();
        std::fs::create_dir_all(self.folder.path()).with_context(|| format!("cannot make the folder {shown}"))?;
        self.folder.save_record(&Record::new(&self.split, images)?)?;
        let plan = Plan { config: toml::to_string(&self.base)?, set_aside: self.split.set_aside };
        atomic::write(&self.folder.file(PLAN_FILE), serde_json::to_string_pretty(&plan)?.as_bytes())
    }
}

/// What the run of this record learns from.
#[must_use]
pub fn training_data(config: &Config, record: &Record, images: &Loaded) -> TrainingData {
    let Normalization { mean, std } = record.normalization(config);
    let times = record.train.iter().map(|sample| config.train.times(&sample.name)).enumerate();
    let seen: Vec<usize> = times.flat_map(|(index, times)| std::iter::repeat_n(index, times)).collect();
    TrainingData {
        train: images.train.only(&seen),
        source: images.source().only(&seen),
        valid: images.valid.clone(),
        classes: record.classes.clone(),
        mean,
        std,
    }
}

/// A recipe whose model is only compared with others before the chosen one learns anew: calibration is most of what it takes to
/// quantise one.
fn only_compared(config: &Config) -> Config {
    let images = config.quantize.images.or(Some(CALIBRATED));
    Config { quantize: QuantizeConfig { images, ..config.quantize.clone() }, ..config.clone() }
}

/// Whether mirror images are of the same class by what an output layer says of them, or as far as is known.
fn flips(probed: Option<&Probed>) -> bool {
    probed.is_none_or(|best| best.probe.mirrored > best.probe.accuracy - CHIRAL)
}

/// Which validation images the int8 model has right: it is what a board runs.
fn hits(trained: &Trained) -> Result<Vec<bool>> {
    let (valid, path) = (&trained.images.valid, trained.run.blob());
    let blob = read_blob(&path)?;
    let said = int8_classes(&int8_outputs(&parse(&blob, &path)?, valid));
    Ok(said.iter().zip(&valid.labels).map(|(said, label)| said == label).collect())
}
