//! Jobs of a search: small networks that fit a target, trained by processes that share a folder.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use model_training::config::{Config, TargetConfig};
use model_training::data::dataset::Dataset;
use model_training::measure::search::{CHOSEN_FILE, Costs, Outcome, PARTS, Point, RUNGS};
use model_training::run::cross_validation::Plan as Folds;
use model_training::run::folder::RunDir;
use model_training::run::recipe::search::{
    FINAL, Plan, SearchDir, Trial, config, is_scored, last_split, outcome, points,
};
use model_training::run::recipe::{Chooser, Common, Look, Pictures};
use model_training::system::atomic;
use model_training::training;

use super::pages;
use super::plan::Plan as Network;
use super::train::train_split;
use crate::device::target::Target;

/// How long to wait for other processes before looking again.
const PAUSE: Duration = Duration::from_millis(500);

/// What a person asks of a search.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Number of networks that are tried.
    pub trials: usize,
    /// Passes over the images in the last rung, where they do not follow from the number of pictures.
    pub epochs: Option<usize>,
    /// Of the networks' choice, the folds and the training.
    pub seed: u64,
    /// What the networks are to run on.
    pub target: TargetConfig,
}

/// A search under way.
#[derive(Debug)]
pub struct Search {
    dir: SearchDir,
    plan: Plan,
    whole: Dataset,
    pictures: Pictures,
    compute: training::Options,
}

/// What became of a trial whose next stage was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Trials of the stage before have not been done, perhaps by others.
    Waits,
    /// Others were better or cheaper.
    Left,
    /// This stage was done, of 0 to [`FINAL`].
    Done(usize),
    /// There is nothing more to do.
    Ended,
}

impl Search {
    /// Goes on with the search in a folder, or begins it: `whole` are all images, whatever split they are in.
    ///
    /// # Errors
    /// When what is asked for is not what the folder was begun with, when too few networks fit the target, or when files
    /// cannot be read or written.
    pub fn open(asked: &Asked, whole: Dataset, dir: SearchDir, compute: training::Options) -> Result<Self> {
        let mut pictures = Pictures::new(whole.clone());
        let plan = plan(asked, (&whole, &dir), &mut pictures, compute)?;
        Ok(Self { dir, plan, whole, pictures, compute })
    }

    /// Does what nobody else does, and waits for the others, until all trials have come to the end.
    ///
    /// # Errors
    /// When a network cannot be trained, or files cannot be read or written.
    pub fn all(&mut self) -> Result<()> {
        (0..=FINAL).try_for_each(|stage| self.stage(stage))
    }

    /// Does what nobody else does of a stage, and waits for the others.
    fn stage(&mut self, stage: usize) -> Result<()> {
        let mut waits = false;
        loop {
            let admitted = self.dir.admitted(&self.plan, stage)?.context("the stage before has ended")?;
            let open: Vec<usize> = admitted.into_iter().filter(|&trial| !self.dir.is_scored(trial, stage)).collect();
            if open.is_empty() {
                return Ok(());
            }
            let mut did = false;
            for trial in open {
                did |= self.job(trial, stage)?;
            }
            if !did {
                if !waits {
                    tracing::info!("waiting for other processes to end their trials of this stage");
                }
                waits = true;
                sleep(PAUSE);
            }
        }
    }

    /// Does the stage of a trial that comes next.
    ///
    /// # Errors
    /// When there is no such trial, when another process does the stage, and those of [`all`](Self::all).
    pub fn next_stage(&mut self, trial: usize) -> Result<Next> {
        let last = self.plan.trials.len() - 1;
        ensure!(trial <= last, "there is no trial {trial}: the trials are 0 to {last}");
        for stage in 0..=FINAL {
            let Some(admitted) = self.dir.admitted(&self.plan, stage)? else { return Ok(Next::Waits) };
            if !admitted.contains(&trial) {
                return Ok(Next::Left);
            }
            if !self.dir.is_scored(trial, stage) {
                ensure!(self.job(trial, stage)?, "another process does this stage of trial {trial}");
                return Ok(Next::Done(stage));
            }
        }
        Ok(Next::Ended)
    }

    /// Trains what is missing of a trial's stage; false where another process does.
    ///
    /// The claim is a lock on a file, which ends with the process, however that ends: a file that is merely there would be left
    /// behind by a process that is killed.
    fn job(&mut self, trial: usize, stage: usize) -> Result<bool> {
        let job = self.dir.job(trial, stage);
        // The run of the last stage claims the folder itself.
        let claim = job.file("job");
        std::fs::create_dir_all(&claim).with_context(|| format!("cannot make {}", claim.display()))?;
        let Some(_claim) = RunDir::new(&claim).try_claim()? else { return Ok(false) };
        let point: &Point = &self.plan.trials[trial].point;
        let of =
            if stage == FINAL { "the end".to_owned() } else { format!("rung {stage} of 0 to {}", RUNGS.len() - 1) };
        tracing::info!("trial {trial}, {of}: {point}");
        let config = self.plan.config(trial, stage)?;
        let splits = self.plan.splits(&self.whole, stage)?;
        for (run, split) in self.dir.runs(trial, stage).iter().zip(splits) {
            if !is_scored(run) {
                let report = train_split(run, &config, split, &mut self.pictures, self.compute)?;
                tracing::info!("{}", report.comparison.accuracy_text());
            }
        }
        Ok(true)
    }
}

/// The plan in the folder, or a new one.
fn plan(
    asked: &Asked,
    (whole, dir): (&Dataset, &SearchDir),
    pictures: &mut Pictures,
    compute: training::Options,
) -> Result<Plan> {
    let base = Config { seed: asked.seed, target: Some(asked.target.clone()), ..Config::default() };
    let mut valid = base.clone();
    valid.train.epochs = asked.epochs.unwrap_or(valid.train.epochs);
    valid.validate()?;
    let images =
        Folds::new(whole, &base, PARTS).context("a search keeps one of five parts of the images for the end")?;
    if dir.plan()?.is_none() {
        let look = Look::new(whole);
        let (trials, misfits) = trials((&base, &look, asked.trials), &whole.classes, &Target::new(&asked.target)?)?;
        let run = RunDir::new(dir.path());
        let flips = Chooser::new(&run, &base, last_split(whole, &images)?, compute).flips(&look, pictures)?;
        let (images, epochs) = (images.clone(), asked.epochs);
        dir.begin(&Plan { images, asked: asked.trials, epochs, look, flips, trials, misfits })?;
    }
    let plan = dir.plan()?.context("the plan was just written")?;
    dir.check(&plan.changes(&images, asked.trials, asked.epochs)?)?;
    tracing::info!(
        "{} networks that fit are tried on {}; {} were looked at that do not fit",
        plan.trials.len(),
        plan.look.text(),
        plan.misfits
    );
    Ok(plan)
}

/// The first networks that fit, and how many were looked at that do not.
fn trials(
    (base, look, count): (&Config, &Look, usize),
    classes: &[String],
    target: &Target,
) -> Result<(Vec<Trial>, usize)> {
    let common = Common { base, look, flips: true };
    let (mut trials, mut misfits) = (Vec::new(), 0);
    let mut smallest: Option<(u64, String)> = None;
    for point in points(look, base.seed) {
        // What does not even make a network, such as pooling a small input, does not fit either.
        let network = Network::new(&config(&point, &common, None, 1.0), classes, target).ok();
        match network {
            Some(Network { fit, instructions: Some(instructions), .. }) if fit.fits() => {
                let milliseconds = fit.milliseconds.map(|time| time.takes);
                let costs = Costs { instructions, milliseconds, flash: fit.flash.takes, ram: fit.ram.takes };
                trials.push(Trial { point, costs });
            }
            other => {
                misfits += 1;
                let takes = other.map(|network| (network.macs, format!("{point}: {}", network.fit.figures())));
                smallest = smallest.into_iter().chain(takes).min();
            }
        }
        if trials.len() == count {
            break;
        }
    }
    let smallest = smallest.map_or_else(String::new, |(_, named)| format!(" The smallest was {named}"));
    ensure!(
        trials.len() >= 2,
        "of {} networks {} fits the target: allow more flash, RAM or time, or choose another board.{smallest}",
        misfits + trials.len(),
        if trials.is_empty() { "none" } else { "only one" }
    );
    Ok((trials, misfits))
}

/// Joins what jobs have left in a folder: the chosen network's configuration, what was found as JSON, and the page.
///
/// # Errors
/// When the folder holds no search, when jobs are missing, or when files cannot be read or written.
pub fn join(dir: &SearchDir) -> Result<Outcome> {
    let plan = dir.plan()?;
    let plan = plan.with_context(|| {
        format!("{} holds no search: give the folder that `search --out` made", dir.path().display())
    })?;
    let found = outcome(dir, &plan)?;
    let chosen = toml::to_string(&plan.config(found.chosen, FINAL)?)?;
    atomic::write(&dir.file(CHOSEN_FILE), chosen.as_bytes())?;
    atomic::write(&dir.file("report.json"), serde_json::to_string_pretty(&found)?.as_bytes())?;
    let page = pages::search(&found, plan.images.config()?.seed)?;
    atomic::write(&dir.file(pages::REPORT_FILE), page.as_bytes())?;
    Ok(found)
}
