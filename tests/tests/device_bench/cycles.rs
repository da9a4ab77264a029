//! Cycles that are modelled from counts, and what they come to on boards.

use anyhow::{Result, ensure};
use host_trainer::device::Core;
use host_trainer::device::boards::{Board, Estimate, named};
use host_trainer::device::cycles::{Caches, Cycles, regions_of_sequences};
use host_trainer::device::measure::Bench;

use crate::kws;

/// Nominal cycles of the sequences in `firmware-example/rig/src/bin/sequences.rs`, worked out there by hand.
pub fn sequences_take_the_cycles_that_the_manual_says() -> Result<()> {
    let expected = [0, 5, 5, 5, 6, 5, 6, 5, 6, 5, 301, 6, 10, 3, 5, 6];
    let regions = regions_of_sequences()?;
    ensure!(regions.len() == expected.len(), "{} sequences were counted", regions.len());
    let found: Vec<u64> = regions.iter().map(|region| region.cycles.nominal - 1).collect();
    ensure!(found == expected, "{found:?} cycles where {expected:?} were expected");
    ensure!(regions.iter().all(|region| {
        let Cycles { low, nominal, high } = region.cycles;
        low <= nominal && nominal <= high
    }));
    Ok(())
}

/// `count` fails where the plugin's counts are not those of the board's clock; here, that they add up too.
pub fn operators_cycles_add_up_to_the_inferences() -> Result<()> {
    let bench = Bench::build(Core::M4)?;
    let case = kws(Core::M4)?;
    let counted = bench.count(&case.blob, Caches::default())?;
    let sum: u64 = counted.operators.iter().map(|region| region.cycles.nominal).sum();
    let run = counted.run.cycles.nominal;
    ensure!(sum.abs_diff(run) < run / 100, "{sum} cycles of operators, {run} of the inference");
    ensure!((1.0..2.0).contains(&counted.run.cycles_per_instruction()), "{:?}", counted.run.cycles);
    ensure!(counted.run.with_wait_states(5).nominal > run && counted.run.functions.len() > 3);
    Ok(())
}

/// Vector instructions take two cycles of their unit, and one where they alternate: so many cycles an instruction.
pub fn m55_takes_cycles_within_its_readings() -> Result<()> {
    let bench = Bench::build(Core::M55)?;
    let case = kws(Core::M55)?;
    let counted = bench.count(&case.blob, Caches::default())?;
    let Cycles { low, nominal, high } = counted.run.cycles;
    ensure!(counted.run.instructions <= low && low < nominal && nominal < high, "{:?}", counted.run.cycles);
    ensure!((1.15..1.4).contains(&counted.run.cycles_per_instruction()), "{:?}", counted.run.cycles);
    let sum: u64 = counted.operators.iter().map(|region| region.cycles.nominal).sum();
    ensure!(sum.abs_diff(nominal) < nominal / 50, "{sum} cycles of operators, {nominal} of the inference");
    let board = named(&["grove-vision-ai-v2".to_owned()])?.remove(0);
    let estimate = Estimate::new(&bench, &case.blob, board)?;
    ensure!(estimate.core_is_modelled && estimate.cycles == [low, nominal, high], "{estimate:?}");
    Ok(())
}

pub fn an_estimate_says_what_fits() -> Result<()> {
    let bench = Bench::build(Core::M4)?;
    let case = kws(Core::M4)?;
    let board = named(&["nucleo-l4r5zi".to_owned()])?.remove(0);
    let without_waits = bench.count(&case.blob, board.caches)?.run.cycles;
    let estimate = Estimate::new(&bench, &case.blob, board.clone())?;
    let [low, nominal, high] = estimate.cycles;
    ensure!(estimate.fits && without_waits.nominal < nominal && low <= nominal && nominal <= high, "{estimate:?}");
    ensure!((estimate.milliseconds[1] * 120_000.0 - nominal as f64).abs() < 1.0, "{estimate:?}");
    ensure!(!Estimate::new(&bench, &case.blob, Board { flash_kib: 32, ..board.clone() })?.fits, "32 KB of flash");
    ensure!(!Estimate::new(&bench, &case.blob, Board { ram_kib: 8, ..board })?.fits, "8 KB of RAM");
    Ok(())
}
