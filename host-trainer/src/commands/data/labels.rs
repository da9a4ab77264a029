//! `data labels`: labels that may be wrong, and corrections of them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use model_training::data::relabel::{Move, Relabelling};
use model_training::measure::comparison::text_table;
use model_training::measure::labels::Suspects;
use model_training::measure::predictions::{PREDICTIONS_FILE, Predictions};
use model_training::run::cross_validation::CvDir;
use model_training::run::folder::RunDir;
use model_training::system::atomic;
use model_training::system::files::RECORD_FILE;
use model_training::system::hints::{command, quoted};
use model_training::system::spreadsheet::cell;
use model_training::system::terminal::escaped;

use crate::report::pages::{caution, in_words, suspected_labels};

/// Name of the page.
const PAGE_FILE: &str = "suspects.html";
/// Name of the list.
const LIST_FILE: &str = "suspects.csv";
/// Suspects that are printed.
const PRINTED: usize = 20;

#[derive(Debug, Args)]
pub(super) struct LabelsArgs {
    /// Folder that `cv` made, or `train`, of whose images only those that it has not learnt from are looked at. The page and the
    /// list are written into it.
    #[arg(value_name = "RUN", required_unless_present = "apply")]
    run: Option<PathBuf>,
    /// Move images into the folders of other classes: a CSV file with the columns `path`, `label` and `to`, as the page makes it.
    /// Without `--yes` it is only said what would move.
    #[arg(long, value_name = "FILE.csv", requires = "data", conflicts_with_all = ["run", "json"])]
    apply: Option<PathBuf>,
    /// Folder of the images that move, or where those of the run are now.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// File of groups whose paths change with the images, where it is not `groups.csv` in the data folder.
    #[arg(long, value_name = "FILE.csv", requires = "apply")]
    groups: Option<PathBuf>,
    /// Do move them. Corrections that undo it are written beside the file.
    #[arg(long, requires = "apply")]
    yes: bool,
    /// Print all suspects as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &LabelsArgs) -> Result<ExitCode> {
    match (&args.apply, &args.run) {
        (Some(corrections), _) => apply(args, corrections),
        (None, Some(run)) => find(args, run),
        (None, None) => anyhow::bail!("give the folder of a run, or corrections to `--apply`"),
    }
}

fn find(args: &LabelsArgs, run: &Path) -> Result<ExitCode> {
    let predictions = Predictions::load(&run.join(PREDICTIONS_FILE)).with_context(|| {
        format!("give a folder that `train` made, or `cv` with all folds; {} is none", run.display())
    })?;
    let found = Suspects::new(&predictions);
    let root = args.data.clone().map_or_else(|| root(run), Ok)?;
    let [page, list] = [PAGE_FILE, LIST_FILE].map(|name| run.join(name));
    atomic::write(&page, suspected_labels(&found, &root)?.as_bytes())?;
    atomic::write(&list, &to_csv(&found)?)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&found)?);
        return Ok(ExitCode::SUCCESS);
    }
    println!("{}", in_words(&found));
    caution(&found).iter().for_each(|caution| println!("{caution}"));
    let mut table = text_table(&["image", "label", "the models say", "of label", "of said"], 3);
    for suspect in found.suspects.iter().take(PRINTED) {
        let [label, said] = [suspect.label, suspect.said].map(|class| escaped(&found.classes[class]).to_string());
        let shares = [suspect.of_label, suspect.of_said].map(|share| format!("{share:.2}"));
        let path = escaped(&suspect.paths[0]).to_string();
        table.add_row([path, label, said].into_iter().chain(shares));
    }
    println!("\n{}\n", table.trim_fmt());
    println!("See them, and correct those that are wrong:  {}", quoted(&page));
    println!("All of them:  {}", quoted(&list));
    Ok(ExitCode::SUCCESS)
}

/// Where a run's images are.
fn root(run: &Path) -> Result<PathBuf> {
    let folder = if run.join(RECORD_FILE).exists() { RunDir::new(run) } else { CvDir::new(run).fold(0) };
    Ok(folder.record()?.root)
}

/// The suspects in the form of corrections, as if all were right.
fn to_csv(found: &Suspects) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["path", "label", "to", "of_label", "of_said", "margin"])?;
    for suspect in &found.suspects {
        let [label, said] = [suspect.label, suspect.said].map(|class| cell(&found.classes[class]));
        let numbers = [suspect.of_label, suspect.of_said, suspect.margin].map(|number| format!("{number:.4}"));
        for path in &suspect.paths {
            let texts = [cell(path), label.clone(), said.clone()].map(String::from);
            writer.write_record(texts.into_iter().chain(numbers.clone()))?;
        }
    }
    Ok(writer.into_inner()?)
}

fn apply(args: &LabelsArgs, corrections: &Path) -> Result<ExitCode> {
    let data = args.data.as_deref().context("`--data DIR` is missing")?;
    let planned = Relabelling::plan(data, corrections, args.groups.as_deref())?;
    for Move { from, into, .. } in &planned.moves {
        println!("{} -> {}", escaped(from), escaped(into));
    }
    if planned.done > 0 {
        println!("{} have moved already", planned.done);
    }
    let count = planned.moves.len();
    if count == 0 {
        println!("no image moves");
    } else if args.yes {
        let undo = corrections.with_extension("undo.csv");
        planned.apply(&undo)?;
        println!("{count} images have moved; to undo it:  --apply {}", quoted(&undo));
        println!("Runs on these images from before are of other labels: train and cross-validate again.");
    } else {
        println!("{count} images would move; to move them:  {} --yes", command());
    }
    Ok(ExitCode::SUCCESS)
}
