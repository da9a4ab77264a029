//! `search`: small networks that fit a board, by jobs over a shared folder.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Args;
use model_training::config::{Config, TargetConfig};
use model_training::measure::search::CHOSEN_FILE;
use model_training::run::recipe::search::{FINAL, SearchDir};
use model_training::system::hints::{program, quoted};

use super::arguments::{CacheArgs, ComputeArgs, GroupArgs};
use super::refuse_among_pictures;
use crate::report::pages;
use crate::report::search::{Asked, Next, Search, join};

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
    ensure!((2..=1000).contains(&args.trials), "--trials is {}, but must be 2 to 1000", args.trials);
    let seeded = Config { seed: args.seed, ..Config::default() };
    let whole = args.groups.open_whole(data, &seeded, &args.cache)?;
    let TargetArgs { target, flash, ram, milliseconds } = &args.target;
    let target = TargetConfig { board: target.clone(), flash: *flash, ram: *ram, milliseconds: *milliseconds };
    let asked = Asked { trials: args.trials, epochs: args.epochs, seed: args.seed, target };
    let mut search = Search::open(&asked, whole, dir.clone(), compute)?;
    let Some(trial) = args.trial else {
        search.all()?;
        return collect(&dir, args.json);
    };
    match search.next_stage(trial)? {
        Next::Waits => println!("trial {trial} waits for others: run it again when they have come as far"),
        Next::Left => println!("trial {trial} was left: others are better or cheaper"),
        Next::Done(stage) => println!("trial {trial} has done stage {stage} of 0 to {FINAL}"),
        Next::Ended => println!("trial {trial} has come to the end"),
    }
    println!("when all trials have come to the end:  {} search --collect {}", program(), quoted(dir.path()));
    Ok(ExitCode::SUCCESS)
}

fn collect(dir: &SearchDir, json: bool) -> Result<ExitCode> {
    let found = join(dir)?;
    if json {
        println!("{}", serde_json::to_string_pretty(&found)?);
        return Ok(ExitCode::SUCCESS);
    }
    found.verdict().iter().for_each(|sentence| println!("{sentence}"));
    print!("\n{}", found.to_text());
    println!("\nSee them:  {}", quoted(&dir.file(pages::REPORT_FILE)));
    let config = quoted(&dir.file(CHOSEN_FILE));
    println!(
        "Train the chosen one on all pictures:  {} train --data PICTURES --config {config} --out RUN_DIR",
        program()
    );
    Ok(ExitCode::SUCCESS)
}
