//! `dev device-bench`: layers and whole models on the emulated device, beside what others need for them.

pub mod figures;
pub mod networks;
mod report;
pub mod synthetic;

use std::path::Path;

use anyhow::{Context, Result};
use no_std_infer::Model;
use no_std_infer::format::{InputKind, Op, Provenance};
use no_std_infer::kernels::KernelSet;
use no_std_infer::operators::Form;
use no_std_infer::operators::winograd::is_possible;
use serde::Serialize;

use crate::device::Core;
use crate::device::cycles::{Caches, Counted, Region};
use crate::device::measure::{Bench, Measurement};

use figures::{Figures, Yardstick};
use model_compiler::aligned::Aligned;
use model_compiler::blob::emit::{Description, Limits, emit_within};
use model_compiler::import;
use model_compiler::layout::pack::{Constants, Price, pack};
use model_compiler::quantise::QuantModel;
use model_training::measure::evaluate::shape;
use model_training::system::read;
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
    fn within(name: &str, model: &QuantModel, scope: Scope, figures: Figures, limits: Limits) -> Result<Self> {
        let (input, provenance) = (InputKind::Tensor, Provenance::default());
        let blob = emit_within(model, &Description { name, labels: &[], input, provenance }, limits);
        let blob = blob.with_context(|| format!("{name} cannot be built"))?.blob;
        Ok(Self { name: name.to_owned(), blob, scope, figures })
    }

    /// The model within each of several limits, by the names given; where one takes as many bytes of constants and of arena
    /// as an earlier one, it is left out.
    fn within_each(
        model: &QuantModel,
        scope: Scope,
        figures: &Figures,
        limits: impl IntoIterator<Item = (String, Limits)>,
    ) -> Result<Vec<Self>> {
        let mut cases: Vec<Self> = Vec::new();
        for (name, limits) in limits {
            let case = Self::within(&name, model, scope, figures.clone(), limits)?;
            if cases.iter().all(|other| bytes(&other.blob) != bytes(&case.blob)) {
                cases.push(case);
            }
        }
        Ok(cases)
    }

    /// A blob of the caller's.
    #[must_use]
    pub fn of_blob(path: &Path, blob: Aligned<u8>) -> Self {
        Self { name: path.display().to_string(), blob, scope: Scope::Operators, figures: Figures::default() }
    }
}

/// Layers and models with seeded weights, as they are exported for a core.
///
/// # Errors
/// When one cannot be built.
pub fn seeded(core: Core) -> Result<Vec<Case>> {
    let constants = core.constants();
    let Yardstick { layers, models } = Yardstick::read()?;
    let mut cases = Vec::new();
    for layer in layers {
        let model = layer.model()?;
        let transformed = Form::ALL
            .into_iter()
            .filter_map(|form| Some((format!("{}, {}", layer.name, form.name()), flash_for(&model, form)?)))
            .map(|(name, flash)| (name, Limits { flash, arena: None, constants }));
        let least = Limits { constants, ..Limits::default() };
        let limits = std::iter::once((layer.name.clone(), least)).chain(transformed);
        cases.extend(Case::within_each(&model, Scope::Layer, &layer.figures, limits)?);
    }
    for model in models {
        let network = network(&model.name)?;
        cases.extend(Case::within_each(&network, Scope::Model, &model.figures, limits(&model.title, constants))?);
    }
    Ok(cases)
}

/// The budget that lets a model's last operator, when it is a convolution, have its weights transformed so.
pub(in crate::device) fn flash_for(model: &QuantModel, form: Form) -> Option<usize> {
    let packed = pack(model, 0);
    let Some(Op::Conv2d(op)) = packed.ops.last() else { return None };
    let [now, then] = [None, Some(form)].map(|form| Price::new(op, form).bytes.next_multiple_of(16));
    is_possible(form, op).then_some((packed.constants.len() + then).saturating_sub(now))
}

/// What models are measured within: the least flash, two budgets of bytes of constants, and none; and with the least RAM.
fn limits(title: &str, constants: Constants) -> [(String, Limits); 6] {
    let case = |title: String, flash: usize, arena: Option<u32>| (title, Limits { flash, arena, constants });
    let within = |flash: &str, kib: usize| case(format!("{title}{flash}"), kib * 1024, None);
    let least_ram = |flash: &str, kib: usize| case(format!("{title}{flash}, least RAM"), kib * 1024, Some(0));
    [
        within("", 0),
        within(", <= 90 KB", 90),
        within(", <= 220 KB", 220),
        case(format!("{title}, any flash"), usize::MAX, None),
        least_ram("", 0),
        least_ram(", <= 90 KB", 90),
    ]
}

/// Bytes of constants and of arena of a blob that was just made.
fn bytes(blob: &[u8]) -> Option<[usize; 2]> {
    let model = Model::parse(blob).ok()?;
    Some([model.weights().len(), model.arena_len()])
}

/// The models of MLPerf Tiny that are in a folder, each in a folder of its own, as they are exported for a core.
///
/// # Errors
/// When a file cannot be read or imported.
pub fn imported(folder: &Path, core: Core) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for model in Yardstick::read()?.models {
        let Ok(entries) = std::fs::read_dir(folder.join(&model.name)) else { continue };
        let paths = entries.flatten().map(|entry| entry.path());
        let paths = paths.filter(|path| path.extension().is_some_and(|extension| extension == "tflite"));
        for path in paths {
            let bytes =
                read::bytes(&path, read::MODEL).with_context(|| format!("cannot read the model {}", path.display()))?;
            let lowered = import::int8(&bytes).with_context(|| format!("{} cannot be imported", path.display()))?;
            let limits = limits(&format!("{}, imported", model.title), core.constants());
            cases.extend(Case::within_each(&lowered.model, Scope::Model, &model.figures, limits)?);
        }
    }
    Ok(cases)
}

/// Firmware for a core: with all kernels, and with only those that a model needs.
pub struct Benches {
    all: Bench,
    of_models: Vec<(KernelSet, Bench)>,
}

impl Benches {
    /// Builds the firmware with all kernels.
    ///
    /// # Errors
    /// Those of [`Bench::build`].
    pub fn build(core: Core) -> Result<Self> {
        Ok(Self { all: Bench::build(core)?, of_models: Vec::new() })
    }

    /// The firmware with all kernels.
    #[must_use]
    pub fn all(&self) -> &Bench {
        &self.all
    }

    /// Measures a case, a model on firmware with only its kernels; see [`Row::measure`].
    ///
    /// # Errors
    /// Those of [`Bench::build_for`] and [`Row::measure`].
    pub fn measure(&mut self, case: &Case, caches: Option<Caches>) -> Result<Row> {
        if case.scope == Scope::Layer {
            return Row::measure(&self.all, case, caches);
        }
        let set = KernelSet::needed_by(&case.blob);
        let index = match self.of_models.iter().position(|(of, _)| *of == set) {
            Some(index) => index,
            None => {
                self.of_models.push((set, Bench::build_for(self.all.core(), &case.blob)?));
                self.of_models.len() - 1
            }
        };
        Row::measure(&self.of_models[index].1, case, caches)
    }
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
    /// Bytes of the engine's functions in the firmware that it was measured on.
    pub code: u64,
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
            code: bench.elf()?.engine.total(),
            operators,
            measured,
            figures: case.figures.of(bench.core()),
        })
    }
}
