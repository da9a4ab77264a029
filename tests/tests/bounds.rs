//! Instructions of the emulated cores are held to what parsing counts: of any blob so many for what may be read of it, and of
//! a run so many for its products, its bytes and its operators.

use anyhow::{Context, Result, ensure};
use host_trainer::device::measure::Bench;
use host_trainer::device::{Core, missing_for};
use libtest_mimic::{Arguments, Trial};
use model_compiler::aligned::Aligned;
use model_compiler::blob::{Parts, write};
use no_std_infer::format::Op;
use no_std_infer::{Cost, Model, READS_PER_BYTE};
use tests::needing::trial;
use tests::operators::{Case, Kind, random};

/// Instructions for each byte that parsing may read, on any core: the transform of weights takes the most.
const FOR_A_READ: u64 = 120;
/// Instructions for a product, for a byte that is moved, and for an operator, as [`Cost::MINUTE`] has them.
const FOR_A_PRODUCT: u64 = 30;
const FOR_A_BYTE: u64 = 125;
const FOR_AN_OPERATOR: u64 = 10_000;
/// Instructions of a minute, of a core that carries out 100 million of them in a second.
const A_MINUTE: u64 = 60 * 100_000_000;
/// Random models of each operator.
const CASES: u64 = 4;
/// Most copies of an operator: with the others there are fewer than the 1,024 that the firmware has room for.
const COPIES: usize = 900;

fn main() {
    let on =
        |core: Core| trial(&format!("instructions_are_bounded::{core:?}"), &missing_for(core), move || bounded(core));
    let mut trials: Vec<Trial> = [Core::M4, Core::M3, Core::M0Plus].map(on).into();
    trials.push(trial("the_limit_of_firmware_is_a_minute", &None, the_limit_of_firmware_is_a_minute));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn bounded(core: Core) -> Result<()> {
    let bench = Bench::build(core)?;
    let mut beyond = Vec::new();
    for (kind, seed) in Kind::ALL.into_iter().flat_map(|kind| (0..CASES).map(move |seed| (kind, seed))) {
        let blob = crowded(&random(kind, seed))?;
        let model = Model::parse(&blob)?;
        let (measured, Cost { products, bytes }) = (bench.measure(&blob)?, model.cost());
        let parse = FOR_A_READ * (READS_PER_BYTE * blob.len()) as u64;
        if measured.parse > parse {
            beyond.push(format!("{kind:?} {seed}: {} instructions to parse, not {parse}", measured.parse));
        }
        let operators = FOR_AN_OPERATOR * u64::from(model.info().ops);
        let run = FOR_A_PRODUCT * products + FOR_A_BYTE * bytes + operators;
        if measured.run > run {
            let what = format!("{products} products, {bytes} bytes and {operators} for operators");
            beyond.push(format!("{kind:?} {seed}: {} instructions for {what}", measured.run));
        }
    }
    ensure!(beyond.is_empty(), "{}", beyond.join("\n"));
    Ok(())
}

/// The model with its operator so many times that parsing would hardly read more: all share its constants, and look back to what it
/// reads.
fn crowded(case: &Case) -> Result<Aligned<u8>> {
    let model = Model::parse(&case.blob)?;
    let ops: Vec<Op> = model.ops().collect();
    let (before, after) = ops.split_at_checked(3).context("the operator is the third")?;
    let again = before.last().copied().context("there are three")?;
    let blob = |count: usize| {
        let ops: Vec<Op> = before.iter().copied().chain(vec![again; count]).chain(after.iter().copied()).collect();
        write(&Parts { info: *model.info(), labels: &[], ops: &ops, weights: model.weights(), layers: None })
    };
    let counts = (0..=COPIES).rev().step_by(25);
    counts.map(blob).find(|blob| Model::parse(blob).is_ok()).context("without more it is the same model")
}

fn the_limit_of_firmware_is_a_minute() -> Result<()> {
    let Cost { products, bytes } = Cost::MINUTE;
    let instructions = FOR_A_PRODUCT * products + FOR_A_BYTE * bytes;
    ensure!(instructions <= A_MINUTE, "{instructions} instructions");
    Ok(())
}
