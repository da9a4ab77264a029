//! `bench`: time of an inference on one thread of this machine, and instructions on the device.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use no_std_infer::{Interpreter, Model};
use serde::Serialize;

use super::{BenchArgs, Link};
use crate::aligned::Aligned;
use crate::comparison::text_table;
use crate::device::Device;
use crate::evaluate::{parse, read_blob};

#[derive(Serialize)]
struct Bench {
    model: String,
    macs: u64,
    rounds: usize,
    /// Median over the rounds, in seconds an inference.
    seconds: f64,
    /// Shortest and longest round, in seconds an inference.
    range: [f64; 2],
    gmacs_per_second: f64,
    device_instructions: Option<u64>,
}

pub(super) fn run(args: &BenchArgs) -> Result<ExitCode> {
    let mut rows = Vec::new();
    for path in &args.models {
        let blob = read_blob(path)?;
        let model = parse(&blob, path)?;
        rows.push(Bench::measure(path.display().to_string(), &blob, &model, args)?);
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        print(&rows);
    }
    Ok(ExitCode::SUCCESS)
}

impl Bench {
    fn measure(name: String, blob: &[u8], model: &Model<'_>, args: &BenchArgs) -> Result<Self> {
        let macs: u64 = model.ops().map(|op| op.macs()).sum();
        let mut arena = Aligned::new(model.arena_len());
        let mut interpreter = Interpreter::new(model, &mut arena)?;
        let window = Duration::try_from_secs_f64(args.seconds).context("`--seconds` is not a length of time")?;
        let mut times: Vec<f64> =
            (0..args.rounds.max(1)).map(|_| seconds_per_call(window, || interpreter.run())).collect();
        times.sort_by(f64::total_cmp);
        let seconds = times[times.len() / 2];
        let device_instructions = match args.link {
            Link::Host => None,
            Link::Qemu => {
                let input = vec![0; model.info().input.tensor.len()];
                Some(Device::start(blob)?.infer(&input)?.total)
            }
        };
        Ok(Self {
            model: name,
            macs,
            rounds: times.len(),
            seconds,
            range: [times[0], times[times.len() - 1]],
            gmacs_per_second: macs as f64 / seconds / 1e9,
            device_instructions,
        })
    }
}

/// Mean time of a call over at least `window`; the first call is not counted.
fn seconds_per_call(window: Duration, mut call: impl FnMut()) -> f64 {
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

fn print(rows: &[Bench]) {
    let header = ["model", "MACs", "ms an inference", "shortest to longest round", "GMAC/s", "Cortex-M4 instructions"];
    let mut table = text_table(&header, 1);
    for row in rows {
        table.add_row([
            row.model.clone(),
            row.macs.to_string(),
            format!("{:.3}", row.seconds * 1e3),
            format!("{:.3} to {:.3}", row.range[0] * 1e3, row.range[1] * 1e3),
            format!("{:.2}", row.gmacs_per_second),
            row.device_instructions.map_or("-".to_owned(), |count| count.to_string()),
        ]);
    }
    println!("{}", table.trim_fmt());
    println!("\nOne thread; median of {} rounds.", rows.first().map_or(0, |row| row.rounds));
}
