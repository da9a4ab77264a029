//! The program's commands; one file a command says what it takes, and does it.

mod bench;
mod certify;
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
mod flash;
mod help;
mod import;
mod inspect;
mod keygen;
#[cfg(feature = "train")]
mod learning_curve;
mod man;
mod parity;
mod ports;
mod predict;
mod quantize;
mod run;
#[cfg(feature = "train")]
mod search;
#[cfg(feature = "train")]
mod settings;
mod sign;
#[cfg(feature = "train")]
mod train;
mod twin;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, Parser, Subcommand};
use model_compiler::blob::emit::Limits;
use model_compiler::{ARENA_MAX, RUN_AT_MOST};
use no_std_infer::format::{Section, arena_len, section};
use no_std_infer::{Cost, Model};

#[cfg(feature = "train")]
use crate::config::Config;
use crate::data::dataset::{Dataset, View};
#[cfg(feature = "train")]
use crate::data::dataset::{Grouping, Options};
#[cfg(feature = "train")]
use crate::training::{self, DeviceKind};

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
    /// [`log::start`]: crate::system::log::start
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
    /// Compares two runs on the same images, with intervals over groups.
    Compare(compare::CompareArgs),
    /// Turns a TensorFlow Lite model into a blob.
    Import(import::ImportArgs),
    /// Shows what is in a blob.
    Inspect(inspect::InspectArgs),
    /// Estimates how long a blob takes on a board, and whether it fits.
    Estimate(estimate::EstimateArgs),
    /// Writes a page that runs a blob in a browser as a device does: on pictures, and on the computer's camera.
    Twin(twin::TwinArgs),
    /// Sends a blob to a device, which runs it from then on.
    Flash(flash::FlashModelArgs),
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
        Command::Inspect(args) => inspect::run(&args),
        Command::Estimate(args) => estimate::run(&args),
        Command::Twin(args) => twin::run(&args),
        Command::Flash(args) => flash::run(&args),
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

/// What the blob may take.
#[derive(Debug, Args)]
struct LimitArgs {
    /// Most KiB of weights and tables that are spent on speed: convolutions gain by transformed weights, which take more.
    /// Without it the blob is as small as it can be.
    #[arg(long, value_name = "KIB")]
    flash_budget: Option<u32>,
    /// Most KiB of arena: where tensors need more, layers run in stripes of rows, which keeps their outputs from existing whole,
    /// takes more flash and hardly more instructions; where that does not suffice, less flash is spent. With 0 the arena is as
    /// short as can be found with the flash that is spent.
    #[arg(long, value_name = "KIB")]
    ram_budget: Option<u32>,
}

impl LimitArgs {
    /// The limits, where one is given.
    fn given(&self) -> Option<Limits> {
        (self.flash_budget.is_some() || self.ram_budget.is_some()).then(|| self.limits())
    }

    fn limits(&self) -> Limits {
        Limits {
            flash: self.flash_budget.map_or(0, |kib| (kib as usize).saturating_mul(1024)),
            arena: self.ram_budget.map(|kib| kib.saturating_mul(1024)),
        }
    }

    /// Says on the standard error which budget a blob exceeds; gives the exit code. A budget of 0 asks for the least.
    fn verdict(&self, blob: &[u8]) -> ExitCode {
        let kib = |bytes: usize| bytes as f64 / 1024.0;
        let mut sections = Section::table(blob).into_iter().flatten();
        let weights = sections.find(|entry| entry.id == section::WEIGHTS).and_then(|entry| entry.bytes(blob));
        let weights = weights.map_or(0, <[u8]>::len);
        let budgets =
            [("--flash-budget", self.flash_budget, weights), ("--ram-budget", self.ram_budget, arena_len(blob))];
        let missed = budgets.into_iter().filter_map(|(option, budget, bytes)| {
            let budget = budget.filter(|&budget| budget > 0 && kib(bytes) > f64::from(budget))?;
            Some(format!("error: {option} {budget} is missed: the least found is {bytes} bytes, {:.1} KiB", kib(bytes)))
        });
        let missed: Vec<String> = missed.collect();
        missed.iter().for_each(|missed| eprintln!("{missed}"));
        if missed.is_empty() { ExitCode::SUCCESS } else { BOUND_MISSED.into() }
    }
}

/// How much a run of the model may take.
#[derive(Debug, Args)]
struct CostArgs {
    /// Most products of weights and inputs that a run of the model may take, and ten for each byte that it may move. A model
    /// that takes more is refused before it runs.
    #[arg(long, value_name = "N", default_value_t = RUN_AT_MOST.products)]
    max_products: u64,
}

impl CostArgs {
    /// The limit.
    fn most(&self) -> Cost {
        Cost { products: self.max_products, bytes: self.max_products / 10 }
    }

    /// Refuses a model that takes more.
    fn check(&self, model: &Model<'_>) -> Result<()> {
        let needed = model.cost();
        ensure!(needed.is_within(self.most()), too_costly(needed, self.most()));
        let arena = model.arena_len();
        ensure!(
            arena <= ARENA_MAX as usize,
            "the model works in {arena} bytes of memory, more than the {ARENA_MAX} that a blob of this program may take"
        );
        Ok(())
    }
}

/// What is said of a model that takes more than it may.
fn too_costly(needed: Cost, most: Cost) -> String {
    let Cost { products, bytes } = needed;
    let needed_option = products.max(bytes.saturating_mul(10));
    format!(
        "a run of the model takes {needed}, and {most} are allowed at most: allow more with --max-products {needed_option}, \
         if you have the time"
    )
}

/// Which images are copies of one photograph.
#[cfg(feature = "train")]
#[derive(Debug, Args)]
struct GroupArgs {
    /// CSV file with the columns `path` and `group`: images of a group stay on one side of every split. Without it
    /// `groups.csv` in the data folder counts, where `data check` wrote it; `none` ignores that.
    #[arg(long, value_name = "FILE.csv|none")]
    groups: Option<PathBuf>,
}

#[cfg(feature = "train")]
impl GroupArgs {
    /// All images of a folder, whatever split they are in, to be divided as a configuration says.
    fn open_whole(&self, folder: &Path, config: &Config, cache: &CacheArgs) -> Result<Dataset> {
        let Config { data, seed, .. } = config.clone();
        let options = Options { data, seed, groups: self.grouping(), ..Options::default() };
        let mut whole = Dataset::open_whole(folder, &options)?;
        whole.cache.clone_from(&cache.cache);
        Ok(whole)
    }

    fn grouping(&self) -> Grouping<'_> {
        match self.groups.as_deref() {
            None => Grouping::Beside,
            Some(name) if name == Path::new("none") => Grouping::Ignored,
            Some(file) => Grouping::File(file),
        }
    }
}

/// What trains.
#[cfg(feature = "train")]
#[derive(Debug, Args)]
struct ComputeArgs {
    /// What computes.
    #[arg(long, value_enum, default_value = "flex")]
    device: DeviceKind,
    #[command(flatten)]
    threads: ThreadArgs,
}

/// Where decoded images are kept.
#[derive(Clone, Debug, Args)]
struct CacheArgs {
    /// Folder for decoded images: they are read from there by every command that is given it, not held in memory, and images
    /// that have not changed are not decoded again.
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
}

/// How many threads compute.
#[derive(Clone, Copy, Debug, Args)]
struct ThreadArgs {
    /// Threads, at most four for each core; 0 is one for each core. The result does not depend on it.
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

impl ThreadArgs {
    fn count(self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.threads.min(4 * cores)
    }

    /// Runs something on these threads.
    fn run<T: Send>(self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        rayon::ThreadPoolBuilder::new().num_threads(self.count()).build()?.install(work)
    }
}

#[cfg(feature = "train")]
impl ComputeArgs {
    /// What is asked for; refused before any image is read where the device cannot be opened.
    fn options(&self, resume: bool) -> Result<training::Options> {
        self.device.open()?;
        Ok(training::Options {
            device: self.device,
            threads: self.threads.count(),
            resume,
            ..training::Options::default()
        })
    }
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
    #[command(flatten)]
    cache: CacheArgs,
}

impl ImageArgs {
    /// The images, in the model's classes.
    fn open(&self, labels: &[String]) -> Result<Dataset> {
        let mut dataset = Dataset::open_for(&self.data, labels, self.skip_bad)?;
        dataset.cache.clone_from(&self.cache.cache);
        Ok(dataset)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn commands_that_read_a_folder_of_images_can_keep_them_decoded() {
        let program = Cli::command();
        let has =
            |command: &clap::Command, name: &str| command.get_arguments().any(|argument| argument.get_id() == name);
        let reading = program.get_subcommands().filter(|command| has(command, "data"));
        let (keeping, others): (Vec<_>, Vec<_>) = reading.partition(|command| has(command, "cache"));
        let names =
            |commands: Vec<&clap::Command>| commands.iter().map(|command| command.get_name().to_owned()).collect();
        let [keeping, others]: [Vec<String>; 2] = [keeping, others].map(names);
        assert!(
            others.is_empty() && ["eval", "parity", "quantize"].iter().all(|&name| keeping.contains(&name.into())),
            "{others:?}"
        );

        let images = ["eval", "model.blob", "--data", "pictures", "--cache", "decoded"];
        let Command::Eval(args) = Cli::parse_from(["host-trainer"].iter().chain(&images)).command else {
            panic!("eval")
        };
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("cat")).unwrap();
        std::fs::write(folder.path().join("cat/1.png"), b"").unwrap();
        let images = ImageArgs { data: folder.path().to_owned(), ..args.images };
        assert_eq!(images.open(&["cat".to_owned()]).unwrap().cache.unwrap(), Path::new("decoded"));
    }

    #[test]
    fn many_threads_are_a_few_for_each_core() {
        let cores = std::thread::available_parallelism().unwrap().get();
        for (asked, started) in [(1, 1), (20_000, 4 * cores), (0, cores)] {
            let threads = ThreadArgs { threads: asked };
            assert_eq!(threads.run(|| Ok(rayon::current_num_threads())).unwrap(), started, "{asked}");
        }
    }
}
