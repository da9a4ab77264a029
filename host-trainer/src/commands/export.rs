//! `export`: a blob becomes a TensorFlow Lite file, or a C header that holds it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use model_compiler::export::{c_header, tflite};
use model_training::measure::evaluate::{parse, read_blob};
use model_training::run::folder::RunDir;
use model_training::system::atomic;
use no_std_infer::Model;

use super::refuse_overwriting;

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// The blob, or the folder that `train` made.
    model: PathBuf,
    /// File for a TensorFlow Lite model, whose int8 bytes LiteRT's reference kernels give as the blob does.
    #[arg(long, value_name = "FILE.tflite", required_unless_present = "c_header")]
    tflite: Option<PathBuf>,
    /// File for a C header with the blob and what a program needs to know to run it.
    #[arg(long, value_name = "FILE.h")]
    c_header: Option<PathBuf>,
}

pub(super) fn run(args: &ExportArgs) -> Result<ExitCode> {
    let (_, path) = RunDir::or_blob(&args.model);
    let blob = read_blob(&path)?;
    let model = parse(&blob, &path)?;
    for (out, option) in [(&args.tflite, "--tflite"), (&args.c_header, "--c-header")] {
        out.as_ref().map_or(Ok(()), |out| refuse_overwriting(&path, out, option))?;
    }
    if let Some(out) = &args.tflite {
        write_tflite(&model, &path, out)?;
    }
    if let Some(out) = &args.c_header {
        let name = out.file_stem().unwrap_or_default().to_string_lossy();
        atomic::write(out, c_header(&model, &blob, &name).as_bytes())?;
        println!("{}: {} bytes as an array, {} bytes of arena", out.display(), blob.len(), model.arena_len());
    }
    Ok(ExitCode::SUCCESS)
}

fn write_tflite(model: &Model<'_>, path: &Path, out: &Path) -> Result<()> {
    let exported = tflite(model).with_context(|| format!("{} cannot be exported", path.display()))?;
    atomic::write(out, &exported.bytes)?;
    println!("{}: {} bytes, {} operators of the blob", out.display(), exported.bytes.len(), model.ops().count());
    exported.notes.iter().for_each(|note| println!("  {note}"));
    Ok(())
}
