//! `parity`: float, int8 on this machine and int8 on the device, image by image.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Args;
use model_compiler::layout::stripes::Layers;
use model_compiler::quantise::noise::LayerSqnr;
use model_training::data::dataset::{Images, Reading};
use model_training::data::progress;
use model_training::measure::comparison::{Comparison, Split};
use model_training::measure::evaluate::{
    Int8Output, class_names, float_classes, input_config, int8_classes, parse, read_blob, side_by_side,
};
use model_training::run::folder::RunDir;
use model_training::system::hints::{program, quoted};
use model_training::system::log;
use serde::Serialize;

use super::BOUND_MISSED;
use super::arguments::{CostArgs, ImageArgs};
use crate::device::{Device, DeviceParity, Faulty, Link};
use crate::report::export::layers_text;

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

#[derive(Serialize)]
struct Parity {
    comparison: Comparison,
    layers: Vec<LayerSqnr>,
    images: usize,
    agreement: f64,
    device: Option<DeviceParity>,
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
    let labels = class_names(&model);
    let record = run.record()?;
    let mut dataset = args.images.open(&labels)?;
    record.expect(&mut dataset);
    if let Some(limit) = args.limit {
        for split in [&mut dataset.train, &mut dataset.valid, &mut dataset.test] {
            thin(split, limit);
        }
    }
    let loaded = progress::load(&mut dataset, &Reading::all(&input, args.images.reading.view))?;
    let loaded = record.sort(&mut dataset, loaded)?;
    let mut device = connect(args, &blob)?;

    let splits = loaded.splits().zip(dataset.clusters()).filter(|((_, images), _)| !images.is_empty());
    let splits: Vec<((&str, &Images), Vec<&str>)> = splits.collect();
    let inputs = splits.iter().flat_map(|((_, images), _)| (0..images.len()).map(|index| images.input(index)));
    let inputs: Vec<Vec<i8>> = inputs.collect();
    let layers = Layers::of(&blob, &model)?;
    let (layers, said) =
        log::stage("both on the host", || side_by_side((&graph, &model), layers.of_operators(), &inputs))?;
    let (mut float_left, mut int8_left) = (&said.float[..], &said.int8[..]);
    let mut comparison = Comparison { labels, splits: Vec::new() };
    let mut same = 0;
    for ((name, images), groups) in splits {
        let (logits, outputs);
        (logits, float_left) = float_left.split_at(images.len());
        (outputs, int8_left) = int8_left.split_at(images.len());
        let (float, host) = (float_classes(logits), int8_classes(outputs));
        same += float.iter().zip(&host).filter(|(a, b)| a == b).count();
        let mut engines = vec![("float", &float[..]), ("int8", &host[..])];
        let on_device = device.as_mut().map(|on| run_on_device(on, images, outputs)).transpose()?;
        engines.extend(on_device.as_ref().map(|classes| ("device", &classes[..])));
        comparison.splits.push(Split::new(name, comparison.labels.len(), &images.labels, &groups, &engines));
    }
    let parity = Parity {
        layers,
        images: inputs.len(),
        agreement: same as f64 / inputs.len() as f64,
        device: device.map(|(_, parity)| parity),
        comparison,
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&parity)?);
    } else {
        parity.print();
    }
    Ok(parity.verdict(args.min_agreement))
}

/// A device that runs the blob.
type OnDevice = (Device, DeviceParity);

fn connect(args: &ParityArgs, blob: &[u8]) -> Result<Option<OnDevice>> {
    let share = args.inject_faults / 100.0;
    ensure!((0.0..=0.5).contains(&share), "--inject-faults takes 0 to 50 percent");
    let Some(mut transport) = args.link.transport(blob)? else { return Ok(None) };
    if share > 0.0 {
        transport = Box::new(Faulty::new(transport, FAULTS_SEED, share).0);
    }
    let device = Device::with_model(transport, blob)?;
    let parity = DeviceParity::new(&device);
    Ok(Some((device, parity)))
}

/// Keeps at most `limit` elements, spread over all.
pub(super) fn thin<T>(items: &mut Vec<T>, limit: usize) {
    let len = items.len();
    if len > limit {
        let mut index = 0;
        items.retain(|_| {
            let kept = (index + 1) * limit / len > index * limit / len;
            index += 1;
            kept
        });
    }
}

/// Runs the images on the device; gives its classes.
fn run_on_device((device, parity): &mut OnDevice, images: &Images, expected: &[Int8Output]) -> Result<Vec<usize>> {
    progress::tell(images.len(), "answers of the device");
    let bar = progress::bar(images.len(), "images on the device");
    let classes = expected.iter().enumerate().map(|(index, expected)| {
        bar.inc(1);
        parity.compare(device, &images.input(index), expected)
    });
    let classes = log::stage("int8 on the device", || classes.collect());
    bar.finish_and_clear();
    classes
}

impl Parity {
    fn print(&self) {
        print!("{}", self.comparison.to_text());
        println!("\n{}", layers_text(&self.layers));
        println!("\n{} images: float and int8 give the same class for {:.1} %", self.images, 100.0 * self.agreement);
        if let Some(device) = &self.device {
            println!("{device}");
        }
    }

    fn verdict(&self, min_agreement: Option<f64>) -> ExitCode {
        let mut code = ExitCode::SUCCESS;
        if let Some(bound) = min_agreement.filter(|bound| self.agreement * 100.0 < *bound) {
            eprintln!("error: float and int8 agree on fewer than {bound} of 100 images");
            code = BOUND_MISSED.into();
        }
        if self.device.as_ref().is_some_and(|device| device.differing_bytes > 0) {
            eprintln!("error: the device's bytes differ from the host's");
            code = BOUND_MISSED.into();
        }
        code
    }
}

#[cfg(test)]
mod tests {
    use super::thin;

    #[test]
    fn thinning_keeps_the_number_asked_for_and_spreads_it() {
        for (len, limit) in [(10, 3), (100, 7), (5, 5), (5, 9), (4, 0)] {
            let mut items: Vec<usize> = (0..len).collect();
            thin(&mut items, limit);
            assert_eq!(items.len(), limit.min(len), "{limit} of {len}");
            assert!(items.windows(2).all(|pair| pair[1] - pair[0] <= len.div_ceil(limit)), "{items:?}");
        }
    }
}
