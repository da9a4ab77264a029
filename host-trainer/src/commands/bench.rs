//! `bench`: time of an inference on one thread of this machine, by the engine's portable kernels and by those for its vector
//! instructions, beside LiteRT's, and instructions on the device.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use host_kernels::{Isa, Prepared, Runner};
use model_compiler::aligned::Aligned;
use model_compiler::{Error, Tflite};
use model_training::measure::comparison::text_table;
use model_training::measure::evaluate::{parse, read_blob};
use model_training::system::read;
use no_std_infer::{Cost, Model};
use serde::Serialize;

use super::arguments::{CostArgs, too_costly};
use crate::beside::litert::{self, Kernels, LiteRt};
use crate::device::{Device, Link};

#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    /// Blobs, or int8 `.tflite` models: those are run by LiteRT as well, where it is installed.
    #[arg(required = true)]
    models: Vec<PathBuf>,
    /// Rounds, 1 or more: of many short ones the shortest tells most where others use the machine.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Length of a round in seconds.
    #[arg(long, default_value_t = 0.5)]
    seconds: f64,
    /// `qemu` counts the instructions of a Cortex-M4 too; `serial:PORT` those or the cycles of a board that runs the blob.
    #[arg(long, default_value = "host")]
    link: Link,
    /// Python interpreter that has `ai-edge-litert`.
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    #[command(flatten)]
    cost: CostArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Bench {
    model: String,
    macs: u64,
    /// By the engine's kernels for any processor.
    ours: Times,
    /// By those for each of this machine's vector instructions, the widest last.
    vectors: Vec<VectorTimes>,
    /// Of the fastest of ours.
    gmacs_per_second: f64,
    litert_reference: Option<Times>,
    litert_xnnpack: Option<Times>,
    /// What the device counts for an inference: instructions or cycles.
    device: Option<u64>,
}

/// An inference on some vector instructions.
#[derive(Serialize)]
struct VectorTimes {
    isa: &'static str,
    #[serde(flatten)]
    times: Times,
}

/// Seconds of a call: an inference, a training step.
#[derive(Serialize)]
pub(super) struct Times {
    /// The middle round's.
    pub median: f64,
    shortest: f64,
    longest: f64,
}

pub(super) fn run(args: &BenchArgs) -> Result<ExitCode> {
    let window = window(args.seconds)?;
    let litert = litert::is_installed(&args.python);
    let mut rows = Vec::new();
    for path in &args.models {
        let tflite = is_tflite(path);
        let blob = if tflite { imported(path, args.cost.most())? } else { read_blob(path)? };
        let model = parse(&blob, path)?;
        args.cost.check(&model)?;
        let litert = if litert && tflite { Some(LiteRt::start(&args.python, path, args.seconds)?) } else { None };
        let mut row = Bench::measure(path.display().to_string(), &model, litert, usize::from(args.rounds), window)?;
        if let Some(transport) = args.link.transport(&blob)? {
            let input = vec![0; model.info().input.tensor.len()];
            row.device = Some(Device::with_model(transport, &blob)?.infer(&input)?.total);
        }
        rows.push(row);
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        print(&rows, args);
        if !litert && args.models.iter().any(|path| is_tflite(path)) {
            println!(
                "LiteRT is not there to compare with: `pip install ai-edge-litert`, or name a Python with --python."
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The length of a round, given by `--seconds`.
pub(super) fn window(seconds: f64) -> Result<Duration> {
    let window = Duration::try_from_secs_f64(seconds).ok().filter(|window| !window.is_zero());
    window.context("`--seconds` is not a length of time")
}

fn is_tflite(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "tflite")
}

fn imported(path: &Path, most: Cost) -> Result<Aligned<u8>> {
    let bytes = read::bytes(path, read::MODEL).with_context(|| format!("cannot read the model {}", path.display()))?;
    let compiled = Tflite::read(&bytes).and_then(|model| model.name("bench").run_at_most(most).compile());
    match compiled {
        Ok(compiled) => Ok(compiled.blob),
        Err(Error::Cost { needed, most }) => bail!("{} cannot be run: {}", path.display(), too_costly(needed, most)),
        Err(error) => Err(error).with_context(|| {
            format!("{} cannot be run as it is; a float model is imported first, and its blob run", path.display())
        }),
    }
}

impl Bench {
    /// Each round measures every engine once, so that a busy moment hits all of them.
    fn measure(
        name: String,
        model: &Model<'_>,
        mut litert: Option<LiteRt>,
        rounds: usize,
        window: Duration,
    ) -> Result<Self> {
        let input = vec![0; model.info().input.tensor.len()];
        let prepared: Vec<Prepared<'_>> = Isa::available().into_iter().map(|isa| Prepared::with(model, isa)).collect();
        let mut runners: Vec<Runner<'_, '_>> = prepared.iter().map(Prepared::runner).collect();
        let mut ours = vec![Vec::new(); runners.len()];
        let (mut reference, mut xnnpack) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            for (runner, seconds) in runners.iter_mut().zip(&mut ours) {
                seconds.push(seconds_per_call(window, || _ = runner.run(&input)));
            }
            if let Some(litert) = &mut litert {
                reference.push(litert.seconds(Kernels::Reference)?);
                xnnpack.push(litert.seconds(Kernels::Xnnpack)?);
            }
        }
        let macs: u64 = model.ops().map(|op| op.macs()).sum();
        let mut ours = ours.into_iter().filter_map(Times::of).zip(prepared.iter().map(Prepared::isa));
        let (portable, _) = ours.next().context("no round was measured")?;
        let vectors: Vec<VectorTimes> = ours.map(|(times, isa)| VectorTimes { isa: isa.name(), times }).collect();
        let fastest = vectors.iter().fold(portable.median, |fastest, vectors| fastest.min(vectors.times.median));
        Ok(Self {
            model: name,
            macs,
            gmacs_per_second: macs as f64 / fastest / 1e9,
            ours: portable,
            vectors,
            litert_reference: Times::of(reference),
            litert_xnnpack: Times::of(xnnpack),
            device: None,
        })
    }
}

impl Times {
    /// `None` of nothing.
    pub fn of(mut seconds: Vec<f64>) -> Option<Self> {
        seconds.sort_by(f64::total_cmp);
        let (&shortest, &longest) = (seconds.first()?, seconds.last()?);
        Some(Self { median: seconds[seconds.len() / 2], shortest, longest })
    }

    /// Milliseconds for people.
    pub fn to_text(&self) -> String {
        format!("{:.3} ({:.3} to {:.3})", self.median * 1e3, self.shortest * 1e3, self.longest * 1e3)
    }
}

/// Mean time of a call over at least `window`; the first call is not counted.
pub(super) fn seconds_per_call(window: Duration, mut call: impl FnMut()) -> f64 {
    call();
    let (start, mut calls) = (Instant::now(), 0_u32);
    loop {
        call();
        calls += 1;
        let elapsed = start.elapsed();
        if elapsed >= window {
            return elapsed.as_secs_f64() / f64::from(calls);
        }
    }
}

fn print(rows: &[Bench], args: &BenchArgs) {
    let isas = rows.first().map_or(&[][..], |row| &row.vectors).iter().map(|vectors| vectors.isa);
    let header: Vec<&str> = ["model", "MACs", "portable"]
        .into_iter()
        .chain(isas)
        .chain(["GMAC/s", "LiteRT reference", "LiteRT XNNPACK", "device"])
        .collect();
    let mut table = text_table(&header, 1);
    let times = |times: &Option<Times>| times.as_ref().map_or("-".to_owned(), Times::to_text);
    for row in rows {
        let mut cells = vec![row.model.clone(), row.macs.to_string(), row.ours.to_text()];
        cells.extend(row.vectors.iter().map(|vectors| vectors.times.to_text()));
        cells.extend([
            format!("{:.2}", row.gmacs_per_second),
            times(&row.litert_reference),
            times(&row.litert_xnnpack),
            row.device.map_or("-".to_owned(), |count| count.to_string()),
        ]);
        table.add_row(cells);
    }
    println!("{}", table.trim_fmt());
    println!(
        "\nMilliseconds an inference on one thread: median (shortest to longest) of {} rounds of {} s.",
        args.rounds, args.seconds
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_round_counts() {
        let times = Times::of(vec![3.0, 1.0, 2.0]).unwrap();
        assert_eq!((times.shortest, times.median, times.longest), (1.0, 2.0, 3.0));
        assert!(Times::of(Vec::new()).is_none());
    }

    #[test]
    fn a_round_lasts_as_long_as_asked_for_and_counts_its_calls() {
        let mut calls = 0;
        let start = Instant::now();
        let seconds = seconds_per_call(Duration::from_millis(20), || {
            calls += 1;
            std::thread::sleep(Duration::from_millis(1));
        });
        assert!(start.elapsed() >= Duration::from_millis(20));
        assert!(calls >= 2 && seconds >= 1e-3 && seconds * f64::from(calls - 1) >= 0.02 - 1e-9);
    }
}
