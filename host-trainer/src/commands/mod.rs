//! The program's commands; one file a command says what it takes, and does it.

mod arguments;
mod bench;
mod camera;
mod certify;
mod collect;
mod compare;
mod completions;
mod config;
#[cfg(feature = "train")]
mod cv;
mod data;
#[cfg(feature = "train")]
mod demo;
mod dev;
mod estimate;
mod eval;
mod export;
mod flash;
mod help;
mod import;
mod inspect;
mod keygen;
#[cfg(feature = "train")]
mod learning_curve;
mod man;
mod parity;
mod pictures;
mod ports;
mod predict;
mod quantize;
mod rollback;
mod run;
#[cfg(feature = "train")]
mod search;
#[cfg(feature = "train")]
mod settings;
mod sign;
#[cfg(feature = "train")]
mod studio;
#[cfg(feature = "train")]
mod train;
mod twin;
mod watch;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, Parser, Subcommand};

/// Train an image classifier on a laptop, turn it into one file, and prove that a microcontroller computes the same.
#[derive(Debug, Parser)]
#[command(version, help_template = help::template())]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    telling: TellingArgs,
}

impl Cli {
    /// How much is told besides results, as [`log::start`] takes it.
    ///
    /// [`log::start`]: model_training::system::log::start
    #[must_use]
    pub fn verbosity(&self) -> i16 {
        if self.telling.quiet { -1 } else { self.telling.verbose.into() }
    }
}

/// How much is told besides results.
#[derive(Debug, Args)]
struct TellingArgs {
    /// Tell more on the standard error: how long stages take, what was chosen, what was asked again; twice for all.
    /// `RUST_LOG` says it for single modules.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// Tell neither progress nor notes, only results and errors.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything in five minutes: draws pictures, trains on them, quantises, checks parity.
    #[cfg(feature = "train")]
    Demo(demo::DemoArgs),
    /// Looks at a folder of images before one trains on it.
    Data(data::DataArgs),
    /// Trains on a folder of images and writes the blob.
    #[cfg(feature = "train")]
    Train(train::TrainArgs),
    /// Classifies images.
    Predict(predict::PredictArgs),
    /// Accuracy of a blob on a folder of images.
    ///
    /// Macro F1 is the mean over the classes that have images or are predicted, as in scikit-learn.
    Eval(eval::EvalArgs),
    /// Compares float, int8 on this machine and int8 on the device, image by image.
    Parity(parity::ParityArgs),
    /// Quantises a trained run again and writes the blob.
    Quantize(quantize::QuantizeArgs),
    /// Cross-validates: trains on all folds but one and scores that one, for each, with intervals over groups.
    #[cfg(feature = "train")]
    Cv(cv::CvArgs),
    /// Says whether more pictures would help: cross-validates with a part of the photographs, twice as many, and so on.
    #[cfg(feature = "train")]
    LearningCurve(learning_curve::LearningCurveArgs),
    /// Searches for small networks that fit a board: their costs are known before training, their accuracy by rungs of more
    /// and more training.
    #[cfg(feature = "train")]
    Search(search::SearchArgs),
    /// Compares two runs on the same images, with intervals over groups: on their test images, or on any that neither has learnt from.
    Compare(compare::CompareArgs),
    /// Turns a TensorFlow Lite or ONNX model into a blob.
    Import(import::ImportArgs),
    /// Writes a blob as a TensorFlow Lite model or as a C header.
    Export(export::ExportArgs),
    /// Shows what is in a blob.
    Inspect(inspect::InspectArgs),
    /// Estimates how long a blob takes on a board, and whether it fits.
    Estimate(estimate::EstimateArgs),
    /// Writes a page that runs a blob in a browser as a device does: on pictures, and on the computer's camera.
    Twin(twin::TwinArgs),
    /// Sends a blob to a device, which runs it from then on.
    Flash(flash::FlashModelArgs),
    /// Lets a device start with the model before the one that runs; where it takes signed models only, while that one is on trial.
    Rollback(rollback::RollbackArgs),
    /// Shows what the board's camera sees and what the board makes of it, frame by frame, and whether this machine makes the same.
    Watch(watch::WatchArgs),
    /// Saves frames of the board's camera to train on.
    Collect(collect::CollectArgs),
    /// Lists the pictures that `collect` and `studio` have saved, corrects their classes, deletes them.
    Pictures(pictures::PicturesArgs),
    /// Opens a page in the browser to see what boards see, collect and label pictures, and send models.
    #[cfg(feature = "train")]
    Studio(studio::StudioArgs),
    /// Certifies that a model computes the same bytes here, in an emulator and on boards, layer by layer; or checks a certificate.
    Certify(certify::CertifyArgs),
    /// Lists serial ports, where boards may be.
    Ports(ports::PortsArgs),
    /// Makes a key to sign blobs with.
    Keygen(keygen::KeygenArgs),
    /// Signs a blob and gives it a number, for firmware that takes no others.
    Sign(sign::SignArgs),
    /// Runs a blob on raw int8 tensors.
    Run(run::RunArgs),
    /// Measures the time of an inference.
    Bench(bench::BenchArgs),
    /// Prints a configuration to start from, or the schema of configurations.
    Config(config::ConfigArgs),
    /// Prints what a shell needs to complete commands and options.
    Completions(completions::CompletionsArgs),
    /// Writes a manual page for each command.
    Man(man::ManArgs),
    /// What developers of this project need: measurements beside other engines, sizes of firmware.
    Dev(dev::DevArgs),
}

/// Takes one of some values by its name; the last text says what it is.
fn named<T: Clone + Send + Sync + 'static, const N: usize>(
    values: [(T, &'static str, &'static str); N],
) -> impl TypedValueParser<Value = T> {
    let names = values.each_ref().map(|(_, name, help)| PossibleValue::new(*name).help(*help));
    PossibleValuesParser::new(names).try_map(move |given| {
        let value = values.iter().find(|(_, name, _)| *name == given).map(|(value, ..)| value.clone());
        value.ok_or("there is no value of this name")
    })
}

/// Refuses to write over a file that the command reads.
fn refuse_overwriting(read: &Path, written: &Path, option: &str) -> Result<()> {
    ensure!(!is_same(read, written), "{option} names {}, which is read: give another file", written.display());
    Ok(())
}

/// Refuses to put a run among the pictures, where its folder would be a class.
#[cfg(feature = "train")]
fn refuse_among_pictures(data: &Path, out: &Path) -> Result<()> {
    let absolute = |path: &Path| {
        path.ancestors().find_map(|folder| {
            let rest = path.strip_prefix(folder).ok()?;
            Some(folder.canonicalize().ok()?.join(rest))
        })
    };
    let inside = absolute(data).zip(absolute(out)).is_some_and(|(data, out)| out.starts_with(data));
    ensure!(
        !inside,
        "--out {} lies in the pictures of {}, where it would be taken for a class: choose a folder outside",
        out.display(),
        data.display()
    );
    Ok(())
}

/// Whether two paths lead to one file or folder that exists.
fn is_same(a: &Path, b: &Path) -> bool {
    a.canonicalize().ok().zip(b.canonicalize().ok()).is_some_and(|(a, b)| a == b)
}

/// Exit code of a command that did what it was asked and found a bound missed; an error gives 1.
pub const BOUND_MISSED: u8 = 2;

/// Does what the command line says. The exit code is [`BOUND_MISSED`] when a bound is missed.
///
/// # Errors
/// When it cannot be done.
pub fn run(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        #[cfg(feature = "train")]
        Command::Demo(args) => demo::run(&args),
        Command::Data(args) => data::run(&args),
        #[cfg(feature = "train")]
        Command::Train(args) => train::run(&args),
        Command::Predict(args) => predict::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Parity(args) => parity::run(&args),
        Command::Quantize(args) => quantize::run(&args),
        #[cfg(feature = "train")]
        Command::Cv(args) => cv::run(&args),
        #[cfg(feature = "train")]
        Command::LearningCurve(args) => learning_curve::run(&args),
        #[cfg(feature = "train")]
        Command::Search(args) => search::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Estimate(args) => estimate::run(&args),
        Command::Twin(args) => twin::run(&args),
        Command::Flash(args) => flash::run(&args),
        Command::Rollback(args) => rollback::run(&args),
        Command::Watch(args) => watch::run(&args),
        Command::Collect(args) => collect::run(&args),
        Command::Pictures(args) => pictures::run(&args),
        #[cfg(feature = "train")]
        Command::Studio(args) => studio::run(&args),
        Command::Certify(args) => certify::run(&args),
        Command::Ports(args) => ports::run(&args),
        Command::Keygen(args) => keygen::run(&args),
        Command::Sign(args) => sign::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Config(args) => config::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
        Command::Dev(args) => dev::run(&args),
    }
}
