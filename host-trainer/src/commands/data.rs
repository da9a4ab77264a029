//! `data`: what there is to know about a folder of images before one trains on it.

mod labels;

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use model_training::data::copies::{Report, find, page, samples};
use model_training::data::dataset::{BadFiles, COPIES_FILE, Dataset, GROUPS_FILE};
use model_training::data::progress;
use model_training::system::atomic;
use model_training::system::hints::quoted;
use model_training::system::terminal::escaped;

use super::arguments::ThreadArgs;

#[derive(Debug, Args)]
pub(super) struct DataArgs {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Debug, Subcommand)]
enum DataCommand {
    /// Finds pictures that were made from one photograph by mirroring, cropping, scaling, turning or brightening. Writes
    /// `groups.csv`, which `train` uses, and `copies.html`, which shows them.
    Check(CheckArgs),
    /// Finds labels that may be wrong by what a cross-validation's models say of pictures that they were not trained on, shows them
    /// on a page where a key corrects each, and moves the files that were corrected.
    Labels(labels::LabelsArgs),
}

#[derive(Debug, Args)]
struct CheckArgs {
    /// Folder of images: `train`, `valid` and `test` folders of class folders, or class folders alone.
    #[arg(value_name = "DIR")]
    data: PathBuf,
    /// Folder for what is written; without it the data folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write over a `groups.csv` that is there.
    #[arg(long)]
    overwrite: bool,
    /// CSV file with the columns `path` and `group` to compare the result with.
    #[arg(long, value_name = "FILE.csv")]
    against: Option<PathBuf>,
    /// Go on without files that cannot be read.
    #[arg(long)]
    skip_bad: bool,
    #[command(flatten)]
    threads: ThreadArgs,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &DataArgs) -> Result<ExitCode> {
    match &args.command {
        DataCommand::Check(args) => args.threads.run(|| check(args)),
        DataCommand::Labels(args) => labels::run(args),
    }
}

fn check(args: &CheckArgs) -> Result<ExitCode> {
    let mut dataset = Dataset::list(&args.data, args.against.as_deref())?;
    let out = args.out.as_ref().unwrap_or(&dataset.root).clone();
    let (groups_file, page_file) = (out.join(GROUPS_FILE), out.join(COPIES_FILE));
    ensure!(
        args.overwrite || !groups_file.exists(),
        "{} is there already and may hold corrections of yours: pass `--overwrite` to lose them, or `--out DIR` for \
         another folder",
        groups_file.display()
    );
    std::fs::create_dir_all(&out).with_context(|| format!("cannot make the folder {}", out.display()))?;

    let mut files: Vec<PathBuf> = samples(&dataset).into_iter().map(|(_, sample)| sample.path(&dataset.root)).collect();
    progress::tell(files.len(), "pictures");
    let bar = progress::bar(files.len(), "pictures");
    let found = find(&files, &|done, _| bar.set_position(done as u64));
    bar.finish_and_clear();
    if !found.bad.is_empty() {
        if !args.skip_bad {
            return Err(BadFiles { files: found.bad }.into());
        }
        found
            .bad
            .iter()
            .for_each(|(path, reason)| tracing::info!("skipped: {} {reason}", escaped(&path.display().to_string())));
        let bad: HashSet<&PathBuf> = found.bad.iter().map(|(path, _)| path).collect();
        for split in [&mut dataset.train, &mut dataset.valid, &mut dataset.test] {
            split.retain(|sample| !bad.contains(&sample.path(&dataset.root)));
        }
        files.retain(|file| !bad.contains(file));
    }

    let report = Report::new(&dataset, &found.links);
    let title = format!("Copies in {}", args.data.display());
    atomic::write(&page_file, page(&title, &report, &files)?.as_bytes())?;
    atomic::write(&groups_file, &report.to_csv()?)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        dataset.notes.iter().for_each(|note| tracing::warn!("{note}"));
        print!("{}", report.to_text());
        println!("See them:  {}", quoted(&page_file));
        println!("`train` keeps the groups of {} on one side of the split", groups_file.display());
    }
    Ok(ExitCode::SUCCESS)
}
