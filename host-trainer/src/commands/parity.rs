//! `parity`: float, int8 on this machine and int8 on the device, image by image.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Args;
use model_training::data::dataset::Reading;
use model_training::data::progress;
use model_training::measure::evaluate::{class_names, input_config, parse, read_blob};
use model_training::run::folder::RunDir;
use model_training::system::hints::{program, quoted};

use super::BOUND_MISSED;
use super::arguments::{CostArgs, ImageArgs};
use crate::device::{Device, Faulty, Link};
use crate::report::parity::{Parity, thin};

/// Decides which frames suffer.
const FAULTS_SEED: u64 = 1;

#[derive(Debug, Args)]
pub(super) struct ParityArgs {
    /// Folder that `train` made.
    run_dir: PathBuf,
    #[command(flatten)]
    images: ImageArgs,
    /// Where the int8 model runs besides this process: `host` (nowhere else), `qemu` (a Cortex-M4 that is emulated),
    /// `qemu-CORE` (another one: `qemu-m55` is the board mps3-an547), `qemu:FILE` (a Cortex-M4 with the model that `flash` has put into the file), `serial:PORT` or `serial:PORT@BAUD` (a
    /// board that runs the model already).
    #[arg(long, default_value = "host")]
    link: Link,
    /// Lose, double, damage or delay so many of 100 frames in both directions of the link, to see that it bears that.
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
    inject_faults: f64,
    /// Fail when fewer of 100 int8 answers equal the float answer.
    #[arg(long, value_name = "PERCENT")]
    min_agreement: Option<f64>,
    /// Compare at most this many images of each split, spread over it.
    #[arg(long)]
    limit: Option<usize>,
    #[command(flatten)]
    cost: CostArgs,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ParityArgs) -> Result<ExitCode> {
    let run = RunDir::new(&args.run_dir);
    let graph = run.graph()?;
    let shown = args.run_dir.display();
    ensure!(
        run.blob().exists(),
        "{shown} holds no model.blob: finish the run by `{program} train --resume {0}`, or quantise it by \
         `{program} quantize {0}`",
        quoted(run.path()),
        program = program()
    );
    let blob = read_blob(&run.blob())?;
    let model = parse(&blob, &run.blob())?;
    args.cost.check(&model)?;
    let input = input_config(&model, &run.blob())?;
    let record = run.record()?;
    let mut dataset = args.images.open(&class_names(&model))?;
    record.expect(&mut dataset);
    if let Some(limit) = args.limit {
        for split in [&mut dataset.train, &mut dataset.valid, &mut dataset.test] {
            thin(split, limit);
        }
    }
    let loaded = progress::load(&mut dataset, &Reading::all(&input, args.images.reading.view))?;
    let loaded = record.sort(&mut dataset, loaded)?;
    let device = connect(args, &blob)?;

    let parity = Parity::of((&graph, &model, &blob), &loaded, &dataset, device)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&parity)?);
    } else {
        print!("{}", parity.to_text());
    }
    Ok(verdict(&parity, args.min_agreement))
}

fn connect(args: &ParityArgs, blob: &[u8]) -> Result<Option<Device>> {
    let share = args.inject_faults / 100.0;
    ensure!((0.0..=0.5).contains(&share), "--inject-faults takes 0 to 50 percent");
    let Some(mut transport) = args.link.transport(blob)? else { return Ok(None) };
    if share > 0.0 {
        transport = Box::new(Faulty::new(transport, FAULTS_SEED, share).0);
    }
    Ok(Some(Device::with_model(transport, blob)?))
}

fn verdict(parity: &Parity, min_agreement: Option<f64>) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    if let Some(bound) = min_agreement.filter(|bound| parity.agreement * 100.0 < *bound) {
        eprintln!("error: float and int8 agree on fewer than {bound} of 100 images");
        code = BOUND_MISSED.into();
    }
    if parity.device.as_ref().is_some_and(|device| device.differing_bytes > 0) {
        eprintln!("error: the device's bytes differ from the host's");
        code = BOUND_MISSED.into();
    }
    code
}
