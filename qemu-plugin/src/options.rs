//! The plugin's options: `begin`, `end` and `out` are needed, `flash` may be repeated.

use std::ops::Range;
use std::path::PathBuf;

/// What the command line asks for. Numbers are decimal, or hexadecimal after `0x`.
pub struct Options {
    /// Address of the function that begins a region.
    pub begin: u32,
    /// Address of the function that ends it.
    pub end: u32,
    /// File for the report.
    pub out: PathBuf,
    /// Addresses that the data cache is for.
    pub flash: Vec<Range<u32>>,
    /// Lines of the instruction cache; 0 counts no misses.
    pub instruction_lines: usize,
    /// Lines of the data cache; 0 counts no misses.
    pub data_lines: usize,
    /// Bytes of a cache line.
    pub line: u32,
}

impl Options {
    /// Reads the options.
    ///
    /// # Errors
    /// In words, when one is unknown, missing or no number.
    pub fn read(arguments: &[String]) -> Result<Self, String> {
        let (mut begin, mut end, mut out) = (None, None, None);
        let (mut flash, mut instruction_lines, mut data_lines, mut line) = (Vec::new(), 0, 0, 32);
        for argument in arguments {
            let (name, value) = argument.split_once('=').ok_or_else(|| format!("{argument} has no value"))?;
            match name {
                "begin" => begin = Some(number(value)?),
                "end" => end = Some(number(value)?),
                "out" => out = Some(PathBuf::from(value)),
                "flash" => flash.push(range(value)?),
                "instruction-lines" => instruction_lines = number(value)? as usize,
                "data-lines" => data_lines = number(value)? as usize,
                "line" => line = number(value)?.max(1),
                _ => return Err(format!("the option {name} is unknown")),
            }
        }
        let missing = |name: &str| format!("the option {name} is missing");
        Ok(Self {
            begin: begin.ok_or_else(|| missing("begin"))?,
            end: end.ok_or_else(|| missing("end"))?,
            out: out.ok_or_else(|| missing("out"))?,
            flash,
            instruction_lines,
            data_lines,
            line,
        })
    }
}

/// `first-end`.
fn range(text: &str) -> Result<Range<u32>, String> {
    let (first, end) = text.split_once('-').ok_or_else(|| format!("{text} is no range of addresses"))?;
    Ok(number(first)?..number(end)?)
}

fn number(text: &str) -> Result<u32, String> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.map_err(|_| format!("{text} is no number"))
}
