//! `device-bench`: layers and whole models on the emulated device, beside what others need for them.

pub mod figures;
pub mod networks;
mod report;
pub mod synthetic;

use std::path::Path;

use anyhow::{Context, Result};
use no_std_infer::Model;
use no_std_infer::format::{InputKind, Op, Provenance};
use serde::Serialize;

use crate::aligned::Aligned;
use crate::device::cycles::{Caches, Counted, Region};
use crate::device::measure::{Bench, Measurement};
use crate::emit::{Description, emit};
use crate::evaluate::shape;
use crate::import;
use crate::quantise::QuantModel;

use figures::{Figures, Yardstick};
use networks::network;

pub use report::print;

/// Something to be measured.
pub struct Case {
    /// Its name.
    pub name: String,
    /// The model.
    pub blob: Aligned<u8>,
    /// What counts of it.
    pub scope: Scope,
    /// What others need.
    pub figures: Figures,
}

/// What counts of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Its last operator.
    Layer,
    /// All of it.
    Model,
    /// All of it, and what each operator takes.
    Operators,
}

impl Case {
    fn new(name: &str, model: &QuantModel, scope: Scope, figures: Figures) -> Result<Self> {
        let (input, provenance) = (InputKind::Tensor, Provenance::default());
        let blob = emit(model, &Description { name, labels: &[], input, provenance });
        let blob = blob.with_context(|| format!("{name} cannot be built"))?.blob;
        Ok(Self { name: name.to_owned(), blob, scope, figures })
    }

    /// A blob of the caller's.
    #[must_use]
    pub fn of_blob(path: &Path, blob: Aligned<u8>) -> Self {
        Self { name: path.display().to_string(), blob, scope: Scope::Operators, figures: Figures::default() }
    }
}

/// Layers and models with seeded weights.
///
/// # Errors
/// When one cannot be built.
pub fn seeded() -> Result<Vec<Case>> {
    let Yardstick { layers, models } = Yardstick::read()?;
    let layers = layers.into_iter().map(|layer| Case::new(&layer.name, &layer.model()?, Scope::Layer, layer.figures));
    let models =
        models.into_iter().map(|model| Case::new(&model.title, &network(&model.name)?, Scope::Model, model.figures));
    layers.chain(models).collect()
}

/// The models of MLPerf Tiny that are in a folder, each in a folder of its own.
///
/// # Errors
/// When a file cannot be read or imported.
pub fn imported(folder: &Path) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for model in Yardstick::read()?.models {
        let Ok(entries) = std::fs::read_dir(folder.join(&model.name)) else { continue };
        let paths = entries.flatten().map(|entry| entry.path());
        let paths = paths.filter(|path| path.extension().is_some_and(|extension| extension == "tflite"));
        for path in paths {
            let bytes = std::fs::read(&path).with_context(|| format!("cannot read the model {}", path.display()))?;
            let lowered = import::int8(&bytes).with_context(|| format!("{} cannot be imported", path.display()))?;
            let name = format!("{}, imported", model.title);
            cases.push(Case::new(&name, &lowered.model, Scope::Model, model.figures.clone())?);
        }
    }
    Ok(cases)
}

/// What was measured, and what others need.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Name of the layer or model.
    pub name: String,
    /// What counts of it.
    pub scope: Scope,
    /// Multiply-accumulates of what counts.
    pub macs: u64,
    /// Instructions of what counts.
    pub instructions: u64,
    /// Bytes of weights, parameters and tables.
    pub constants: usize,
    /// Modelled cycles of what counts, where they were asked for.
    pub cycles: Option<Region>,
    /// The whole measurement.
    pub measured: Measurement,
    /// What each operator is.
    pub operators: Vec<Operator>,
    /// What others need.
    pub figures: Figures,
}

/// An operator of a model.
#[derive(Clone, Debug, Serialize)]
pub struct Operator {
    /// What it computes.
    pub op: &'static str,
    /// Shape of its output.
    pub output: String,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Instructions.
    pub instructions: u64,
    /// Modelled cycles, where they were asked for.
    pub cycles: Option<Region>,
}

impl Row {
    /// Measures a case, with modelled cycles behind `caches` where they are asked for; then instructions are counted
    /// exactly.
    ///
    /// # Errors
    /// Those of [`Bench::measure`] and [`Bench::count`].
    pub fn measure(bench: &Bench, case: &Case, caches: Option<Caches>) -> Result<Self> {
        let counted = match caches {
            None => bench.measure(&case.blob).map(|measurement| (measurement, None, Vec::new())),
            Some(caches) => bench.count(&case.blob, caches).map(|Counted { measurement, run, operators }| {
                (measurement, Some(run), operators.into_iter().map(Some).collect())
            }),
        };
        let (measured, run, regions) = counted.with_context(|| format!("{} cannot be measured", case.name))?;
        let model = Model::parse(&case.blob)?;
        let regions = regions.into_iter().chain(std::iter::repeat(None));
        let operators = model.ops().zip(&measured.operators).zip(regions);
        let operator = |((op, &instructions), cycles): ((Op, &u64), Option<Region>)| Operator {
            op: op.name(),
            output: shape(op.output()),
            macs: op.macs(),
            instructions: cycles.as_ref().map_or(instructions, |region| region.instructions),
            cycles,
        };
        let operators: Vec<Operator> = operators.map(operator).collect();
        let last = operators.last().context("a model has operators")?;
        let (macs, instructions, cycles) = match case.scope {
            Scope::Layer => (last.macs, last.instructions, last.cycles.clone()),
            Scope::Model | Scope::Operators => {
                let instructions = run.as_ref().map_or(measured.run, |region| region.instructions);
                (operators.iter().map(|op| op.macs).sum(), instructions, run)
            }
        };
        Ok(Self {
            name: case.name.clone(),
            scope: case.scope,
            macs,
            instructions,
            cycles,
            constants: model.weights().len(),
            operators,
            measured,
            figures: case.figures.of(bench.core()),
        })
    }
}
