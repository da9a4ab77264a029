//! `run`: a blob on raw int8 tensors.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Args;
use model_compiler::aligned::Aligned;
use model_compiler::layout::stripes::Layers;
use model_training::measure::evaluate::{infer_all, parse, read_blob};
use model_training::system::{atomic, read};
use no_std_infer::{Interpreter, Model};
use rayon::prelude::*;

use super::arguments::CostArgs;
use super::import::real_text;
use super::refuse_overwriting;

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The blob.
    blob: PathBuf,
    /// Inputs, one after the other: int8, height by width by channels.
    #[arg(long, value_name = "FILE.i8")]
    input: PathBuf,
    /// Where the outputs of the last layer go, one after the other.
    #[arg(long, value_name = "FILE.i8")]
    output: PathBuf,
    /// Folder for what each layer makes of the first input: `NN_operator.i8`.
    #[arg(long, value_name = "DIR")]
    layers: Option<PathBuf>,
    #[command(flatten)]
    cost: CostArgs,
}

pub(super) fn run(args: &RunArgs) -> Result<ExitCode> {
    refuse_overwriting(&args.input, &args.output, "--output")?;
    refuse_overwriting(&args.blob, &args.output, "--output")?;
    let blob = read_blob(&args.blob)?;
    let model = parse(&blob, &args.blob)?;
    args.cost.check(&model)?;
    let len = model.info().input.tensor.len();
    let name = args.input.display();
    let bytes = read::bytes(&args.input, read::DATA).with_context(|| format!("cannot read the input {name}"))?;
    ensure!(
        !bytes.is_empty() && bytes.len().is_multiple_of(len),
        "{name} has {} bytes, which is no multiple of {len}, the length of the model's input: give whole inputs, one \
         after the other",
        bytes.len()
    );
    let inputs: Vec<Vec<i8>> = bytes.chunks_exact(len).map(signed).collect();
    let outputs = infer_all(&model, inputs.par_iter());
    let outputs: Vec<u8> = outputs.iter().flat_map(|made| &made.output).map(|&value| value as u8).collect();
    if let (Some(folder), Some(first)) = (&args.layers, inputs.first()) {
        let layers = write_layers(&model, &Layers::of(&blob, &model)?, first, folder)?;
        println!("{layers} tensors of the first input are in {}", folder.display());
    }
    atomic::write(&args.output, &outputs)?;
    let tensor = model.output();
    println!(
        "{} x {} bytes are in {}: {}x{}x{}, {}",
        inputs.len(),
        tensor.len(),
        args.output.display(),
        tensor.height,
        tensor.width,
        tensor.channels,
        real_text(tensor.scale, tensor.zero_point)
    );
    Ok(ExitCode::SUCCESS)
}

fn signed(bytes: &[u8]) -> Vec<i8> {
    bytes.iter().map(|&byte| byte as i8).collect()
}

/// Writes what each layer makes of one input; gives the number of layers.
fn write_layers(model: &Model<'_>, layers: &Layers, input: &[i8], folder: &Path) -> Result<usize> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let mut arena = Aligned::new(model.arena_len());
    let mut interpreter = Interpreter::new(*model, &mut arena).context("the arena does not fit the model")?;
    interpreter.input_mut().copy_from_slice(input);
    let (names, mut outputs) = (model.ops().map(|op| op.name()).collect::<Vec<_>>(), Vec::new());
    interpreter.run_profiled(|_, bytes| outputs.push(bytes.to_vec()));
    let outputs = layers.outputs(&outputs);
    for (index, (name, output)) in layers.join(&names, |_, _| ()).into_iter().zip(&outputs).enumerate() {
        let bytes: Vec<u8> = output.iter().map(|&value| value as u8).collect();
        atomic::write(&folder.join(format!("{index:02}_{name}.i8")), &bytes)?;
    }
    Ok(outputs.len())
}
