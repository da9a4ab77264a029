//! What a blob costs on the emulated device, operator by operator, with one firmware for all blobs.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use model_compiler::aligned::Aligned;
use no_std_infer::format::Generator;
use no_std_infer::golden::trace;
use no_std_infer::kernels::Generic;
use no_std_infer::{Interpreter, Model};
use serde::{Deserialize, Serialize};

use super::{COUNTED, Core, Elf, Loaded};

/// Seed of the input where the blob has no golden vector: the firmware's.
pub const SEED: u32 = 0x2545_F491;

/// What an inference costs. Instructions are counted by a clock that ticks every 40 of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measurement {
    /// The core.
    pub core: Core,
    /// Instructions of a whole inference.
    pub run: u64,
    /// Instructions of `Model::parse`.
    pub parse: u64,
    /// Bytes of the blob.
    pub blob: usize,
    /// Bytes of arena.
    pub arena: usize,
    /// Bytes of `Model`, which lies on the stack.
    pub model: usize,
    /// Most bytes of stack in use for parsing and running, those of `Model` and of the firmware's own frames included.
    pub stack: usize,
    /// Instructions of each operator.
    pub operators: Vec<u64>,
}

impl Measurement {
    /// Bytes of RAM that an inference needs: arena and stack.
    #[must_use]
    pub fn ram(&self) -> usize {
        self.arena + self.stack
    }
}

/// Firmware that measures blobs.
#[derive(Clone, Debug)]
pub struct Bench {
    firmware: Loaded,
}

impl Bench {
    /// Builds the firmware for a core.
    ///
    /// # Errors
    /// Those of [`build`](super::build).
    pub fn build(core: Core) -> Result<Self> {
        Ok(Self { firmware: Loaded::build("bench", core)? })
    }

    /// Builds the firmware with only the kernels that a blob needs: others may be refused.
    ///
    /// # Errors
    /// Those of [`build`](super::build).
    pub fn build_for(core: Core, blob: &[u8]) -> Result<Self> {
        Ok(Self { firmware: Loaded::build_for("bench", core, blob)? })
    }

    /// The core that it measures on.
    #[must_use]
    pub fn core(&self) -> Core {
        self.firmware.core
    }

    /// The firmware's file.
    pub(super) fn path(&self) -> &Path {
        &self.firmware.elf
    }

    /// The firmware's functions, size and compiler.
    ///
    /// # Errors
    /// When the file has gone.
    pub fn elf(&self) -> Result<Elf> {
        Elf::read(&self.firmware.elf)
    }

    /// Runs a blob, whose operators must all make the bytes that they make on this machine.
    ///
    /// # Errors
    /// When the blob is not valid or too large for the emulated board, QEMU cannot be run, or a byte differs.
    pub fn measure(&self, blob: &Aligned<u8>) -> Result<Measurement> {
        self.run(blob, &COUNTED)
    }

    /// Like [`measure`](Self::measure) with more options for QEMU.
    pub(super) fn run(&self, blob: &Aligned<u8>, options: &[&str]) -> Result<Measurement> {
        let printed = self.firmware.run(blob, options)?;
        let report = Report::read(&printed).with_context(|| format!("the firmware printed\n{printed}"))?;
        let (found, expected) = (report.part_number, self.core().part_number());
        ensure!(found == expected, "QEMU emulates a core of part number {found:#x} in place of {expected:#x}");
        let (found, expected) = (&report.kernels, self.core().kernels());
        ensure!(found == expected, "the firmware has the kernels {found} in place of {expected}");
        report.check(&Model::parse(blob)?)?;
        Ok(Measurement { core: self.core(), blob: blob.len(), ..report.measurement })
    }
}

/// What the firmware printed.
#[derive(Default)]
struct Report {
    measurement: Measurement,
    part_number: u32,
    kernels: String,
    crc: u32,
    layers: Vec<u32>,
    self_test: String,
}

impl Report {
    fn read(printed: &str) -> Result<Self> {
        let mut report = Self::default();
        let lines = printed.lines().map(|line| line.split_once(' ').unwrap_or((line, "")));
        for (name, value) in lines {
            let measured = &mut report.measurement;
            match name {
                "core" => report.part_number = u32::from_str_radix(value, 16)?,
                "kernels" => value.clone_into(&mut report.kernels),
                "crc" => report.crc = u32::from_str_radix(value, 16)?,
                "parse" => measured.parse = value.parse()?,
                "run" => measured.run = value.parse()?,
                "arena" => measured.arena = value.parse()?,
                "model" => measured.model = value.parse()?,
                "stack" => measured.stack = value.parse()?,
                "op" => report.add_operator(value)?,
                "self-test" => value.clone_into(&mut report.self_test),
                "error" => bail!("the device refused: {value}"),
                "end" => return Ok(report),
                _ => bail!("the line `{name} {value}` is unknown"),
            }
        }
        bail!("the report has no end")
    }

    fn add_operator(&mut self, value: &str) -> Result<()> {
        let fields: Vec<&str> = value.split(' ').collect();
        let &[index, cost, crc] = fields.as_slice() else { bail!("an operator has {} fields", fields.len()) };
        ensure!(index.parse() == Ok(self.layers.len()), "operator {index} is out of order");
        self.measurement.operators.push(cost.parse()?);
        self.layers.push(u32::from_str_radix(crc, 16)?);
        Ok(())
    }

    /// Compares every operator's output with this machine's.
    fn check(&self, model: &Model<'_>) -> Result<()> {
        ensure!(self.crc == model.crc(), "the device ran another blob");
        ensure!(["passed", "none"].contains(&&*self.self_test), "the self-test failed: {}", self.self_test);
        let (generator, seed) =
            model.golden().map_or((Generator::Xorshift32, SEED), |golden| (golden.generator, golden.seed));
        let mut layers = Vec::new();
        let mut arena = Aligned::new(model.arena_len());
        let mut interpreter = Interpreter::with_kernels::<Generic>(*model, &mut arena)?;
        trace(&mut interpreter, generator, seed, |_, crc| layers.push(crc));
        ensure!(
            layers.len() == self.layers.len(),
            "the device ran {} operators of {}",
            self.layers.len(),
            layers.len()
        );
        let differs = layers.iter().zip(&self.layers).position(|(host, device)| host != device);
        if let Some(index) = differs {
            bail!("operator {index} makes other bytes on the device than on this machine")
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "core c24\nkernels armv7em\ncrc 0000abcd\nparse 80\nrun 1200\narena 16\nmodel 172\nstack 900\n\
                           op 0 400 00000001\nop 1 800 ffffffff\nself-test passed\nend\n";

    #[test]
    fn a_report_is_read() {
        let report = Report::read(PRINTED).unwrap();
        let measured = &report.measurement;
        assert_eq!((measured.parse, measured.run, measured.arena, measured.stack), (80, 1200, 16, 900));
        assert_eq!((measured.ram(), &*measured.operators), (916, &[400, 800][..]));
        assert_eq!((report.crc, &*report.layers, &*report.self_test), (0xABCD, &[1, u32::MAX][..], "passed"));
        assert_eq!((report.part_number, &*report.kernels), (0xC24, "armv7em"));
    }

    #[test]
    fn a_report_that_breaks_off_or_is_damaged_is_an_error() {
        for (from, to, why) in [
            ("end\n", "", "no end"),
            ("op 1", "op 2", "out of order"),
            ("800 ffffffff", "800", "2 fields"),
            ("arena 16", "arena x", "invalid digit"),
            ("model 172", "modal 172", "unknown"),
            ("parse 80", "error no blob", "no blob"),
        ] {
            let error = Report::read(&PRINTED.replace(from, to)).err().unwrap();
            assert!(format!("{error:#}").contains(why), "{error:#}");
        }
    }
}
