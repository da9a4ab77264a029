//! A search's folder: the plan that every job agrees on, a folder for each trial, and in it one for each stage.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::super::Look;
use super::super::candidates::Common;
use super::halving::{Ranked, front, survivors};
use super::space;
use crate::config::{Config, Preset};
use crate::data::dataset::{Dataset, listed};
use crate::measure::predictions::{PREDICTIONS_FILE, Predictions};
use crate::measure::search::{Costs, FOLDS, Point, RUNGS};
use crate::run::cross_validation::Plan as Folds;
use crate::run::folder::RunDir;
use crate::system::{atomic, read};

/// Name of the plan's file.
const PLAN_FILE: &str = "search.json";
/// The stage after the rungs: what is left learns from all that the search saw, and is scored on what it did not.
pub const FINAL: usize = RUNGS.len();
/// Share of the photographs that is watched while a network learns.
const WATCHED: f64 = 0.05;

/// What is searched: the same for every job, on every machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// All images in [`PARTS`](crate::measure::search::PARTS) folds, and what all trials have in common of the configuration.
    pub images: Folds,
    /// Number of networks that were asked for.
    pub asked: usize,
    /// Epochs of the last rung, where they were given.
    pub epochs: Option<usize>,
    /// What the pictures are like.
    pub look: Look,
    /// Whether mirror images are of the same class, so that training uses them.
    pub flips: bool,
    /// The networks that fit the target.
    pub trials: Vec<Trial>,
    /// How many were looked at that do not.
    pub misfits: usize,
}

/// A network that is tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// What it is.
    pub point: Point,
    /// What it takes, known before it is trained.
    pub costs: Costs,
}

impl Plan {
    /// In what another plan differs, for a message; empty where both search the same.
    ///
    /// # Errors
    /// When a plan is damaged.
    pub fn changes(&self, images: &Folds, asked: usize, epochs: Option<usize>) -> Result<Vec<String>> {
        let mut changes = self.images.changes(images)?;
        if self.asked != asked {
            changes.push(format!("--trials was {} and is {asked}", self.asked));
        }
        if self.epochs != epochs {
            let shown = |epochs: Option<usize>| epochs.map_or("absent".to_owned(), |epochs| epochs.to_string());
            changes.push(format!("--epochs was {} and is {}", shown(self.epochs), shown(epochs)));
        }
        Ok(changes)
    }

    /// The trial that others are put beside, which every rung keeps: a `resnet8`, where one fits.
    #[must_use]
    pub fn reference(&self) -> Option<usize> {
        self.trials.first().is_some_and(|trial| trial.point.preset == Preset::Resnet8).then_some(0)
    }

    /// How a trial learns in a stage.
    ///
    /// # Errors
    /// When the plan is damaged.
    pub fn config(&self, trial: usize, stage: usize) -> Result<Config> {
        let base = self.images.config()?;
        let common = Common { base: &base, look: &self.look, flips: self.flips };
        let share = RUNGS.get(stage).map_or(1.0, |(share, _)| *share);
        Ok(space::config(&self.trials[trial].point, &common, self.epochs, share))
    }

    /// The splits that a stage learns from and scores: some of the folds of what the search sees, or all of that and the part that
    /// it does not see.
    ///
    /// # Errors
    /// When a class has too few photographs.
    pub fn splits(&self, whole: &Dataset, stage: usize) -> Result<Vec<Dataset>> {
        let seed = self.images.config()?.seed;
        let parts: Vec<usize> = self.images.images.iter().map(|image| image.fold).collect();
        let Some(&(_, folds)) = RUNGS.get(stage) else { return Ok(vec![last_split(whole, &self.images)?]) };
        let mut seen = whole.clone();
        let mut parts = parts.iter();
        seen.train.retain(|_| parts.next().is_some_and(|&part| part != 0));
        let of = seen.folds(FOLDS, seed)?;
        (0..folds).map(|fold| seen.fold(&of, fold, WATCHED, seed)).collect()
    }
}

/// What is learnt from in the last stage, some of which is watched, and as the test what the search does not see.
///
/// # Errors
/// When a class has too few photographs.
pub fn last_split(whole: &Dataset, images: &Folds) -> Result<Dataset> {
    let parts: Vec<usize> = images.images.iter().map(|image| image.fold).collect();
    whole.fold(&parts, 0, WATCHED, images.config()?.seed)
}

/// A folder that `search` makes.
#[derive(Clone, Debug)]
pub struct SearchDir(PathBuf);

impl SearchDir {
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

    /// The plan, where there is one.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn plan(&self) -> Result<Option<Plan>> {
        let path = self.file(PLAN_FILE);
        if !path.exists() {
            return Ok(None);
        }
        let damaged = || format!("{} is damaged: remove {}, and search again", path.display(), self.0.display());
        Ok(Some(serde_json::from_str(&read::text(&path, read::DATA)?).with_context(damaged)?))
    }

    /// Makes the folder for a plan; the first of several jobs does.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn begin(&self, plan: &Plan) -> Result<()> {
        let shown = self.0.display();
        std::fs::create_dir_all(&self.0)
            .with_context(|| format!("cannot make the folder {shown}: choose another place with `--out`"))?;
        atomic::create(&self.file(PLAN_FILE), serde_json::to_string_pretty(plan)?.as_bytes())
    }

    /// Refuses a folder that holds another search.
    ///
    /// # Errors
    /// When `changes` names any.
    pub fn check(&self, changes: &[String]) -> Result<()> {
        ensure!(
            changes.is_empty(),
            "{} holds another search: {}; choose another place with `--out`, or remove it",
            self.0.display(),
            listed(changes)
        );
        Ok(())
    }

    /// The folder of a trial's stage, which a job claims; in the last it is the run's.
    #[must_use]
    pub fn job(&self, trial: usize, stage: usize) -> RunDir {
        let stage = if stage == FINAL { "final".to_owned() } else { format!("rung-{stage}") };
        RunDir::new(&self.0.join(format!("trial-{trial}")).join(stage))
    }

    /// The runs of a trial's stage, one for each split.
    #[must_use]
    pub fn runs(&self, trial: usize, stage: usize) -> Vec<RunDir> {
        let job = self.job(trial, stage);
        match RUNGS.get(stage) {
            Some(&(_, folds)) => (0..folds).map(|fold| RunDir::new(&job.file(&format!("fold-{fold}")))).collect(),
            None => vec![job],
        }
    }

    /// Whether a trial's stage has been scored. Predictions are the last file that a run writes.
    #[must_use]
    pub fn is_scored(&self, trial: usize, stage: usize) -> bool {
        self.runs(trial, stage).iter().all(is_scored)
    }

    /// What a trial said in a stage, of all its splits.
    ///
    /// # Errors
    /// When it has not been scored.
    pub fn predictions(&self, trial: usize, stage: usize) -> Result<Predictions> {
        let mut joined: Option<Predictions> = None;
        for run in self.runs(trial, stage) {
            let said = Predictions::load(&run.file(PREDICTIONS_FILE))?;
            match &mut joined {
                Some(joined) => joined.images.extend(said.images),
                None => joined = Some(said),
            }
        }
        joined.context("a stage has a split")
    }

    /// The trials that take part in a stage; none where it is not known yet, since the stage before has not ended.
    ///
    /// # Errors
    /// When predictions cannot be read.
    pub fn admitted(&self, plan: &Plan, stage: usize) -> Result<Option<Vec<usize>>> {
        let mut trials: Vec<usize> = (0..plan.trials.len()).collect();
        for before in 0..stage {
            if !trials.iter().all(|&trial| self.is_scored(trial, before)) {
                return Ok(None);
            }
            let ranked = self.ranked(plan, &trials, before)?;
            let kept = match before + 1 {
                FINAL => front(&ranked),
                _ => survivors(&ranked, trials.len().div_ceil(2)),
            };
            trials = kept.into_iter().map(|place| trials[place]).chain(plan.reference()).collect();
            trials.sort_unstable();
            trials.dedup();
        }
        Ok(Some(trials))
    }

    /// What is known of trials after a stage.
    ///
    /// # Errors
    /// When predictions cannot be read.
    pub fn ranked(&self, plan: &Plan, trials: &[usize], stage: usize) -> Result<Vec<Ranked>> {
        let ranked = |&trial: &usize| {
            let right = self.predictions(trial, stage)?.right();
            let accuracy = right.iter().sum::<f64>() / right.len().max(1) as f64;
            Ok(Ranked { accuracy, cost: plan.trials[trial].costs.time() })
        };
        trials.iter().map(ranked).collect()
    }
}

/// Whether a run has been scored.
#[must_use]
pub fn is_scored(run: &RunDir) -> bool {
    run.file(PREDICTIONS_FILE).exists()
}

#[cfg(test)]
mod tests {
    use no_std_infer::format::Color;

    use super::*;
    use crate::measure::predictions::Prediction;
    use crate::measure::search::PARTS;

    /// A plan of networks that cost so much, the first of which is the reference.
    fn plan(costs: &[u64]) -> Plan {
        let trial = |(place, &instructions): (usize, &u64)| Trial {
            point: Point {
                preset: if place == 0 { Preset::Resnet8 } else { Preset::Shallow },
                width: None,
                depth: None,
                side: 16,
                color: Color::Grey,
                pretrained: false,
            },
            costs: Costs { instructions, milliseconds: None, flash: 1, ram: 1 },
        };
        let config = toml::to_string(&Config::default()).unwrap();
        Plan {
            images: Folds { folds: PARTS, config, classes: Vec::new(), images: Vec::new() },
            asked: costs.len(),
            epochs: None,
            look: Look { images: 9, photographs: 9, classes: 2, side: 16, grey: true, drawn: false },
            flips: true,
            trials: costs.iter().enumerate().map(trial).collect(),
            misfits: 0,
        }
    }

    /// Leaves what a stage of a trial does that has so many of ten images right.
    fn score(dir: &SearchDir, trial: usize, stage: usize, right: usize) {
        let image = |index: usize| Prediction {
            path: index.to_string(),
            label: 0,
            group: None,
            fold: None,
            float: vec![0.0; 2],
            int8: if index < right { vec![1, 0] } else { vec![0, 1] },
            scale: 1.0,
        };
        let classes = ["a", "b"].map(str::to_owned).to_vec();
        let said = Predictions { classes, images: (0..10).map(image).collect() };
        for run in dir.runs(trial, stage) {
            std::fs::create_dir_all(run.path()).unwrap();
            said.save(&run.file(PREDICTIONS_FILE)).unwrap();
        }
    }

    #[test]
    fn half_go_on_and_the_reference_always_does() {
        let folder = tempfile::tempdir().unwrap();
        let (dir, plan) = (SearchDir::new(folder.path()), plan(&[900, 500, 400, 300, 200, 100]));
        let admitted = |stage| dir.admitted(&plan, stage).unwrap();
        assert_eq!((admitted(0), admitted(1)), (Some((0..6).collect()), None));
        for (trial, right) in [6, 9, 5, 8, 4, 3].into_iter().enumerate() {
            assert_eq!(admitted(1), None);
            score(&dir, trial, 0, right);
        }
        // The front is 5, 4, 3, 1, of which the three most accurate go on.
        assert_eq!((admitted(1), admitted(2)), (Some(vec![0, 1, 3, 4]), None));
        for (trial, right) in [(0, 6), (1, 9), (3, 9), (4, 4)] {
            score(&dir, trial, 1, right);
        }
        assert_eq!(dir.ranked(&plan, &[4], 1).unwrap()[0].accuracy, 0.4);
        assert_eq!(admitted(2), Some(vec![0, 3, 4]));
        for (trial, right) in [(0, 6), (3, 3), (4, 4)] {
            score(&dir, trial, 2, right);
        }
        assert_eq!(admitted(FINAL), Some(vec![0, 4]));
    }

    #[test]
    fn what_differs_from_the_plan_in_the_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (dir, plan) = (SearchDir::new(&folder.path().join("search")), plan(&[2, 1]));
        assert_eq!(dir.plan().unwrap(), None);
        dir.begin(&plan).unwrap();
        dir.begin(&Plan { asked: 9, ..plan.clone() }).unwrap();
        let known = dir.plan().unwrap().unwrap();
        assert_eq!(known, plan);
        assert_eq!(known.changes(&plan.images, 2, None).unwrap(), [""; 0]);
        let changes = known.changes(&plan.images, 3, Some(4)).unwrap();
        assert_eq!(changes, ["--trials was 2 and is 3", "--epochs was absent and is 4"]);
        assert!(dir.check(&changes).unwrap_err().to_string().contains("another search"));
    }
}
