//! `dev faces`: draws the built-in data set.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use model_training::data::faces::{PerClass, Shift, generate_shifted};

#[derive(Debug, Args)]
pub(super) struct FacesArgs {
    /// Folder for the drawings.
    #[arg(long)]
    out: PathBuf,
    /// Width and height in pixels.
    #[arg(long, default_value_t = 64)]
    size: u32,
    /// Seed of the drawings.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Training drawings of each class.
    #[arg(long, default_value_t = 1000)]
    train: usize,
    /// Validation drawings of each class.
    #[arg(long, default_value_t = 100)]
    valid: usize,
    /// Test drawings of each class.
    #[arg(long, default_value_t = 150)]
    test: usize,
    /// Draw them as another camera sees them, for a test on pictures unlike those of the training.
    #[arg(long, value_enum)]
    shift: Option<Shift>,
}

pub(super) fn run(args: &FacesArgs) -> Result<ExitCode> {
    let counts = PerClass { train: args.train, valid: args.valid, test: args.test };
    generate_shifted(&args.out, args.seed, &counts, args.size, args.shift)?;
    let images = (args.train + args.valid + args.test) * model_training::data::faces::CLASSES.len();
    println!("{images} drawings of {0} x {0} pixels are in {1}", args.size, args.out.display());
    Ok(ExitCode::SUCCESS)
}
