//! What is counted.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use crate::options::Options;

/// A run of instructions without a branch, as QEMU translates it.
#[derive(Clone, Copy, Default)]
struct Block {
    start: u32,
    end: u32,
    /// Times run.
    runs: u64,
    /// Times that another block than the one before it in memory led here.
    jumps_in: u64,
    /// Times that another block than the one after it in memory followed.
    jumps_out: u64,
}

/// What an instruction did to memory: how often the address had the remainder 0, 1, 2 or 3 of the access's length, at
/// most 4.
#[derive(Clone, Copy, Default)]
struct Accesses {
    by_remainder: [u64; 4],
}

/// An instruction as it was seen first.
struct Instruction {
    width: u32,
    text: String,
}

/// A fully associative cache that drops what was used longest ago.
struct Cache {
    lines: Vec<u32>,
    size: usize,
    misses: u64,
}

impl Cache {
    fn new(size: usize) -> Self {
        Self { lines: Vec::with_capacity(size + 1), size, misses: 0 }
    }

    fn touch(&mut self, line: u32) {
        if self.size == 0 || self.lines.first() == Some(&line) {
            return;
        }
        match self.lines.iter().position(|&cached| cached == line) {
            Some(at) => self.lines[..=at].rotate_right(1),
            None => {
                self.misses += 1;
                self.lines.insert(0, line);
                self.lines.truncate(self.size);
            }
        }
    }
}

/// Everything that was counted so far.
pub struct Counts {
    options: Options,
    blocks: Vec<Block>,
    block_at: HashMap<(u32, u32), usize>,
    accesses: Vec<Accesses>,
    addresses: Vec<u32>,
    access_at: HashMap<u32, usize>,
    instructions: BTreeMap<u32, Instruction>,
    instruction_cache: Cache,
    data_cache: Cache,
    /// The block that ran last.
    last: Option<usize>,
    counting: bool,
    report: Vec<u8>,
}

impl Counts {
    pub fn new(options: Options) -> Self {
        Self {
            blocks: Vec::new(),
            block_at: HashMap::new(),
            accesses: Vec::new(),
            addresses: Vec::new(),
            access_at: HashMap::new(),
            instructions: BTreeMap::new(),
            instruction_cache: Cache::new(options.instruction_lines),
            data_cache: Cache::new(options.data_lines),
            last: None,
            counting: false,
            report: Vec::new(),
            options,
        }
    }

    /// The number of the block from `start` to `end`.
    pub fn block(&mut self, start: u32, end: u32) -> usize {
        *self.block_at.entry((start, end)).or_insert_with(|| {
            self.blocks.push(Block { start, end, ..Block::default() });
            self.blocks.len() - 1
        })
    }

    /// The number of the instruction at an address.
    pub fn instruction(&mut self, address: u32, width: u32, text: impl FnOnce() -> String) -> usize {
        *self.access_at.entry(address).or_insert_with(|| {
            self.instructions.insert(address, Instruction { width, text: text() });
            self.accesses.push(Accesses::default());
            self.addresses.push(address);
            self.accesses.len() - 1
        })
    }

    /// A block is about to run.
    pub fn run(&mut self, index: usize) -> io::Result<()> {
        let Block { start, end, .. } = self.blocks[index];
        if start == self.options.begin {
            self.counting = true;
            self.last = None;
            return Ok(());
        }
        if start == self.options.end && self.counting {
            self.counting = false;
            self.end_region()?;
        } else if self.counting {
            let jumped = self.last.is_some_and(|last| self.blocks[last].end != start);
            if let (true, Some(last)) = (jumped, self.last) {
                self.blocks[last].jumps_out += 1;
            }
            let block = &mut self.blocks[index];
            block.runs += 1;
            block.jumps_in += u64::from(jumped);
            let line = self.options.line;
            (start / line..=(end - 1) / line).for_each(|line| self.instruction_cache.touch(line));
        }
        self.last = Some(index);
        Ok(())
    }

    /// An instruction reads or writes memory.
    pub fn access(&mut self, index: usize, address: u32, len: u32) {
        if !self.counting {
            return;
        }
        self.accesses[index].by_remainder[(address % len.min(4)) as usize] += 1;
        if self.options.flash.iter().any(|flash| flash.contains(&address)) {
            self.data_cache.touch(address / self.options.line);
        }
    }

    /// Writes down a region's counts and sets them to 0.
    fn end_region(&mut self) -> io::Result<()> {
        let Self { blocks, accesses, addresses, report, .. } = self;
        let misses = [&mut self.instruction_cache, &mut self.data_cache].map(|cache| std::mem::take(&mut cache.misses));
        writeln!(report, "region {} {}", misses[0], misses[1])?;
        for block in blocks.iter_mut().filter(|block| block.runs + block.jumps_out > 0) {
            let &mut Block { start, end, runs, jumps_in, jumps_out } = block;
            writeln!(report, "block {start:x} {end:x} {runs} {jumps_in} {jumps_out}")?;
            *block = Block { start, end, ..Block::default() };
        }
        for (accesses, address) in accesses.iter_mut().zip(addresses) {
            let [aligned, one, two, three] = std::mem::take(&mut accesses.by_remainder);
            if aligned + one + two + three > 0 {
                writeln!(report, "access {address:x} {aligned} {one} {two} {three}")?;
            }
        }
        Ok(())
    }

    /// Writes the report to the file that the options name.
    pub fn write(&mut self) -> io::Result<()> {
        for (address, Instruction { width, text }) in &self.instructions {
            writeln!(self.report, "instruction {address:x} {width} {text}")?;
        }
        writeln!(self.report, "end")?;
        std::fs::write(&self.options.out, &self.report)
    }
}
