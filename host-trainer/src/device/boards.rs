//! Boards, and how long a model takes and whether it fits there: `boards.toml` names the sources.

use anyhow::{Context, Result};
use model_compiler::aligned::Aligned;
use model_compiler::layout::pack::Constants;
use no_std_infer::Model;
use serde::{Deserialize, Serialize};

use crate::device::Core;
use crate::device::costs::Costs;
use crate::device::cycles::{Caches, Cycles};
use crate::device::measure::Bench;
use crate::device::target;

/// A board.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Board {
    /// How it is named on the command line.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// The microcontroller.
    pub part: String,
    /// Its core.
    pub core: String,
    /// Fastest clock in MHz.
    pub clock_mhz: u64,
    /// Flash in units of 1024 bytes.
    pub flash_kib: u64,
    /// RAM in units of 1024 bytes.
    pub ram_kib: u64,
    /// Cycles that the core waits for a line of flash that its caches lack.
    pub wait_states: u32,
    /// Caches between flash and core.
    pub caches: Caches,
    /// Cycles of a multiply-accumulate, waits for flash included: of the model that takes the fewest, and the most.
    pub cycles_per_mac: [f64; 2],
    /// Where this is from.
    pub source: String,
    /// What of it is a guess or left out.
    pub note: Option<String>,
}

impl Board {
    /// The core that is emulated in place of its own.
    #[must_use]
    pub fn emulated(&self) -> Core {
        if matches!(&*self.core, "Cortex-M55" | "Cortex-M85") { Core::M55 } else { Core::M4 }
    }

    /// How constants are laid out for its core.
    #[must_use]
    pub fn constants(&self) -> Constants {
        self.emulated().constants()
    }
}

/// A board, as far as a page needs it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// Its name for people.
    pub title: String,
    /// How `estimate` calls it.
    pub name: String,
    /// Its core.
    pub core: String,
    /// Fastest clock in MHz.
    pub clock_mhz: u64,
    /// Bytes of flash.
    pub flash: u64,
    /// Bytes of RAM.
    pub ram: u64,
    /// Cycles of a multiply-accumulate: of a model that takes few there, and of one that takes many.
    pub cycles_per_mac: [f64; 2],
}

/// All boards.
///
/// # Errors
/// When the file is not what this program was compiled with.
pub fn all() -> Result<Vec<Board>> {
    #[derive(Deserialize)]
    struct Boards {
        board: Vec<Board>,
    }
    let boards: Boards = toml::from_str(include_str!("boards.toml")).context("boards.toml cannot be read")?;
    Ok(boards.board)
}

/// All boards as a report tells about them.
///
/// # Errors
/// Those of [`all`].
pub fn places() -> Result<Vec<Place>> {
    let place = |Board { title, name, core, clock_mhz, flash_kib, ram_kib, cycles_per_mac, .. }| Place {
        title,
        name,
        core,
        clock_mhz,
        flash: flash_kib << 10,
        ram: ram_kib << 10,
        cycles_per_mac,
    };
    Ok(all()?.into_iter().map(place).collect())
}

/// The boards of these names; all where there is none.
///
/// # Errors
/// When there is no board of a name; lists those that there are.
pub fn named(names: &[String]) -> Result<Vec<Board>> {
    let boards = all()?;
    if names.is_empty() {
        return Ok(boards);
    }
    let find = |name: &String| {
        let known = || boards.iter().map(|board| &*board.name).collect::<Vec<_>>().join(", ");
        let found = boards.iter().find(|board| board.name == *name).cloned();
        found.with_context(|| format!("there is no board {name}: use one of {}", known()))
    };
    names.iter().map(find).collect()
}

/// What a model takes on a board.
#[derive(Clone, Debug, Serialize)]
pub struct Estimate {
    /// The board.
    pub board: Board,
    /// Milliseconds an inference: low, nominal, high.
    pub milliseconds: [f64; 3],
    /// Cycles an inference, waits for flash included: low, nominal, high.
    pub cycles: [u64; 3],
    /// Instructions an inference.
    pub instructions: u64,
    /// Bytes of the blob.
    pub blob: u64,
    /// Bytes of code: the engine with every operator, and the small program that measures it.
    pub code: u64,
    /// Bytes of arena.
    pub arena: u64,
    /// Bytes of stack, `Model` included.
    pub stack: u64,
    /// Whether blob and code fit into flash, arena and stack into RAM.
    pub fits: bool,
    /// Whether the core is one whose cycles are modelled.
    pub core_is_modelled: bool,
    /// Whether instructions were counted; or else they are [modelled by tables](super::costs), and code and stack are those of
    /// the engine with all kernels.
    pub counted: bool,
}

/// What a blob takes, whichever way it was found.
struct Taken {
    cycles: Cycles,
    instructions: u64,
    code: u64,
    arena: u64,
    stack: u64,
    counted: bool,
}

impl Estimate {
    /// Estimates a blob's costs on a board, by the firmware of the core that is [emulated](Board::emulated).
    ///
    /// # Errors
    /// Those of [`Bench::count`].
    pub fn new(bench: &Bench, blob: &Aligned<u8>, board: Board) -> Result<Self> {
        let counted = bench.count(blob, board.caches)?;
        let taken = Taken {
            cycles: counted.run.with_wait_states(board.wait_states),
            instructions: counted.run.instructions,
            code: bench.elf()?.flash,
            arena: counted.measurement.arena as u64,
            stack: counted.measurement.stack as u64,
            counted: true,
        };
        Ok(Self::of(taken, blob, board))
    }

    /// The same by tables, where nothing can be compiled or run.
    ///
    /// # Errors
    /// Those of [`Costs::of_model`].
    pub fn modelled(costs: &Costs, model: &Model<'_>, blob: &[u8], board: Board) -> Result<Self> {
        let modelled = costs.of_model(model, board.caches)?;
        let engine = target::Taken::by_engine()?;
        let taken = Taken {
            cycles: modelled.with_wait_states(board.wait_states),
            instructions: modelled.instructions,
            code: engine.flash,
            arena: model.arena_len() as u64,
            stack: engine.ram,
            counted: false,
        };
        Ok(Self::of(taken, blob, board))
    }

    fn of(taken: Taken, blob: &[u8], board: Board) -> Self {
        let cycles = [taken.cycles.low, taken.cycles.nominal, taken.cycles.high];
        let mut estimate = Self {
            milliseconds: cycles.map(|cycles| cycles as f64 / (board.clock_mhz * 1000) as f64),
            cycles,
            instructions: taken.instructions,
            blob: blob.len() as u64,
            code: taken.code,
            arena: taken.arena,
            stack: taken.stack,
            fits: false,
            core_is_modelled: board.core == "Cortex-M4" || taken.counted && board.core == "Cortex-M55",
            counted: taken.counted,
            board,
        };
        estimate.fits =
            estimate.flash() <= estimate.board.flash_kib << 10 && estimate.ram() <= estimate.board.ram_kib << 10;
        estimate
    }

    /// Bytes of flash.
    #[must_use]
    pub fn flash(&self) -> u64 {
        self.blob + self.code
    }

    /// Bytes of RAM.
    #[must_use]
    pub fn ram(&self) -> u64 {
        self.arena + self.stack
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boards_are_found_by_name() {
        let found = named(&["nucleo-l4r5zi".to_owned()]).unwrap();
        assert_eq!((found.len(), found[0].clock_mhz), (1, 120));
        assert_eq!(named(&[]).unwrap().len(), all().unwrap().len());
        let error = named(&["abacus".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("abacus") && error.contains("nucleo-f446re"), "{error}");
    }

    #[test]
    fn boards_make_sense() {
        for board in all().unwrap() {
            assert!(board.clock_mhz >= 16 && board.flash_kib >= 512 && board.ram_kib >= 128, "{}", board.name);
            let [least, most] = board.cycles_per_mac;
            let floor = if board.emulated() == Core::M55 { 0.1 } else { 1.0 };
            assert!(floor < least && least < most && most < 4.0, "{}", board.name);
            assert!(board.caches.instruction_lines > 0 && board.caches.data_lines > 0, "{}", board.name);
        }
    }
}
