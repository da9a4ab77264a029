//! Modelled cycles over exact counts from QEMU, not measured on silicon: of a Cortex-M4 by rules of its technical reference manual, and
//! of a Cortex-M55 by a pipeline.

mod counts;
mod instruction;
mod m55;
mod plugin;
mod rules;

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use model_compiler::aligned::Aligned;
use serde::{Deserialize, Serialize};

use super::measure::{Bench, Measurement};
use super::{Core, Elf};

use counts::{Block, Counts, RegionCounts};
use instruction::{Instruction, Kind};
pub use rules::{Cycles, Rules};

/// What every figure of a Cortex-M4 is.
pub const DISCLAIMER: &str = "modelled Cortex-M4 cycles, TRM rules, exact counts from QEMU, not measured on silicon";

/// What every figure of a core is; `None` where its cycles are not modelled.
#[must_use]
pub fn disclaimer(core: Core) -> Option<&'static str> {
    match core {
        Core::M4 => Some(DISCLAIMER),
        Core::M55 => Some(m55::DISCLAIMER),
        _ => None,
    }
}

/// Where the emulated board has its code.
const CODE: std::ops::Range<u32> = 0..0x0040_0000;
/// Instructions by which a clock's interval may exceed the region in it: its two ticks, and reading it.
const CLOCK_OVERHEAD: u64 = 200;

/// Caches between flash and core. They are fully associative, and drop what was used longest ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caches {
    /// Lines for instructions, 1 or more: a part without cache has a buffer of one line.
    pub instruction_lines: u32,
    /// Lines for constants in flash, 1 or more.
    pub data_lines: u32,
    /// Bytes of a line.
    pub line: u32,
}

impl Default for Caches {
    /// Those of an STM32L4.
    fn default() -> Self {
        Self { instruction_lines: 32, data_lines: 8, line: 32 }
    }
}

/// What must be installed before a core's cycles can be counted; `None` when nothing is missing.
#[must_use]
pub fn missing(core: Core) -> Option<String> {
    let of_core = if core == Core::M55 { m55::missing() } else { None };
    super::missing_for(core).or(of_core).or_else(|| plugin::check_version().err().map(|error| error.to_string()))
}

/// What happened in a region: between two operators, or in a whole inference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Region {
    /// Instructions.
    pub instructions: u64,
    /// Cycles at zero wait states.
    pub cycles: Cycles,
    /// Accesses to memory.
    pub accesses: u64,
    /// Of them, those to addresses that are no multiple of their length (of 4, where that is longer).
    pub unaligned: u64,
    /// Lines of code that the instruction cache had to fetch.
    pub instruction_misses: u64,
    /// Lines of constants that the data cache had to fetch.
    pub data_misses: u64,
    /// Functions, the most expensive first.
    pub functions: Vec<Function>,
}

impl Region {
    /// Nominal cycles an instruction, at zero wait states.
    #[must_use]
    pub fn cycles_per_instruction(&self) -> f64 {
        self.cycles.nominal as f64 / self.instructions as f64
    }

    /// Cycles with flash of so many wait states behind the caches: each line that is fetched waits for them.
    #[must_use]
    pub fn with_wait_states(&self, wait_states: u32) -> Cycles {
        let stall = (self.instruction_misses + self.data_misses) * u64::from(wait_states);
        self.cycles.plus(Cycles { low: stall, nominal: stall, high: stall })
    }
}

/// What a function took of a region, what it calls left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Function {
    /// Its name in the ELF file.
    pub name: String,
    /// Instructions.
    pub instructions: u64,
    /// Cycles at zero wait states.
    pub cycles: Cycles,
}

/// A blob's costs, with cycles.
#[derive(Clone, Debug)]
pub struct Counted {
    /// What the firmware measured.
    pub measurement: Measurement,
    /// The whole inference.
    pub run: Region,
    /// Each operator.
    pub operators: Vec<Region>,
}

impl Bench {
    /// Runs a blob like [`measure`](Self::measure), and counts what its cycles depend on.
    ///
    /// # Errors
    /// Those of `measure`; when the core's cycles are [not modelled](disclaimer), QEMU takes no plugins of this kind, the plugin does not compile,
    /// the firmware has an instruction that the model does not know, or the plugin's counts are not those of the firmware's clock.
    pub fn count(&self, blob: &Aligned<u8>, caches: Caches) -> Result<Counted> {
        let title = self.core().title();
        ensure!(
            disclaimer(self.core()).is_some(),
            "cycles are modelled of a Cortex-M4 and a Cortex-M55, not of a {title}"
        );
        let elf = self.elf()?;
        let start = self.core().load_address();
        let flash = [CODE, start..start + blob.len() as u32];
        let (measurement, text) =
            plugin::counted(&elf, caches, &flash, |option| self.run(blob, &["-icount", "shift=0", "-plugin", option]))?;
        let mut regions =
            if self.core() == Core::M55 { m55::regions(&text, self.path(), &elf)? } else { regions(&text, &elf)? };
        ensure!(regions.len() == measurement.operators.len() + 1, "the plugin counted {} regions", regions.len());
        let operators = regions.split_off(1);
        let run = regions.remove(0);
        agree("the inference", &run, measurement.run)?;
        for (index, (region, &clock)) in operators.iter().zip(&measurement.operators).enumerate() {
            agree(&format!("operator {index}"), region, clock)?;
        }
        Ok(Counted { measurement, run, operators })
    }
}

/// The cost of each region of a plugin's report of a Cortex-M4.
///
/// # Errors
/// When the report is damaged or has an unknown instruction.
pub fn regions(report: &str, elf: &Elf) -> Result<Vec<Region>> {
    let counts = Counts::read(report, Instruction::read)?;
    counts.regions.iter().map(|region| evaluate(region, &counts.instructions, elf)).collect()
}

/// Runs firmware that holds no blob and counts between `region_begins` and `region_ends`.
///
/// # Errors
/// When it cannot be built or run.
pub fn regions_of_sequences() -> Result<Vec<Region>> {
    let path = super::build_sequences()?;
    let elf = Elf::read(&path)?;
    let (_, text) = plugin::counted(&elf, Caches::default(), &[CODE], |option| {
        let mut command = super::emulator(Core::M4, &path, "stdio");
        command.args(["-icount", "shift=0", "-plugin", option]);
        super::run_to_end(command)
    })?;
    regions(&text, &elf)
}

fn agree(what: &str, region: &Region, clock: u64) -> Result<()> {
    let same = region.instructions <= clock + CLOCK_OVERHEAD / 2 && clock <= region.instructions + CLOCK_OVERHEAD;
    ensure!(same, "the plugin counts {} instructions of {what}, the board's clock {clock}", region.instructions);
    Ok(())
}

fn evaluate(counts: &RegionCounts, instructions: &BTreeMap<u32, Instruction>, elf: &Elf) -> Result<Region> {
    let mut sums = Sums::new(elf);
    let mut runs = BTreeMap::new();
    sums.region.instruction_misses = counts.instruction_misses;
    sums.region.data_misses = counts.data_misses;
    for block in &counts.blocks {
        sums.add_block(block, instructions)?;
        for (&address, _) in instructions.range(block.start..block.end) {
            *runs.entry(address).or_default() += block.runs;
        }
    }
    for (&address, by_remainder) in &counts.accesses {
        let instruction = instructions.get(&address).context("an access is by no instruction")?;
        sums.add(address, 0, split_accesses(instruction, *by_remainder));
    }
    sums.add_accesses(&counts.accesses);
    let skipped = skipped_loads(&runs, instructions, &counts.accesses);
    Ok(sums.finish(skipped))
}

/// A region while it is added up.
struct Sums<'e> {
    elf: &'e Elf,
    functions: BTreeMap<&'e str, Function>,
    region: Region,
}

impl<'e> Sums<'e> {
    fn new(elf: &'e Elf) -> Self {
        Self { elf, functions: BTreeMap::new(), region: Region::default() }
    }

    fn add(&mut self, address: u32, instructions: u64, cycles: Cycles) {
        let name = self.elf.functions.range(..=address).next_back().map_or("?", |(_, name)| name);
        let new = || Function { name: name.to_owned(), instructions: 0, cycles: Cycles::default() };
        let function = self.functions.entry(name).or_insert_with(new);
        function.instructions += instructions;
        function.cycles = function.cycles.plus(cycles);
        self.region.instructions += instructions;
        self.region.cycles = self.region.cycles.plus(cycles);
    }

    fn add_block(&mut self, block: &Block, instructions: &BTreeMap<u32, Instruction>) -> Result<()> {
        let &Block { start, end, runs, jumps_in, jumps_out } = block;
        let straight: Vec<&Instruction> = instructions.range(start..end).map(|(_, instruction)| instruction).collect();
        let (&first, &last) = straight.first().zip(straight.last()).context("a block is empty")?;
        // A block that is only fallen into goes on where the one before it in memory ends.
        let before = instructions.range(..start).next_back();
        let before = before.filter(|&(address, before)| jumps_in == 0 && address + before.width == start);
        let before = before.map(|(_, before)| before);
        let unaligned_target = first.width == 4 && start & 2 != 0;
        let cycles = Cycles::each(|rules| {
            let refill = match last.kind {
                Kind::Branch => rules.branch,
                Kind::IndirectBranch | Kind::TableBranch => rules.indirect,
                _ if last.loads_pc() => rules.indirect,
                _ => 0,
            };
            let target = if unaligned_target { rules.unaligned_target } else { 0 };
            rules.block(start, before, &straight) * runs + refill * jumps_out + target * jumps_in
        });
        self.add(start, runs * straight.len() as u64, cycles);
        Ok(())
    }

    /// Counts accesses: by address of the instruction, how often each remainder of the length was met.
    fn add_accesses(&mut self, accesses: &BTreeMap<u32, [u64; 4]>) {
        for [none, one, two, three] in accesses.values() {
            self.region.accesses += none + one + two + three;
            self.region.unaligned += one + two + three;
        }
    }

    fn finish(self, skipped_loads: u64) -> Region {
        let Cycles { low, nominal, high } = self.region.cycles;
        let [low, nominal, high] = [low, nominal, high].map(|cycles| cycles.saturating_sub(skipped_loads));
        let ran = self.functions.into_values().filter(|function| function.instructions > 0);
        let mut functions: Vec<Function> = ran.collect();
        functions.sort_by_key(|function| std::cmp::Reverse(function.cycles.nominal));
        Region { cycles: Cycles { low, nominal, high }, functions, ..self.region }
    }
}

/// More cycles of unaligned accesses, which are done in pieces.
fn split_accesses(instruction: &Instruction, [_, one, two, three]: [u64; 4]) -> Cycles {
    let more = if instruction.size == 2 { one + three } else { 2 * (one + three) + two };
    Cycles::each(|rules| match instruction.kind {
        Kind::Load => more,
        Kind::Store if rules.unaligned_stores => more,
        _ => 0,
    })
}

/// Loads after an IT whose condition was not met: they took one cycle and not two.
fn skipped_loads(
    runs: &BTreeMap<u32, u64>,
    instructions: &BTreeMap<u32, Instruction>,
    accesses: &BTreeMap<u32, [u64; 4]>,
) -> u64 {
    let mut conditional = 0;
    let mut skipped = 0;
    for (address, instruction) in instructions {
        if let Kind::IfThen(count) = instruction.kind {
            conditional = count;
        } else if conditional > 0 {
            conditional -= 1;
            if instruction.kind == Kind::Load {
                let done: u64 = accesses.get(address).map_or(0, |by_remainder| by_remainder.iter().sum());
                skipped += runs.get(address).copied().unwrap_or(0).saturating_sub(done);
            }
        }
    }
    skipped
}
