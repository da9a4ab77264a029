//! A table of TensorFlow Lite models that the user has: `models FILE.tflite...` imports each and says how many bytes of the outputs
//! are those of LiteRT's reference kernels, what the blob takes of flash and RAM, and how many instructions a Cortex-M4 in QEMU
//! executes. `$PYTHON` names a Python that has LiteRT. A model that is not imported has the reason in place of figures.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use host_trainer::device::{self, Device};
use model_compiler::blob::emit::{Description, emit};
use model_compiler::import;
use no_std_infer::Model;
use no_std_infer::format::{InputKind, Provenance, Tensor};
use no_std_infer::kernels::Generic;
use tests::results::grouped;

/// Random inputs that both engines get.
const INPUTS: usize = 16;
/// Most characters of a reason in a cell.
const TEXT_MAX: usize = 120;

fn main() -> Result<ExitCode> {
    let files: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    ensure!(!files.is_empty(), "models FILE.tflite...");
    let width = files.iter().map(|file| name(file).len()).max().unwrap_or(0);
    println!("| {:width$} | bytes equal to LiteRT's | arena, bytes | flash, bytes | Cortex-M4 instructions |", "model");
    println!("|{}|---:|---:|---:|---:|", "-".repeat(width + 2));
    let mut equal = true;
    for file in &files {
        let cells = row(file, &mut equal).unwrap_or_else(|error| [begun(&error), "-".into(), "-".into(), "-".into()]);
        println!("| {:width$} | {} |", name(file), cells.join(" | "));
    }
    Ok(if equal { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How an error's text begins.
fn begun(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    if text.chars().count() > TEXT_MAX { text.chars().take(TEXT_MAX).chain(['…']).collect() } else { text }
}

fn name(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// The cells of a model behind its name. An error says why it is not imported or not compared.
fn row(file: &Path, all_equal: &mut bool) -> Result<[String; 4]> {
    let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
    let lowered = import::int8(&bytes)?;
    let description =
        Description { name: &name(file), labels: &[], input: InputKind::Tensor, provenance: Provenance::default() };
    let blob = emit(&lowered.model, &description)?.blob;
    let model = Model::parse(&blob)?;
    let mut rng = Rng::with_seed(1);
    let inputs: Vec<Vec<i8>> =
        (0..INPUTS).map(|_| (0..model.info().input.tensor.len()).map(|_| rng.i8(..)).collect()).collect();
    let ours: Vec<i8> =
        inputs.iter().flat_map(|input| tests::outputs::<Generic>(&model, input).pop().unwrap_or_default()).collect();
    let compared = match litert(file, &inputs.concat(), [model.info().input.tensor, model.output()]) {
        Ok(theirs) => {
            let equal = ours.iter().zip(&theirs).filter(|(ours, theirs)| ours == theirs).count();
            *all_equal &= equal == ours.len() && ours.len() == theirs.len();
            format!("{} of {}", grouped(equal as u64), grouped(theirs.len() as u64))
        }
        Err(error) => begun(&error),
    };
    let instructions = match device::missing() {
        Some(_) => "-".to_owned(),
        None => Device::start(&blob)
            .and_then(|mut device| device.infer(&inputs[0]))
            .map_or_else(|_| "does not fit".to_owned(), |result| grouped(result.total)),
    };
    Ok([compared, grouped(model.arena_len() as u64), grouped(blob.len() as u64), instructions])
}

/// What LiteRT's reference kernels make of inputs, as the int8 bytes behind the edges of the file.
fn litert(file: &Path, inputs: &[i8], edges: [Tensor; 2]) -> Result<Vec<i8>> {
    let folder = tempfile::tempdir()?;
    let [given, made] = ["inputs.i8", "outputs.i8"].map(|name| folder.path().join(name));
    std::fs::write(&given, inputs.iter().map(|&value| value as u8).collect::<Vec<u8>>())?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("differential/outputs.py");
    let mut command = Command::new(std::env::var_os("PYTHON").unwrap_or("python3".into()));
    command.arg(script).args([file, given.as_path(), made.as_path()]);
    for edge in edges {
        command.args([edge.scale.to_string(), edge.zero_point.to_string()]);
    }
    let output = command.output().context("there is no Python: PYTHON names one that has LiteRT")?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "not compared: {}", told.trim().lines().last().unwrap_or_default());
    Ok(std::fs::read(made)?.into_iter().map(|byte| byte as i8).collect())
}
