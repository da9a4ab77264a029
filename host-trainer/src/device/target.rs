//! What a model is to run on, and whether it does.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use model_compiler::blob::emit::Limits;
use model_training::config::TargetConfig;
use no_std_infer::Model;
use serde::{Deserialize, Serialize};

use super::boards::{Board, named};
use super::costs::Costs;
use super::parts::Parts;

/// The program that was run, so that its stack is known.
const RUN: &str = "link";
/// The program whose engine has all kernels.
const ALL: &str = "app";

/// What firmware takes of a board besides blob and arena, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Of flash.
    pub flash: u64,
    /// Of RAM, the stack included.
    pub ram: u64,
    /// Whether it is the camera application for this board; or else the engine with all kernels and its stack alone.
    pub application: bool,
}

impl Taken {
    /// What the engine takes with all kernels: its code, and the stack of an inference and of the parsing before.
    ///
    /// # Errors
    /// Those of [`of`](Self::of).
    pub fn by_engine() -> Result<Self> {
        Self::of("")
    }

    /// What firmware takes of a board, by the sizes that this project's own firmware was measured to have.
    ///
    /// # Errors
    /// When the table of these sizes is not what this program was compiled with.
    pub fn of(board: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Budget {
            flash: Parts,
            ram: Parts,
            #[serde(default)]
            stack: u64,
        }
        let budgets: BTreeMap<String, Budget> =
            serde_json::from_str(include_str!("../../../tests/budgets.json")).context("the budgets cannot be read")?;
        let program = super::Program::of_board(board);
        let stack = budgets.get(RUN).context("the budgets lack a program with a stack")?.stack;
        let own = program.and_then(|program| budgets.get(program.name()));
        let all = budgets.get(ALL).context("the budgets lack the program with all kernels")?;
        Ok(match own {
            Some(Budget { flash, ram, .. }) => Self {
                flash: flash.total() - flash.blob - flash.arena,
                ram: ram.total() - ram.arena + stack,
                application: true,
            },
            None => Self { flash: all.flash.engine, ram: stack, application: false },
        })
    }
}

/// What a model is to run on.
#[derive(Clone, Debug)]
pub struct Target {
    board: Option<Board>,
    /// Bytes that the blob may take.
    flash: Option<u64>,
    /// Bytes that the arena may take.
    ram: Option<u64>,
    milliseconds: Option<f64>,
    taken: Option<Taken>,
}

impl Target {
    /// The target of a configuration.
    ///
    /// # Errors
    /// When there is no such board; lists those that there are.
    pub fn new(config: &TargetConfig) -> Result<Self> {
        let board = config.board.as_ref().map(|name| named(std::slice::from_ref(name))).transpose()?;
        let board = board.and_then(|mut boards| boards.pop());
        let taken = board.as_ref().map(|board| Taken::of(&board.name)).transpose()?;
        let left = |kib: fn(&Board) -> u64, taken_of: fn(&Taken) -> u64| {
            let (board, taken) = board.as_ref().zip(taken.as_ref())?;
            Some((kib(board) << 10).saturating_sub(taken_of(taken)))
        };
        let given = |kib: Option<u32>| kib.map(|kib| u64::from(kib) << 10);
        Ok(Self {
            flash: given(config.flash).or_else(|| left(|board| board.flash_kib, |taken| taken.flash)),
            ram: given(config.ram).or_else(|| left(|board| board.ram_kib, |taken| taken.ram)),
            milliseconds: config.milliseconds,
            taken,
            board,
        })
    }

    /// What a blob may take there, given one of the same model: what the weights leave of flash goes to faster layouts.
    #[must_use]
    pub fn limits(&self, model: &Model<'_>, blob: usize) -> Limits {
        let besides = blob - model.weights().len();
        let flash = self.flash.map_or(0, |flash| usize::try_from(flash).unwrap_or(usize::MAX).saturating_sub(besides));
        let constants = self.board.as_ref().map(Board::constants).unwrap_or_default();
        Limits { flash, arena: self.ram.map(|ram| u32::try_from(ram).unwrap_or(u32::MAX)), constants }
    }

    /// Whether a blob fits.
    ///
    /// # Errors
    /// When milliseconds are limited and the cost tables lack a kernel of the model.
    pub fn fit(&self, model: &Model<'_>, blob: usize) -> Result<TargetFit> {
        let modelled = self.board.as_ref().map(|board| {
            let modelled = Costs::built_in()?.of_model(model, board.caches)?;
            let cycles = modelled.with_wait_states(board.wait_states).nominal;
            anyhow::Ok(cycles as f64 / (board.clock_mhz * 1000) as f64)
        });
        let milliseconds = match modelled.transpose() {
            Err(error) if self.milliseconds.is_some() => return Err(error),
            other => other.ok().flatten(),
        };
        let (flash, arena) = (blob as u64, model.arena_len() as u64);
        Ok(TargetFit {
            board: self.board.as_ref().map(|board| board.name.clone()),
            flash: Use { takes: flash, most: self.flash },
            ram: Use { takes: arena, most: self.ram },
            milliseconds: milliseconds.map(|takes| Use { takes, most: self.milliseconds }),
            taken: self.taken,
        })
    }
}

/// What a model takes of something, and the most that it may take where that is limited.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Use<T> {
    /// What it takes.
    pub takes: T,
    /// What it may take.
    pub most: Option<T>,
}

impl<T: PartialOrd> Use<T> {
    fn fits(&self) -> bool {
        self.most.as_ref().is_none_or(|most| self.takes <= *most)
    }
}

/// Whether a model fits its target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetFit {
    /// The board by its name.
    pub board: Option<String>,
    /// Bytes of the blob.
    pub flash: Use<u64>,
    /// Bytes of the arena.
    pub ram: Use<u64>,
    /// Milliseconds of an inference, modelled for the board.
    pub milliseconds: Option<Use<f64>>,
    /// What of the board is taken already.
    pub taken: Option<Taken>,
}

impl TargetFit {
    /// Whether it takes no more than it may of anything.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.flash.fits() && self.ram.fits() && self.milliseconds.as_ref().is_none_or(Use::fits)
    }

    /// How the target is called.
    #[must_use]
    pub fn title(&self) -> &str {
        self.board.as_deref().unwrap_or("the target")
    }

    /// What it takes, in words.
    #[must_use]
    pub fn figures(&self) -> String {
        let kib = |of: &Use<u64>, what: &str| {
            let most = of.most.map_or_else(String::new, |most| format!(" of {:.1}", most as f64 / 1024.0));
            format!("{:.1}{most} KiB of {what}", of.takes as f64 / 1024.0)
        };
        let time = self.milliseconds.map_or_else(String::new, |Use { takes, most }| {
            format!(", {takes:.1}{} ms", most.map_or_else(String::new, |most| format!(" of {most:.1}")))
        });
        format!("{}, {}{time}", kib(&self.flash, "flash"), kib(&self.ram, "RAM"))
    }

    /// Whether it fits, in a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let fits = if self.fits() { "fits" } else { "does not fit" };
        let taken = self.taken.map_or_else(String::new, |Taken { flash, ram, application }| {
            let what = if application { "the camera application" } else { "the engine alone" };
            format!(
                " ({what} takes {} KiB of flash and {} KiB of RAM besides)",
                flash.div_ceil(1024),
                ram.div_ceil(1024)
            )
        });
        format!("The model {fits} {}: {}{taken}.", self.title(), self.figures())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::boards::all;
    use crate::samples::blob;

    fn fit(config: TargetConfig) -> TargetFit {
        let blob = blob(&[], 1.0);
        Target::new(&config).unwrap().fit(&Model::parse(&blob).unwrap(), blob.len()).unwrap()
    }

    fn on(board: &str) -> TargetConfig {
        TargetConfig { board: Some(board.to_owned()), ..TargetConfig::default() }
    }

    #[test]
    fn every_board_leaves_room_and_has_a_time() {
        for board in all().unwrap() {
            let fit = fit(on(&board.name));
            let (flash, ram) = (fit.flash.most.unwrap(), fit.ram.most.unwrap());
            assert!(0 < flash && flash < board.flash_kib << 10, "{fit:?}");
            assert!(0 < ram && ram < board.ram_kib << 10, "{fit:?}");
            let own = ["openmv-h7", "pico-2"].contains(&&*board.name);
            assert_eq!(fit.taken.unwrap().application, own, "{}", board.name);
            assert!(fit.fits() && fit.milliseconds.unwrap().takes > 0.0, "{fit:?}");
            assert!(fit.sentence().starts_with(&format!("The model fits {}: ", board.name)), "{}", fit.sentence());
        }
    }

    #[test]
    fn each_limit_is_kept_for_itself() {
        let plain = fit(TargetConfig { flash: Some(1000), ..TargetConfig::default() });
        assert!(plain.fits() && plain.milliseconds.is_none() && plain.ram.most.is_none(), "{plain:?}");
        for config in [
            TargetConfig { milliseconds: Some(1e-3), ..on("microbit-v2") },
            TargetConfig { flash: Some(0), ..on("microbit-v2") },
            TargetConfig { ram: Some(0), ..on("microbit-v2") },
        ] {
            let fit = fit(config.clone());
            assert!(!fit.fits(), "{config:?}: {fit:?}");
            assert!(fit.sentence().contains("does not fit microbit-v2"), "{}", fit.sentence());
        }
    }

    #[test]
    fn weights_get_what_the_rest_of_the_blob_leaves() {
        let blob = blob(&[], 1.0);
        let model = Model::parse(&blob).unwrap();
        let target = Target::new(&TargetConfig { flash: Some(64), ram: Some(8), ..TargetConfig::default() }).unwrap();
        let Limits { flash, arena, .. } = target.limits(&model, blob.len());
        assert_eq!((flash - model.weights().len(), arena), ((64 << 10) - blob.len(), Some(8 << 10)));
    }
}
