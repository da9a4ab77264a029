//! Every kernel gives the oracle's bytes on the emulated device too: on its instructions, not on models of them. Guard
//! bytes lie around the arena, and nothing in it may change besides outputs and scratch.

use std::sync::{Arc, Mutex, OnceLock};

use anyhow::{Result, anyhow, ensure};
use host_trainer::device::{Core, Loaded, missing_for};
use libtest_mimic::{Arguments, Trial};
use no_std_infer::operators::Form;
use no_std_infer::{CRC32, Model};
use rayon::prelude::*;
use tests::needing::trial;
use tests::operators::{Kind, random};
use tests::{Reference, outputs};

/// Cases of each operator on a core. Of the faults that were put into the assembly at random, one at a time, those that 10,000
/// cases find were found by the first 20; `tests/tests/operators.rs` has more cases for the models of the same loops.
const CASES: u64 = 250;
/// The same where the core runs another's instructions, or they are assembled for another core only.
const FEW_CASES: u64 = 60;
/// Cases beyond these: an output of one column, where there once was a fault, and convolutions of 3x3 over 16 channels, which few of
/// the others are, and whose patches a Cortex-M55 reads where they lie.
const BESIDE: [(Kind, u64); 4] =
    [(Kind::DepthwiseConv2d, 3281), (Kind::Conv2d, 3035), (Kind::Conv2d, 6394), (Kind::Conv2d, 117_175)];
/// Bytes of cases that are loaded at a time.
const BATCH: usize = 12 << 20;

/// Operators by the name of their trial.
type Kinds = &'static [(&'static str, Kind)];

/// Every way in which the kernels' assembly is assembled, and how many cases of each operator run there.
const CORES: [(Core, u64, Kinds); 9] = [
    (Core::M4, CASES, &DSP),
    (Core::M33, FEW_CASES, &DSP),
    (Core::M4NoFpu, FEW_CASES, &DSP),
    (Core::M33NoFpu, FEW_CASES, &DSP),
    (Core::M55, CASES, &DSP),
    (Core::M3, CASES, &SCALAR),
    (Core::M33NoDsp, FEW_CASES, &SCALAR),
    (Core::M0Plus, CASES, &SCALAR),
    (Core::M23, FEW_CASES, &SCALAR),
];
/// What cores with the DSP extension have kernels for.
const DSP: [(&str, Kind); 11] = [
    ("conv2d", Kind::Conv2d),
    ("winograd_2x2", Kind::Winograd(Form::F2x2)),
    ("winograd_4x4", Kind::Winograd(Form::F4x4)),
    ("winograd_stride_2", Kind::Winograd(Form::Stride2)),
    ("depthwise_conv2d", Kind::DepthwiseConv2d),
    ("dense", Kind::Dense),
    ("max_pool2d", Kind::MaxPool2d),
    ("average_pool2d", Kind::AveragePool2d),
    ("add", Kind::Add),
    ("mean", Kind::Mean),
    ("softmax", Kind::Softmax),
];
/// What cores without vector instructions have kernels for.
const SCALAR: [(&str, Kind); 6] = [
    ("conv2d", Kind::Conv2d),
    ("depthwise_conv2d", Kind::DepthwiseConv2d),
    ("add", Kind::Add),
    ("winograd_2x2", Kind::Winograd(Form::F2x2)),
    ("winograd_4x4", Kind::Winograd(Form::F4x4)),
    ("winograd_stride_2", Kind::Winograd(Form::Stride2)),
];

fn main() {
    let mut trials: Vec<Trial> = Vec::new();
    let mut kinds: Vec<(&str, Kind)> = Vec::new();
    for &(name, kind) in CORES.iter().flat_map(|(.., kinds)| *kinds) {
        if !kinds.contains(&(name, kind)) {
            kinds.push((name, kind));
        }
    }
    // All cores of an operator together: its cases need not lie in memory for long.
    for (name, kind) in kinds {
        let cores = CORES.iter().filter(|(.., kinds)| kinds.contains(&(name, kind)));
        let most = cores.clone().map(|&(_, count, _)| count).max().unwrap_or(0);
        let cases = Arc::new(Cases { kind, most, encoded: OnceLock::new() });
        for &(core, count, _) in cores {
            let cases = Arc::clone(&cases);
            let name = format!("{}::{name}", core.title());
            trials.push(trial(&name, &missing_for(core), move || conforms(core, &cases, count)));
        }
    }
    trials.push(trial("a_difference_is_found", &missing_for(Core::M4), a_difference_is_found));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// Cases of an operator with the answers of the oracle, made once for all cores.
struct Cases {
    kind: Kind,
    most: u64,
    encoded: OnceLock<Vec<Vec<u8>>>,
}

impl Cases {
    fn get(&self) -> &[Vec<u8>] {
        let seeds = || (0..self.most).chain(self.beside()).collect::<Vec<u64>>();
        self.encoded.get_or_init(|| seeds().into_par_iter().map(|seed| encoded(self.kind, seed)).collect())
    }

    fn beside(&self) -> impl Iterator<Item = u64> {
        BESIDE.into_iter().filter(|&(kind, _)| kind == self.kind).map(|(_, seed)| seed)
    }
}

/// The firmware for a core, built once: the builds for two cores of one target replace each other.
fn firmware(core: Core) -> Result<Loaded> {
    static BUILT: Mutex<Vec<(Core, Loaded)>> = Mutex::new(Vec::new());
    let mut built = BUILT.lock().map_err(|_| anyhow!("another build has failed"))?;
    if let Some((_, firmware)) = built.iter().find(|(other, _)| *other == core) {
        return Ok(firmware.clone());
    }
    let firmware = Loaded::build("conformance", core)?;
    built.push((core, firmware.clone()));
    Ok(firmware)
}

fn conforms(core: Core, cases: &Cases, count: u64) -> Result<()> {
    let firmware = firmware(core)?;
    let (common, beside) = cases.get().split_at(cases.most as usize);
    let (count, mut passed) = (count + beside.len() as u64, 0);
    let mut cases = common.iter().take(count as usize - beside.len()).chain(beside).peekable();
    while cases.peek().is_some() {
        let mut batch = Batch::default();
        while batch.bytes.len() < BATCH
            && let Some(case) = cases.next()
        {
            batch.add(case);
        }
        let printed = firmware.run(&batch.finish(), &[])?;
        ensure!(printed.trim() == format!("passed {} with {}", batch.count, core.kernels()), "{printed}");
        passed += batch.count;
    }
    ensure!(passed == count, "{passed} of {count} cases ran");
    Ok(())
}

/// The suite must be able to fail.
fn a_difference_is_found() -> Result<()> {
    let firmware = firmware(Core::M4)?;
    let mut batch = Batch::default();
    batch.add(&encoded(Kind::Add, 1));
    let mut bytes = batch.finish();
    bytes[HEADER + 8] ^= 1;
    let error = firmware.run(&bytes, &[]).err().map(|error| format!("{error:#}")).unwrap_or_default();
    ensure!(error.contains("seed 1: the bytes are not the oracle's"), "{error}");
    Ok(())
}

/// A case with the oracle's answer, as the firmware `conformance` reads it.
fn encoded(kind: Kind, seed: u64) -> Vec<u8> {
    let case = random(kind, seed);
    let model = Model::parse(&case.blob).expect("the generator makes valid models");
    let mut digest = CRC32.digest();
    for output in outputs::<Reference>(&model, &case.input) {
        digest.update(&output.iter().map(|&value| value as u8).collect::<Vec<u8>>());
    }
    let mut bytes = seed.to_le_bytes().to_vec();
    bytes.extend(digest.finalize().to_le_bytes());
    bytes.extend((case.input.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&case.blob);
    bytes.extend(case.input.iter().map(|&value| value as u8));
    bytes
}

const HEADER: usize = 16;

/// Cases in the firmware's memory.
#[derive(Default)]
struct Batch {
    count: u64,
    bytes: Vec<u8>,
}

impl Batch {
    fn add(&mut self, case: &[u8]) {
        self.bytes.resize(self.bytes.len().max(HEADER).next_multiple_of(16), 0);
        self.bytes.extend(case);
        self.count += 1;
    }

    fn finish(&self) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        bytes[..8].copy_from_slice(&self.count.to_le_bytes());
        bytes
    }
}
