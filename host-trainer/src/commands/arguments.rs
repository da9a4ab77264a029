//! Arguments that several commands take, and what is made of them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Args;
use model_compiler::blob::emit::Limits;
use model_compiler::{ARENA_MAX, RUN_AT_MOST};
#[cfg(feature = "train")]
use model_training::config::Config;
use model_training::data::dataset::{Dataset, View};
#[cfg(feature = "train")]
use model_training::data::dataset::{Grouping, Options};
#[cfg(feature = "train")]
use model_training::training::{self, DeviceKind};
use no_std_infer::format::{Section, arena_len, section};
use no_std_infer::{Cost, Model};

use super::BOUND_MISSED;
use crate::device::{Core, Device, Link, Patience};

/// What the blob may take.
#[derive(Debug, Args)]
pub(super) struct LimitArgs {
    /// Most KiB of weights and tables that are spent on speed: convolutions gain by transformed weights, which take more.
    /// Without it the blob is as small as it can be.
    #[arg(long, value_name = "KIB")]
    pub flash_budget: Option<u32>,
    /// Most KiB of arena: where tensors need more, layers run in stripes of rows, which keeps their outputs from existing whole,
    /// takes more flash and hardly more instructions; where that does not suffice, less flash is spent. With 0 the arena is as
    /// short as can be found with the flash that is spent.
    #[arg(long, value_name = "KIB")]
    pub ram_budget: Option<u32>,
    /// The core that the model is to run on: for the vector instructions of a Cortex-M55 or M85 (`m55`) weights stay plain, for
    /// others they are packed. Either runs everywhere, with the same bytes as result. Without it a board that the configuration
    /// names decides, or else they are packed.
    #[arg(long, value_name = "CORE")]
    pub core: Option<Core>,
}

impl LimitArgs {
    /// The limits, where one is given.
    pub fn given(&self) -> Option<Limits> {
        (self.flash_budget.is_some() || self.ram_budget.is_some() || self.core.is_some()).then(|| self.limits())
    }

    pub fn limits(&self) -> Limits {
        Limits {
            flash: self.flash_budget.map_or(0, |kib| (kib as usize).saturating_mul(1024)),
            arena: self.ram_budget.map(|kib| kib.saturating_mul(1024)),
            constants: self.core.unwrap_or_default().constants(),
        }
    }

    /// Says on the standard error which budget a blob exceeds; gives the exit code. A budget of 0 asks for the least.
    pub fn verdict(&self, blob: &[u8]) -> ExitCode {
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
pub(super) struct CostArgs {
    /// Most products of weights and inputs that a run of the model may take, and ten for each byte that it may move. A model
    /// that takes more is refused before it runs.
    #[arg(long, value_name = "N", default_value_t = RUN_AT_MOST.products)]
    pub max_products: u64,
}

impl CostArgs {
    /// The limit.
    pub fn most(&self) -> Cost {
        Cost { products: self.max_products, bytes: self.max_products / 10 }
    }

    /// Refuses a model that takes more.
    pub fn check(&self, model: &Model<'_>) -> Result<()> {
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
pub(super) fn too_costly(needed: Cost, most: Cost) -> String {
    let Cost { products, bytes } = needed;
    let needed_option = products.max(bytes.saturating_mul(10));
    format!(
        "a run of the model takes {needed}, and {most} are allowed at most: allow more with --max-products {needed_option}, \
         if you have the time"
    )
}

/// A device that models are sent to.
#[derive(Debug, Args)]
pub(super) struct DeviceArgs {
    /// The device: `serial:PORT` or `serial:PORT@BAUD`, as `ports` lists them, or `qemu:FILE`, an emulated board whose
    /// flash is a file.
    #[arg(long)]
    pub link: Link,
}

impl DeviceArgs {
    /// Greets it, where it is `qemu` with `blob` in its firmware.
    pub fn open(&self, blob: &[u8]) -> Result<Device> {
        let transport = self.link.transport(blob)?;
        let transport = transport.context("`host` is no device: name one, such as `--link serial:PORT`")?;
        Device::open(transport, Patience::default())
    }
}

/// Which images are copies of one photograph.
#[cfg(feature = "train")]
#[derive(Debug, Args)]
pub(super) struct GroupArgs {
    /// CSV file with the columns `path` and `group`: images of a group stay on one side of every split. Without it
    /// `groups.csv` in the data folder counts, where `data check` wrote it; `none` ignores that.
    #[arg(long, value_name = "FILE.csv|none")]
    pub groups: Option<PathBuf>,
}

#[cfg(feature = "train")]
impl GroupArgs {
    /// All images of a folder, whatever split they are in, to be divided as a configuration says.
    pub fn open_whole(&self, folder: &Path, config: &Config, cache: &CacheArgs) -> Result<Dataset> {
        let Config { data, seed, .. } = config.clone();
        let options = Options { data, seed, groups: self.grouping(), ..Options::default() };
        let mut whole = Dataset::open_whole(folder, &options)?;
        whole.cache.clone_from(&cache.cache);
        Ok(whole)
    }

    pub fn grouping(&self) -> Grouping<'_> {
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
pub(super) struct ComputeArgs {
    /// What computes.
    #[arg(long, value_enum, default_value = "flex")]
    pub device: DeviceKind,
    #[command(flatten)]
    pub threads: ThreadArgs,
}

/// Where decoded images are kept.
#[derive(Clone, Debug, Args)]
pub(super) struct CacheArgs {
    /// Folder for decoded images: they are read from there by every command that is given it, not held in memory, and images
    /// that have not changed are not decoded again.
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
}

/// How many threads compute.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct ThreadArgs {
    /// Threads, at most four for each core; 0 is one for each core. The result does not depend on it.
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
}

impl ThreadArgs {
    pub fn count(self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.threads.min(4 * cores)
    }

    /// Runs something on these threads.
    pub fn run<T: Send>(self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        rayon::ThreadPoolBuilder::new().num_threads(self.count()).build()?.install(work)
    }
}

#[cfg(feature = "train")]
impl ComputeArgs {
    /// What is asked for; refused before any image is read where the device cannot be opened.
    pub fn options(&self, resume: bool) -> Result<training::Options> {
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
pub(super) struct ImageArgs {
    /// Folder of images in the model's classes.
    #[arg(long)]
    pub data: PathBuf,
    #[command(flatten)]
    pub reading: ReadingArgs,
}

impl ImageArgs {
    /// The images, in the model's classes.
    pub fn open(&self, labels: &[String]) -> Result<Dataset> {
        self.reading.open(&self.data, labels)
    }
}

/// How images that a model is tried on are read.
#[derive(Debug, Args)]
pub(super) struct ReadingArgs {
    /// What the network sees of each image.
    #[arg(long = "as", value_enum, default_value = "rgb888")]
    pub view: View,
    /// Go on without files that cannot be read.
    #[arg(long)]
    pub skip_bad: bool,
    #[command(flatten)]
    pub cache: CacheArgs,
}

impl ReadingArgs {
    /// The images of a folder, in the model's classes.
    pub fn open(&self, data: &Path, labels: &[String]) -> Result<Dataset> {
        let mut dataset = Dataset::open_for(data, labels, self.skip_bad)?;
        dataset.cache.clone_from(&self.cache.cache);
        Ok(dataset)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::{CommandFactory, Parser};

    use super::super::{Cli, Command};
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
