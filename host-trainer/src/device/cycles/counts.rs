//! What the plugin reported.

use std::collections::BTreeMap;
use std::str::FromStr;

use anyhow::{Context, Result, bail};

/// All regions, and the instructions that ran, as far as a model knows them.
#[derive(Debug)]
pub struct Counts<I> {
    pub regions: Vec<RegionCounts>,
    /// By address.
    pub instructions: BTreeMap<u32, I>,
}

/// A region.
#[derive(Debug, Default)]
pub struct RegionCounts {
    pub instruction_misses: u64,
    pub data_misses: u64,
    pub blocks: Vec<Block>,
    /// By address of the instruction: how often the address accessed had each remainder of the access's length.
    pub accesses: BTreeMap<u32, [u64; 4]>,
}

/// Instructions in a row.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    pub start: u32,
    pub end: u32,
    pub runs: u64,
    pub jumps_in: u64,
    pub jumps_out: u64,
}

impl<I> Counts<I> {
    /// Reads the report, and each instruction from its bytes' number and QEMU's text.
    ///
    /// # Errors
    /// Names the line that is damaged or holds an unknown instruction.
    pub fn read(report: &str, instruction: impl Fn(u32, &str) -> Result<I>) -> Result<Self> {
        let mut counts = Self { regions: Vec::new(), instructions: BTreeMap::new() };
        for line in report.lines() {
            if line == "end" {
                return Ok(counts);
            }
            counts.add(line, &instruction).with_context(|| format!("the plugin's line `{line}` cannot be used"))?;
        }
        bail!("the plugin's report breaks off")
    }

    fn add(&mut self, line: &str, instruction: &impl Fn(u32, &str) -> Result<I>) -> Result<()> {
        let (name, values) = line.split_once(' ').context("it is empty")?;
        match name {
            "region" => {
                let [instruction_misses, data_misses] = numbers(values)?;
                self.regions.push(RegionCounts { instruction_misses, data_misses, ..RegionCounts::default() });
            }
            "block" => {
                let (start, values) = address(values)?;
                let (end, values) = address(values)?;
                let [runs, jumps_in, jumps_out] = numbers(values)?;
                self.region()?.blocks.push(Block { start, end, runs, jumps_in, jumps_out });
            }
            "access" => {
                let (address, values) = address(values)?;
                self.region()?.accesses.insert(address, numbers(values)?);
            }
            "instruction" => {
                let (address, values) = address(values)?;
                let (width, text) = values.split_once(' ').context("it has no text")?;
                self.instructions.insert(address, instruction(width.parse()?, text)?);
            }
            _ => bail!("its kind is unknown"),
        }
        Ok(())
    }

    fn region(&mut self) -> Result<&mut RegionCounts> {
        self.regions.last_mut().context("it is outside of a region")
    }
}

/// A hexadecimal address, and what follows it.
fn address(text: &str) -> Result<(u32, &str)> {
    let (address, rest) = text.split_once(' ').context("it is too short")?;
    Ok((u32::from_str_radix(address, 16)?, rest))
}

fn numbers<const N: usize>(text: &str) -> Result<[u64; N]> {
    let numbers: Vec<u64> = text.split(' ').map(u64::from_str).collect::<Result<_, _>>()?;
    numbers.try_into().ok().context("it has another number of fields")
}

#[cfg(test)]
mod tests {
    use super::super::instruction::Instruction;
    use super::*;

    const REPORT: &str = "region 3 4\nblock 10 14 5 1 2\naccess 10 5 0 0 1\ninstruction 10 2 ldr r0, [r1]\n\
                          instruction 12 2 bx lr\nend\n";

    #[test]
    fn a_report_is_read() {
        let counts = Counts::read(REPORT, Instruction::read).unwrap();
        let region = &counts.regions[0];
        assert_eq!((region.instruction_misses, region.data_misses), (3, 4));
        let Block { start, end, runs, jumps_in, jumps_out } = region.blocks[0];
        assert_eq!((start, end, runs, jumps_in, jumps_out), (0x10, 0x14, 5, 1, 2));
        assert_eq!(region.accesses[&0x10], [5, 0, 0, 1]);
        assert_eq!(counts.instructions.len(), 2);
    }

    #[test]
    fn damage_is_found() {
        for (from, to) in [
            ("end\n", ""),
            ("region 3 4\n", ""),
            ("region 3 4", "region 3"),
            ("bx lr", "bxxx lr"),
            ("block 10", "block x"),
            ("access", "excess"),
        ] {
            assert!(Counts::read(&REPORT.replace(from, to), Instruction::read).is_err(), "{to:?} in place of {from:?}");
        }
    }
}
