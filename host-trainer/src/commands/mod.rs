//! The program's commands: what each takes; one file a command does it.

mod bench;
mod compare;
mod cv;
mod demo;
mod device_bench;
mod estimate;
mod eval;
mod faces;
mod import;
mod import_float;
mod inspect;
mod parity;
mod predict;
mod quantize;
mod run;
mod train;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{Method, Preset};
use crate::dataset::View;
use crate::device::Core;
use crate::import::kind::InputChoice;
use crate::training::DeviceKind;

/// Train an image classifier on a laptop, turn it into one file, and prove that a microcontroller computes the same.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything in five minutes: draws pictures, trains on them, quantises, checks parity.
    Demo(DemoArgs),
    /// Trains on a folder of images and writes the blob.
    Train(TrainArgs),
    /// Quantises a trained run again and writes the blob.
    Quantize(QuantizeArgs),
    /// Cross-validates: trains a network for each fold of the images and scores it on that fold, with intervals over groups.
    Cv(cv::CvArgs),
    /// Compares two runs on the same images, with intervals over groups.
    Compare(compare::CompareArgs),
    /// Compares float, int8 on this machine and int8 on the device, image by image.
    Parity(ParityArgs),
    /// Accuracy of a blob on a folder of images. Macro F1 is the mean over the classes that have images or are predicted,
    /// as in scikit-learn.
    Eval(EvalArgs),
    /// Classifies images.
    Predict(PredictArgs),
    /// Shows what is in a blob.
    Inspect(InspectArgs),
    /// Turns a TensorFlow Lite model into a blob.
    Import(ImportArgs),
    /// Runs a blob on raw int8 tensors.
    Run(RunArgs),
    /// Measures the time of an inference.
    Bench(BenchArgs),
    /// Counts what layers and models cost on the emulated device, beside what others need.
    DeviceBench(DeviceBenchArgs),
    /// Estimates how long a blob takes on a board, and whether it fits.
    Estimate(EstimateArgs),
    /// Draws the built-in data set.
    Faces(FacesArgs),
}

/// Refuses to write over a file that the command reads.
fn refuse_overwriting(read: &Path, written: &Path, option: &str) -> Result<()> {
    ensure!(!is_same(read, written), "{option} names {}, which is read: give another file", written.display());
    Ok(())
}

/// Whether two paths lead to one file or folder that exists.
fn is_same(a: &Path, b: &Path) -> bool {
    a.canonicalize().ok().zip(b.canonicalize().ok()).is_some_and(|(a, b)| a == b)
}

/// Does what the command line says. The exit code is a failure when a bound is missed.
///
/// # Errors
/// When it cannot be done.
pub fn run(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Command::Demo(args) => demo::run(&args),
        Command::Train(args) => train::run(&args),
        Command::Quantize(args) => quantize::run(&args),
        Command::Cv(args) => cv::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Parity(args) => parity::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Predict(args) => predict::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::DeviceBench(args) => device_bench::run(&args),
        Command::Estimate(args) => estimate::run(&args),
        Command::Faces(args) => faces::run(&args),
    }
}

#[derive(Debug, Args)]
struct DemoArgs {
    /// Folder for the drawings and the run.
    #[arg(long, default_value = "runs/demo")]
    out: PathBuf,
    /// Network.
    #[arg(long, value_enum, default_value = "resnet8")]
    preset: Preset,
    /// Threads; 0 is one for each core.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Fail when fewer of 100 test drawings are classified right.
    #[arg(long, value_name = "PERCENT")]
    min_accuracy: Option<f64>,
}

#[derive(Debug, Args)]
struct TrainArgs {
    /// Folder of images: `train`, `valid` and `test` folders of class folders, or class folders alone.
    #[arg(long, required_unless_present = "resume")]
    data: Option<PathBuf>,
    /// Configuration; without it every entry has its default.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Folder for everything that the run makes.
    #[arg(long, value_name = "RUN_DIR", required_unless_present = "resume")]
    out: Option<PathBuf>,
    /// CSV file with the columns `path` and `group`: images of a group stay on one side of the split.
    #[arg(long, value_name = "FILE.csv")]
    groups: Option<PathBuf>,
    /// Go on without files that cannot be read.
    #[arg(long)]
    skip_bad: bool,
    /// Go on with a run that was interrupted, from its last epoch.
    #[arg(long, value_name = "RUN_DIR", conflicts_with_all = ["data", "config", "out", "groups", "skip_bad"])]
    resume: Option<PathBuf>,
    /// What computes.
    #[arg(long, value_enum, default_value = "flex")]
    device: DeviceKind,
    /// Threads; 0 is one for each core. The result does not depend on it.
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

/// What the blob may take.
#[derive(Debug, Args)]
struct FlashArgs {
    /// Most KiB of weights and tables that are spent on speed: convolutions gain by transformed weights, which take more.
    /// Without it the blob is as small as it can be.
    #[arg(long, value_name = "KIB")]
    flash_budget: Option<u32>,
}

impl FlashArgs {
    fn bytes(&self) -> usize {
        self.flash_budget.map_or(0, |kib| (kib as usize).saturating_mul(1024))
    }
}

#[derive(Debug, Args)]
struct QuantizeArgs {
    /// Folder that `train` made.
    run_dir: PathBuf,
    /// Where the images are now, if they moved.
    #[arg(long)]
    data: Option<PathBuf>,
    /// How activation ranges are chosen, in place of the run's configuration.
    #[arg(long, value_enum)]
    method: Option<Method>,
    #[command(flatten)]
    flash: FlashArgs,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// Images that a model is tried on.
#[derive(Debug, Args)]
struct ImageArgs {
    /// Folder of images in the model's classes.
    #[arg(long)]
    data: PathBuf,
    /// What the network sees of each image.
    #[arg(long = "as", value_enum, default_value = "rgb888")]
    view: View,
    /// Go on without files that cannot be read.
    #[arg(long)]
    skip_bad: bool,
}

#[derive(Debug, Args)]
struct ParityArgs {
    /// Folder that `train` made.
    run_dir: PathBuf,
    #[command(flatten)]
    images: ImageArgs,
    /// Where the int8 model runs besides this process.
    #[arg(long, value_enum, default_value = "host")]
    link: Link,
    /// Fail when fewer of 100 int8 answers equal the float answer.
    #[arg(long, value_name = "PERCENT")]
    min_agreement: Option<f64>,
    /// Compare at most this many images of each split, spread over it.
    #[arg(long)]
    limit: Option<usize>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// Where the int8 model runs besides this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Link {
    /// This machine only.
    Host,
    /// On a Cortex-M4 in QEMU.
    Qemu,
}

#[derive(Debug, Args)]
struct EvalArgs {
    /// The blob.
    blob: PathBuf,
    #[command(flatten)]
    images: ImageArgs,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct PredictArgs {
    /// The blob.
    blob: PathBuf,
    /// Image files.
    #[arg(required = true)]
    images: Vec<PathBuf>,
    /// Classes to show for each image, 1 or more, the likeliest first.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    top: u16,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct InspectArgs {
    /// The blob.
    blob: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ImportArgs {
    /// The model: int8, or float with --calibrate.
    #[arg(value_name = "MODEL.tflite")]
    model: PathBuf,
    /// The blob to write.
    #[arg(long, value_name = "FILE.blob")]
    out: PathBuf,
    /// Names of the classes, one a line, in the order of the outputs.
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// What the input is; guessed from its shape and scale when left out.
    #[arg(long, value_enum, conflicts_with = "calibrate")]
    input: Option<InputChoice>,
    /// Quantise a float model on the images in this folder.
    #[arg(long, value_name = "DIR")]
    calibrate: Option<PathBuf>,
    /// What the float model wants subtracted from pixels of 0 to 255.
    #[arg(long, default_value_t = 127.5, requires = "calibrate")]
    mean: f64,
    /// What the float model wants the difference divided by.
    #[arg(long, default_value_t = 127.5, requires = "calibrate")]
    std: f64,
    #[command(flatten)]
    flash: FlashArgs,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct RunArgs {
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
}

#[derive(Debug, Args)]
struct BenchArgs {
    /// Blobs, or int8 `.tflite` models: those are run by LiteRT as well, where it is installed.
    #[arg(required = true)]
    models: Vec<PathBuf>,
    /// Rounds, 1 or more; the median counts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Length of a round in seconds.
    #[arg(long, default_value_t = 0.5)]
    seconds: f64,
    /// `qemu` counts the instructions of a Cortex-M4 too.
    #[arg(long, value_enum, default_value = "host")]
    link: Link,
    /// Python interpreter that has `ai-edge-litert`.
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct DeviceBenchArgs {
    /// Measure this blob, layer by layer, in place of the built-in layers and models; may be repeated.
    #[arg(long, value_name = "FILE.blob")]
    blob: Vec<PathBuf>,
    /// Folder of the MLPerf Tiny models, measured where they are there: `resnet8/*.tflite`, `vww`, `kws`. Without it
    /// $MLPERF_TINY, or else `../shared/data/mlperf-tiny`.
    #[arg(long, value_name = "DIR")]
    mlperf_tiny: Option<PathBuf>,
    /// The core whose code is counted.
    #[arg(long, value_enum, default_value = "m4")]
    core: Core,
    /// Model the cycles of a Cortex-M4 too.
    #[arg(long)]
    cycles: bool,
    /// Wait states of the flash, behind the caches of an STM32L4.
    #[arg(long, default_value_t = 0, requires = "cycles")]
    wait_states: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct EstimateArgs {
    /// The blob.
    blob: PathBuf,
    /// The board, such as `nucleo-l4r5zi`; may be repeated. Without it all boards are listed.
    #[arg(long, value_name = "NAME")]
    board: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct FacesArgs {
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
}
