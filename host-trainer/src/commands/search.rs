//! `search`: small networks that fit a board, by jobs over a shared folder.

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use model_training::config::{Config, TargetConfig};
use model_training::data::dataset::Dataset;
use model_training::measure::search::{CHOSEN_FILE, Costs, PARTS, Point, RUNGS};
use model_training::run::cross_validation::Plan as Folds;
use model_training::run::folder::RunDir;
use model_training::run::recipe::search::{
    FINAL, Plan, SearchDir, Trial, config, is_scored, last_split, outcome, points,
};
use model_training::run::recipe::{Chooser, Common, Look, Pictures};
use model_training::system::atomic;
use model_training::system::hints::{program, quoted};
use model_training::training;

use super::arguments::{CacheArgs, ComputeArgs, GroupArgs};
use super::refuse_among_pictures;
use crate::device::target::Target;
use crate::report::pages;
use crate::report::plan::Plan as Network;
use crate::report::train::train_split;

/// How long to wait for other processes before looking again.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub(super) struct SearchArgs {
    /// Folder of images; all of them take part, whatever split they are in. A fifth is never seen by the search, and says how
    /// good the networks are that it ends with.
    #[arg(long, required_unless_present = "collect")]
    data: Option<PathBuf>,
    #[command(flatten)]
    target: TargetArgs,
    /// Folder for the search. What was interrupted goes on, what is there stays, and several processes with the same folder share
    /// the work.
    #[arg(long, value_name = "SEARCH_DIR", required_unless_present = "collect")]
    out: Option<PathBuf>,
    /// Number of networks that are tried. A quarter of the epochs is spent on each, then half of them on half of these, then all
    /// on half of these.
    #[arg(long, default_value_t = 16)]
    trials: usize,
    /// Passes over the images in the last rung; without it they follow from the number of pictures.
    #[arg(long, value_name = "COUNT")]
    epochs: Option<usize>,
    /// Seed of the networks' choice, the folds and the training.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Do the next stage of this trial only, from 0: for arrays of jobs.
    #[arg(long, value_name = "K")]
    trial: Option<usize>,
    /// Join what jobs have left in this folder.
    #[arg(
        long,
        value_name = "SEARCH_DIR",
        conflicts_with_all = ["data", "TargetArgs", "out", "groups", "trials", "epochs", "seed", "trial"]
    )]
    collect: Option<PathBuf>,
    #[command(flatten)]
    groups: GroupArgs,
    #[command(flatten)]
    cache: CacheArgs,
    #[command(flatten)]
    compute: ComputeArgs,
    /// Print what was found as JSON.
    #[arg(long)]
    json: bool,
}

/// What the networks are to run on.
#[derive(Debug, Args)]
struct TargetArgs {
    /// Board that they are to run on, by the name that `estimate` has for it.
    #[arg(long, value_name = "BOARD")]
    target: Option<String>,
    /// Most KiB of flash for the blob, in place of what the board leaves.
    #[arg(long, value_name = "KIB")]
    flash: Option<u32>,
    /// Most KiB of RAM for the arena, in place of what the board leaves.
    #[arg(long, value_name = "KIB")]
    ram: Option<u32>,
    /// Most milliseconds of an inference on the board.
    #[arg(long, value_name = "MS", requires = "target")]
    milliseconds: Option<f64>,
}

pub(super) fn run(args: &SearchArgs) -> Result<ExitCode> {
    match &args.collect {
        Some(dir) => collect(&SearchDir::new(dir), args.json),
        None => args.compute.threads.run(|| search(args)),
    }
}

fn search(args: &SearchArgs) -> Result<ExitCode> {
    let compute = args.compute.options(false)?;
    let data = args.data.as_deref().context("`--data DIR` is missing")?;
    let dir = SearchDir::new(args.out.as_deref().context("`--out SEARCH_DIR` is missing")?);
    refuse_among_pictures(data, dir.path())?;
    let seeded = Config { seed: args.seed, ..Config::default() };
    let whole = args.groups.open_whole(data, &seeded, &args.cache)?;
    let mut pictures = Pictures::new(whole.clone());
    let plan = plan(args, &whole, &dir, &mut pictures)?;
    let mut search = Search { plan, pictures, whole, dir, compute };
    match args.trial {
        Some(trial) => {
            search.next_stage(trial)?;
            let out = quoted(search.dir.path());
            println!("when all trials have come to the end:  {} search --collect {out}", program());
            Ok(ExitCode::SUCCESS)
        }
        None => {
            (0..=FINAL).try_for_each(|stage| search.stage(stage))?;
            collect(&search.dir, args.json)
        }
    }
}

/// The plan in the folder, or a new one.
fn plan(args: &SearchArgs, whole: &Dataset, dir: &SearchDir, pictures: &mut Pictures) -> Result<Plan> {
    let compute = args.compute.options(false)?;
    ensure!((2..=1000).contains(&args.trials), "--trials is {}, but must be 2 to 1000", args.trials);
    let TargetArgs { target, flash, ram, milliseconds } = &args.target;
    let target = TargetConfig { board: target.clone(), flash: *flash, ram: *ram, milliseconds: *milliseconds };
    let base = Config { seed: args.seed, target: Some(target.clone()), ..Config::default() };
    let mut asked = base.clone();
    asked.train.epochs = args.epochs.unwrap_or(asked.train.epochs);
    asked.validate()?;
    let images =
        Folds::new(whole, &base, PARTS).context("a search keeps one of five parts of the images for the end")?;
    if dir.plan()?.is_none() {
        let look = Look::new(whole);
        let (trials, misfits) = trials((&base, &look, args.trials), &whole.classes, &Target::new(&target)?)?;
        let run = RunDir::new(dir.path());
        let flips = Chooser::new(&run, &base, last_split(whole, &images)?, compute).flips(&look, pictures)?;
        let epochs = args.epochs;
        dir.begin(&Plan { images: images.clone(), asked: args.trials, epochs, look, flips, trials, misfits })?;
    }
    let plan = dir.plan()?.context("the plan was just written")?;
    dir.check(&plan.changes(&images, args.trials, args.epochs)?)?;
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

/// A search under way.
struct Search {
    dir: SearchDir,
    plan: Plan,
    whole: Dataset,
    pictures: Pictures,
    compute: training::Options,
}

impl Search {
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
    fn next_stage(&mut self, trial: usize) -> Result<()> {
        let last = self.plan.trials.len() - 1;
        ensure!(trial <= last, "there is no trial {trial}: the trials are 0 to {last}");
        for stage in 0..=FINAL {
            let Some(admitted) = self.dir.admitted(&self.plan, stage)? else {
                println!("trial {trial} waits for others: run it again when they have come as far");
                return Ok(());
            };
            if !admitted.contains(&trial) {
                println!("trial {trial} was left: others are better or cheaper");
                return Ok(());
            }
            if !self.dir.is_scored(trial, stage) {
                ensure!(self.job(trial, stage)?, "another process does this stage of trial {trial}");
                println!("trial {trial} has done stage {stage} of 0 to {FINAL}");
                return Ok(());
            }
        }
        println!("trial {trial} has come to the end");
        Ok(())
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

fn collect(dir: &SearchDir, json: bool) -> Result<ExitCode> {
    let shown = dir.path().display();
    let plan = dir.plan()?;
    let plan = plan.with_context(|| format!("{shown} holds no search: give the folder that `search --out` made"))?;
    let found = outcome(dir, &plan)?;
    let chosen = toml::to_string(&plan.config(found.chosen, FINAL)?)?;
    atomic::write(&dir.file(CHOSEN_FILE), chosen.as_bytes())?;
    let text = serde_json::to_string_pretty(&found)?;
    atomic::write(&dir.file("report.json"), text.as_bytes())?;
    let page = dir.file(pages::REPORT_FILE);
    atomic::write(&page, pages::search(&found, plan.images.config()?.seed)?.as_bytes())?;
    if json {
        println!("{text}");
        return Ok(ExitCode::SUCCESS);
    }
    found.verdict().iter().for_each(|sentence| println!("{sentence}"));
    print!("\n{}", found.to_text());
    println!("\nSee them:  {}", quoted(&page));
    let config = quoted(&dir.file(CHOSEN_FILE));
    println!(
        "Train the chosen one on all pictures:  {} train --data PICTURES --config {config} --out RUN_DIR",
        program()
    );
    Ok(ExitCode::SUCCESS)
}
