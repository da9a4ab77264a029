//! `keygen`: a key to sign blobs with.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::device::keys::generate;

#[derive(Debug, Args)]
pub(super) struct KeygenArgs {
    /// File for the private key (PKCS#8 in PEM), which only you may read. The public key goes into `FILE.pub` (SPKI in PEM):
    /// firmware that is built with its path in `MODEL_KEY` takes signed blobs only.
    #[arg(value_name = "FILE")]
    path: PathBuf,
    /// Write over files that are there. Devices with the old key take no more updates from you.
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: &KeygenArgs) -> Result<ExitCode> {
    let (public, fingerprint) = generate(&args.path, args.force)?;
    println!("private key {}: keep it, and keep it secret", args.path.display());
    println!("public key {}, fingerprint {fingerprint}", public.display());
    Ok(ExitCode::SUCCESS)
}
