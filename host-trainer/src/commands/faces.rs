//! `faces`: draws the built-in data set.

use std::process::ExitCode;

use anyhow::Result;

use super::FacesArgs;
use crate::faces::{PerClass, generate};

pub(super) fn run(args: &FacesArgs) -> Result<ExitCode> {
    let counts = PerClass { train: args.train, valid: args.valid, test: args.test };
    generate(&args.out, args.seed, &counts, args.size)?;
    let images = (args.train + args.valid + args.test) * crate::faces::CLASSES.len();
    println!("{images} drawings of {0} x {0} pixels are in {1}", args.size, args.out.display());
    Ok(ExitCode::SUCCESS)
}
