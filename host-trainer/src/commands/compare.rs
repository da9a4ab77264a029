//! `compare`: two runs on the same images, paired.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use crate::measure::predictions::{PREDICTIONS_FILE, Predictions};
use crate::measure::scores::Paired;

#[derive(Debug, Args)]
pub(super) struct CompareArgs {
    /// Folder that `cv` or `train` made.
    first: PathBuf,
    /// Another one, of the same images and split.
    second: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &CompareArgs) -> Result<ExitCode> {
    let paired = Paired::new(&predictions(&args.first)?, &predictions(&args.second)?)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&paired)?);
    } else {
        print!("{}", paired.to_text());
    }
    Ok(ExitCode::SUCCESS)
}

fn predictions(dir: &Path) -> Result<Predictions> {
    Predictions::load(&dir.join(PREDICTIONS_FILE)).with_context(|| {
        format!(
            "{} cannot be compared: give a folder that `train` made, or `cv` when its folds are joined",
            dir.display()
        )
    })
}
