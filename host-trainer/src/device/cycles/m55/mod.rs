//! Modelled Cortex-M55 cycles: exact counts from QEMU, put through a simple pipeline that issues instructions in order.
//!
//! The figures are those of SLOTHY's description of the core (Abdulrahman, Becker, Kannwischer, Klein: "Fast and Clean: Auditable
//! high-performance assembly via constraint solving"), which its authors call approximate: an instruction issues each cycle; one of
//! vectors keeps its unit for two, so that neighbours of different units overlap. What they leave open is read in three ways, of
//! which [`pipeline`] tells. There are no waits for memory: code and data are taken to lie in tightly coupled memory.

mod disassembly;
mod instruction;
mod pipeline;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

use super::counts::{Block, Counts, RegionCounts};
use super::{Cycles, Region, Sums};
use crate::device::Elf;

use instruction::Instruction;
use pipeline::{Pipeline, Reading};

pub(super) use disassembly::missing;

/// What every figure here is.
pub const DISCLAIMER: &str = "modelled Cortex-M55 cycles, a simple pipeline with published figures that are called approximate, \
                              exact counts from QEMU, without waits for memory, not measured on silicon";

type Code = BTreeMap<u32, Instruction>;

/// The cost of each region of a plugin's report.
///
/// # Errors
/// When the report is damaged, or the firmware has an instruction that the model does not know.
pub(super) fn regions(report: &str, path: &Path, elf: &Elf) -> Result<Vec<Region>> {
    let counts = Counts::read(report, |_, _| Ok(()))?;
    let code = disassembly::read(path, &counts.instructions)?;
    counts.regions.iter().map(|region| evaluate(region, &code, elf)).collect()
}

fn evaluate(counts: &RegionCounts, code: &Code, elf: &Elf) -> Result<Region> {
    let mut sums = Sums::new(elf);
    let flow = Flow::of(&counts.blocks, code);
    for block in &counts.blocks {
        let straight = straight(code, block);
        let (_, last) = code.range(block.start..block.end).next_back().context("a block is empty")?;
        let before = flow.before(block);
        let cycles = Cycles::each_of(&Reading::ALL, |reading| {
            let mut pipeline = Pipeline::new(reading);
            before.iter().for_each(|block| pipeline.run(self::straight(code, block)));
            let start = pipeline.now();
            pipeline.run(straight.clone());
            let refills = if last.is_branch { reading.refill * block.jumps_out } else { 0 };
            (pipeline.now() - start) * block.runs + refills
        });
        sums.add(block.start, block.runs * straight.count() as u64, cycles);
    }
    sums.add_accesses(&counts.accesses);
    Ok(sums.finish(0))
}

/// A block's instructions.
fn straight<'c>(code: &'c Code, block: &Block) -> impl Iterator<Item = &'c Instruction> + Clone + use<'c> {
    code.range(block.start..block.end).map(|(_, instruction)| instruction)
}

/// Which block ran before another, most often.
struct Flow<'b> {
    /// By their end: what is fallen out of.
    by_end: BTreeMap<u32, &'b Block>,
    /// By the address that their last instruction jumps to.
    by_target: BTreeMap<u32, &'b Block>,
}

impl<'b> Flow<'b> {
    fn of(blocks: &'b [Block], code: &Code) -> Self {
        let mut flow = Self { by_end: BTreeMap::new(), by_target: BTreeMap::new() };
        for block in blocks {
            keep_most(&mut flow.by_end, block.end, block, |block| block.runs);
            let target = code.range(block.start..block.end).next_back().and_then(|(_, last)| last.target);
            if let Some(target) = target.filter(|_| block.jumps_out > 0) {
                keep_most(&mut flow.by_target, target, block, |block| block.jumps_out);
            }
        }
        flow
    }

    /// The two blocks that ran before one, as far as they are known.
    fn before(&self, block: &Block) -> Vec<&'b Block> {
        let jumped = self.by_target.get(&block.start).filter(|_| block.jumps_in * 2 > block.runs);
        let Some(&last) = jumped.or_else(|| self.by_end.get(&block.start)) else { return Vec::new() };
        // A loop of one block ran before itself twice.
        let first = if last.start == block.start { Some(last) } else { self.by_end.get(&last.start).copied() };
        first.into_iter().chain([last]).collect()
    }
}

/// Puts a block at an address, unless one that counts more is there.
fn keep_most<'b>(blocks: &mut BTreeMap<u32, &'b Block>, at: u32, block: &'b Block, count: impl Fn(&Block) -> u64) {
    let most = blocks.entry(at).or_insert(block);
    if count(block) > count(most) {
        *most = block;
    }
}
