//! What is modelled of costs without running anything: by the exporter when it chooses, and by tables.

use std::fs;

use anyhow::{Context, Result, ensure};
use host_trainer::device::Core;
use host_trainer::device::bench::{Scope, seeded};
use host_trainer::device::boards::{Estimate, named};
use host_trainer::device::costs::Costs;
use host_trainer::device::cycles::Caches;
use host_trainer::device::measure::Bench;
use model_compiler::layout::pack::Price;
use model_compiler::layout::stripes::{Layers, price};
use no_std_infer::Model;
use no_std_infer::format::Op;
use no_std_infer::operators::Form;

use crate::{Baseline, TICK, kws, path};

/// The exporter chooses layouts by estimates; they are compared with what was measured.
pub fn the_exporter_knows_what_layouts_cost() -> Result<()> {
    let baseline: Baseline = serde_json::from_str(&fs::read_to_string(path(Core::M4))?)?;
    let mut forms = Vec::new();
    for case in seeded(Core::M4)?.iter().filter(|case| case.scope == Scope::Layer && case.name.starts_with("conv 3x3"))
    {
        let model = Model::parse(&case.blob)?;
        let Some(Op::Conv2d(op)) = model.ops().last() else { continue };
        let form = Form::of(op.weights.layout);
        let measured = baseline.rows.get(&case.name).with_context(|| format!("{} has no figures", case.name))?;
        let estimated = Price::new(&op, form).instructions;
        let error = estimated as f64 / measured.instructions as f64 - 1.0;
        ensure!(error.abs() < 0.06, "{}: {estimated} estimated, {} measured", case.name, measured.instructions);
        forms.push(form);
    }
    let all = Form::ALL.into_iter().map(Some).chain([None]);
    ensure!(all.into_iter().all(|form| forms.contains(&form)), "only {forms:?} are measured");
    Ok(())
}

/// Share by which whole models may take other than the tables say.
const TABLES_OF_MODELS: f64 = 0.05;
/// Share by which single layers may.
const TABLES_OF_LAYERS: f64 = 0.12;

/// Share by which a whole model's cycles may, waits for flash included.
const TABLES_OF_CYCLES: f64 = 0.05;

/// Where nothing can be counted, costs are modelled by tables; they are compared with what was measured.
pub fn the_tables_know_what_everything_costs() -> Result<()> {
    let baseline: Baseline = serde_json::from_str(&fs::read_to_string(path(Core::M4))?)?;
    let (costs, mut wrong) = (Costs::built_in()?, Vec::new());
    for case in seeded(Core::M4)? {
        let measured =
            baseline.rows.get(&case.name).with_context(|| format!("{} has no figures", case.name))?.instructions;
        let model = Model::parse(&case.blob)?;
        let (modelled, bound) = match case.scope {
            Scope::Layer => {
                let last = model.ops().last().context("a layer is an operator")?;
                (costs.of_operator(&last, Caches::default())?.instructions, TABLES_OF_LAYERS)
            }
            _ => (costs.of_model(&model, Caches::default())?.instructions, TABLES_OF_MODELS),
        };
        let error = modelled as f64 / measured as f64 - 1.0;
        println!("{}: {modelled} by tables, {measured} measured, {:+.1} %", case.name, 100.0 * error);
        // A clock's tick more or less is much of a small layer.
        if error.abs() > bound && modelled.abs_diff(measured) > 10 * TICK {
            wrong.push(format!("{}: {modelled} by tables, {measured} measured", case.name));
        }
    }
    ensure!(
        wrong.is_empty(),
        "{}\n`cargo run -- dev device-costs --out host-trainer/src/device/costs/table.toml` fits them again",
        wrong.join("\n")
    );
    Ok(())
}

/// Cycles on every board, of a model whose weights stay in the caches of some of them only.
pub fn tables_and_counts_agree() -> Result<()> {
    let (bench, costs, case) = (Bench::build(Core::M4)?, Costs::built_in()?, kws(Core::M4)?);
    let model = Model::parse(&case.blob)?;
    let mut wrong = Vec::new();
    for board in named(&[])?.into_iter().filter(|board| board.emulated() == Core::M4) {
        let name = board.name.clone();
        let counted = Estimate::new(&bench, &case.blob, board.clone())?;
        let modelled = Estimate::modelled(&costs, &model, &case.blob, board)?;
        ensure!(counted.counted && !modelled.counted && counted.arena == modelled.arena);
        for (counted, modelled) in counted.cycles.into_iter().zip(modelled.cycles) {
            let error = modelled as f64 / counted as f64 - 1.0;
            println!("{name}: {modelled} cycles by tables, {counted} counted, {:+.1} %", 100.0 * error);
            if error.abs() > TABLES_OF_CYCLES {
                wrong.push(format!("{name}: {modelled} cycles by tables, {counted} counted"));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// The exporter chooses stripes by estimates too.
pub fn the_exporter_knows_what_stripes_cost() -> Result<()> {
    let baseline: Baseline = serde_json::from_str(&fs::read_to_string(path(Core::M4))?)?;
    let instructions = |name: &str| Ok(baseline.rows.get(name).context("it has no figures")?.instructions);
    let mut models = 0;
    for case in seeded(Core::M4)? {
        let Some(whole) = case.name.strip_suffix(", least RAM") else { continue };
        let model = Model::parse(&case.blob)?;
        let estimated = price(model.ops(), &Layers::of(&case.blob, &model)?.whole(&model));
        let measured = [&*case.name, whole].map(instructions).into_iter().collect::<Result<Vec<u64>>>()?;
        let measured = measured[0].saturating_sub(measured[1]);
        ensure!(
            estimated.abs_diff(measured) * 3 < measured,
            "{}: {estimated} estimated, {measured} measured",
            case.name
        );
        models += 1;
    }
    ensure!(models == 3, "{models} models in stripes are measured");
    Ok(())
}
