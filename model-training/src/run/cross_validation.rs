//! A cross-validation's folder: the plan that every job agrees on, a run folder for each fold, and the folds joined.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::data::dataset::{Dataset, Sample, listed};
use crate::measure::predictions::{PREDICTIONS_FILE, Predictions};
use crate::run::folder::RunDir;
use crate::system::{atomic, read};

/// Name of the plan's file.
const PLAN_FILE: &str = "cv.json";

/// What is computed: the same for every fold, on every machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Number of folds.
    pub folds: usize,
    /// The configuration of each fold's training, as TOML.
    pub config: String,
    /// Class names in the order of the labels.
    pub classes: Vec<String>,
    /// All images by name.
    pub images: Vec<Planned>,
}

/// One image of a [`Plan`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// The image.
    #[serde(flatten)]
    pub sample: Sample,
    /// The fold that scores it.
    pub fold: usize,
}

impl Plan {
    /// Plans so many folds of a data set opened by [`Dataset::open_whole`].
    ///
    /// # Errors
    /// When it cannot be divided so.
    pub fn new(dataset: &Dataset, config: &Config, folds: usize) -> Result<Self> {
        let of_image = dataset.folds(folds, config.seed)?;
        let planned = |(sample, fold): (&Sample, usize)| Planned { sample: sample.clone(), fold };
        let images = dataset.train.iter().zip(of_image).map(planned).collect();
        let config = config_text(config)?;
        Ok(Self { folds, config, classes: dataset.classes.clone(), images })
    }

    /// The configuration of each fold's training.
    ///
    /// # Errors
    /// When the plan is damaged.
    pub fn config(&self) -> Result<Config> {
        Config::from_toml(&self.config).with_context(|| format!("the configuration in {PLAN_FILE} is damaged"))
    }

    /// In what another plan differs, for a message; empty where both compute the same.
    ///
    /// # Errors
    /// When a plan is damaged.
    pub fn changes(&self, now: &Self) -> Result<Vec<String>> {
        let mut changes = self.config()?.changes(&now.config()?);
        if self.folds != now.folds {
            changes.push(format!("--folds was {} and is {}", self.folds, now.folds));
        }
        if self.classes != now.classes {
            changes.push(format!("the classes were {} and are {}", listed(&self.classes), listed(&now.classes)));
        }
        let differing = self.images.iter().zip(&now.images).find(|(was, is)| was != is);
        if self.images.len() != now.images.len() {
            changes.push(format!("there were {} images and are {}", self.images.len(), now.images.len()));
        } else if let (Some((was, is)), true) = (differing, changes.is_empty()) {
            changes.push(format!("{} has another name, class, group or fold than {}", is.sample.name, was.sample.name));
        }
        Ok(changes)
    }

    /// The split that scores one fold.
    ///
    /// # Errors
    /// When there is no such fold, or its other images cannot be split for validation.
    pub fn dataset(&self, whole: &Dataset, fold: usize) -> Result<Dataset> {
        ensure!(fold < self.folds, "there is no fold {fold}: the folds are 0 to {}", self.folds - 1);
        let folds: Vec<usize> = self.images.iter().map(|image| image.fold).collect();
        let config = self.config()?;
        whole.fold(&folds, fold, config.data.valid, config.seed)
    }
}

/// TOML gives every number back exactly.
fn config_text(config: &Config) -> Result<String> {
    toml::to_string(config).context("cannot write the configuration as TOML")
}

/// A folder that `cv` makes.
#[derive(Clone, Debug)]
pub struct CvDir(PathBuf);

impl CvDir {
    /// Names a folder; nothing is read or made.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self(path.to_path_buf())
    }

    /// A file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The run folder of a fold.
    #[must_use]
    pub fn fold(&self, fold: usize) -> RunDir {
        RunDir::new(&self.file(&format!("fold-{fold}")))
    }

    /// Whether a fold has been scored. Its predictions are the last file that its run writes.
    #[must_use]
    pub fn is_scored(&self, fold: usize) -> bool {
        self.fold(fold).file(PREDICTIONS_FILE).exists()
    }

    /// The plan.
    ///
    /// # Errors
    /// When the folder holds none.
    pub fn plan(&self) -> Result<Plan> {
        let (path, shown) = (self.file(PLAN_FILE), self.0.display());
        let text = read::text(&path, read::DATA)
            .with_context(|| format!("{shown} holds no cross-validation: give the folder that `cv --out` made"))?;
        serde_json::from_str(&text).with_context(|| format!("{} is damaged: make the folder again", path.display()))
    }

    /// Makes the folder for a plan, or finds the same plan there: jobs that start together all do so.
    ///
    /// # Errors
    /// When the folder cannot be made or holds another plan.
    pub fn claim(&self, plan: &Plan) -> Result<()> {
        let shown = self.0.display();
        std::fs::create_dir_all(&self.0)
            .with_context(|| format!("cannot make the folder {shown}: choose another place with `--out`"))?;
        if !self.file(PLAN_FILE).exists() {
            atomic::create(&self.file(PLAN_FILE), serde_json::to_string_pretty(plan)?.as_bytes())?;
        }
        let changes = self.plan()?.changes(plan)?;
        ensure!(
            changes.is_empty(),
            "{shown} holds a cross-validation of other images, groups, folds or another configuration: {}; choose \
             another place with `--out`, or remove it",
            listed(&changes)
        );
        Ok(())
    }

    /// Joins the predictions of all folds, in the order of the plan, and writes them.
    ///
    /// # Errors
    /// When folds are missing, do not hold the plan's images, or saw different image files.
    pub fn join(&self) -> Result<(Plan, Predictions)> {
        let (plan, shown) = (self.plan()?, self.0.display());
        let missing: Vec<String> =
            (0..plan.folds).filter(|&fold| !self.is_scored(fold)).map(|fold| fold.to_string()).collect();
        ensure!(
            missing.is_empty(),
            "{shown} lacks {} of {} folds, {}: run each by `cv --fold K` with the same folder",
            missing.len(),
            plan.folds,
            missing.join(", ")
        );
        let mut images = Vec::new();
        let first = self.fold(0).record()?.hash;
        for fold in 0..plan.folds {
            let run = self.fold(fold);
            let path = run.path().display();
            let again = format!("remove {path} and run `cv --fold {fold}` again");
            ensure!(run.record()?.hash == first, "{path} saw other image files than fold 0: {again}");
            let predictions = Predictions::load(&run.file(PREDICTIONS_FILE))?;
            let said = predictions.images.iter().map(|image| (&image.path, image.label, &image.group));
            let planned = plan.images.iter().filter(|image| image.fold == fold).map(|image| &image.sample);
            let same = said.eq(planned.map(|sample| (&sample.name, sample.label, &sample.group)));
            ensure!(same && predictions.classes == plan.classes, "{path} scored other images than planned: {again}");
            images.extend(predictions.images.into_iter().map(|mut image| {
                image.fold = Some(fold);
                image
            }));
        }
        images.sort_by(|a, b| a.path.cmp(&b.path));
        let predictions = Predictions { classes: plan.classes.clone(), images };
        predictions.save(&self.file(PREDICTIONS_FILE))?;
        Ok((plan, predictions))
    }
}
