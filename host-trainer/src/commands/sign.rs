//! `sign`: gives a blob a number and a signature.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use model_training::measure::evaluate::{parse, read_blob};
use model_training::system::atomic;

use crate::device::keys::{exposure, read_key};
use crate::device::signing::{Signer, sign};

#[derive(Debug, Args)]
pub(super) struct SignArgs {
    /// The blob.
    blob: PathBuf,
    /// File with the private key, made by `keygen` or `openssl genpkey -algorithm ed25519`.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The model's number: greater than that of every model that devices have run.
    #[arg(long)]
    number: u32,
    /// File for the signed blob; without it the blob itself is replaced.
    #[arg(long)]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &SignArgs) -> Result<ExitCode> {
    let key = read_key(&args.key)?;
    if let Some(note) = exposure(&args.key) {
        tracing::warn!("{note}");
    }
    let blob = read_blob(&args.blob)?;
    parse(&blob, &args.blob)?;
    let signed = sign(&blob, &key, args.number)?;
    let path = args.out.as_ref().unwrap_or(&args.blob);
    atomic::write(path, &signed)?;
    if let Some(Signer { number, key, .. }) = Signer::of(&signed) {
        println!("{}: model number {number}, signed with the key {key}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}
