//! What a model costs on a Cortex-M4 by tables, where nothing can be compiled for it or run: instructions and modelled cycles of
//! each operator, linear in how often its kernel's loops run.
//!
//! `table.toml` holds the factors. `dev device-costs` fits them to what QEMU counts for layers of many shapes, as
//! [`count`](crate::device::measure::Bench::count) does, and writes them again; `tests/tests/device_bench/` holds them to
//! the figures of `tests/device-bench.json`.

mod fit;
pub mod layers;
mod work;

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use no_std_infer::Model;
use no_std_infer::format::Op;
use serde::{Deserialize, Serialize};

use crate::device::cycles::{Caches, Cycles};

pub use fit::{Count, Sample, count, fit};
pub use work::Work;

/// What the figures are.
pub const DISCLAIMER: &str =
    "instructions and Cortex-M4 cycles modelled by tables, not counted and not measured on silicon";
/// Figures of a loop besides the lines fetched behind each of the caches: instructions, and low, nominal and high cycles.
const FIGURES: usize = 4;

/// The tables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Costs {
    /// What compiled the code that was counted.
    pub compiler: String,
    /// Largest error of an operator's instructions among the layers that the tables were fitted to, those of 10,000
    /// instructions and more, as a share.
    pub error: f64,
    /// The caches that lines were counted behind.
    pub caches: Vec<Caches>,
    /// By kernel and by loop: instructions, low, nominal and high cycles at zero wait states, and lines fetched behind each of
    /// the caches besides those of constants, all of one turn.
    pub kernels: BTreeMap<String, BTreeMap<String, Vec<f64>>>,
}

/// What an operator or a model takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Modelled {
    /// Instructions.
    pub instructions: u64,
    /// Cycles at zero wait states.
    pub cycles: Cycles,
    /// Lines of code and constants that the caches have to fetch.
    pub lines: u64,
}

impl Modelled {
    /// Cycles with flash of so many wait states behind the caches.
    #[must_use]
    pub fn with_wait_states(&self, wait_states: u32) -> Cycles {
        let stall = self.lines * u64::from(wait_states);
        self.cycles.plus(Cycles { low: stall, nominal: stall, high: stall })
    }

    fn plus(self, other: Self) -> Self {
        Self {
            instructions: self.instructions + other.instructions,
            cycles: self.cycles.plus(other.cycles),
            lines: self.lines + other.lines,
        }
    }
}

impl Costs {
    /// The tables that are built in.
    ///
    /// # Errors
    /// When the file is not what this program was compiled with.
    pub fn built_in() -> Result<Self> {
        toml::from_str(include_str!("table.toml")).context("the cost tables cannot be read")
    }

    /// What an operator takes behind these caches.
    ///
    /// # Errors
    /// When there are no figures of its kernel, or of the caches.
    pub fn of_operator(&self, op: &Op, caches: Caches) -> Result<Modelled> {
        let work = Work::of(op);
        let loops = self.kernels.get(work.kernel);
        let loops = loops.with_context(|| format!("the cost tables have no figures of the kernel {}", work.kernel))?;
        let behind = self.caches.iter().position(|of| *of == caches);
        let behind = FIGURES + behind.with_context(|| format!("the cost tables have no figures behind {caches:?}"))?;
        let sum = |figure: usize| {
            let each = work.counts.iter().map(|&(name, count)| {
                let factor = loops.get(name).and_then(|figures| figures.get(figure));
                count * factor.copied().unwrap_or(0.0)
            });
            each.sum::<f64>()
        };
        let [instructions, low, nominal, high] = [0, 1, 2, 3].map(|figure| sum(figure).round() as u64);
        let lines = (sum(behind) + work.lines(caches)).round() as u64;
        let cycles = Cycles { low, nominal, high };
        Ok(Modelled { instructions, cycles, lines })
    }

    /// What one run of a model takes.
    ///
    /// # Errors
    /// Those of [`of_operator`](Self::of_operator).
    pub fn of_model(&self, model: &Model<'_>, caches: Caches) -> Result<Modelled> {
        model.ops().try_fold(Modelled::default(), |sum, op| Ok(sum.plus(self.of_operator(&op, caches)?)))
    }
}
