//! The measurements as tables for people.

use comfy_table::Table;
use model_training::measure::comparison::text_table;

use super::{Row, Scope};
use crate::device::Core;
use crate::device::cycles::{Cycles, disclaimer};

/// Prints layers, models and the operators of blobs on a core; cycles are those with flash of so many wait states.
pub fn print(rows: &[Row], core: Core, wait_states: u32) {
    let of = |scope: Scope| rows.iter().filter(move |row| row.scope == scope);
    let tables = [
        ("Layers", instructions(of(Scope::Layer))),
        ("Models", instructions(rows.iter().filter(|row| row.scope != Scope::Layer))),
        ("Cycles", cycles(rows, wait_states)),
        ("Memory in bytes", memory(rows.iter().filter(|row| row.scope != Scope::Layer))),
    ];
    for (title, table) in tables.iter().filter(|(_, table)| !table.is_empty()) {
        println!("{title}\n{}\n", table.trim_fmt());
    }
    for row in of(Scope::Operators) {
        println!("{}\n{}\n", row.name, operators(row, wait_states).trim_fmt());
    }
    let exact = rows.iter().any(|row| row.cycles.is_some());
    let precision = if exact { "exact" } else { "to within 40" };
    let (title, kernels) = (core.title(), core.kernels());
    println!(
        "Instructions of a {title} in QEMU, {precision}, with the {kernels} kernels; every operator's bytes compared with this machine's."
    );
    if let Some(disclaimer) = disclaimer(core).filter(|_| exact) {
        println!("Cycles: {disclaimer}; flash of {wait_states} wait states.");
    }
    println!("Code is the engine's functions with no other kernels than the model's.");
    println!("RAM is arena and stack, which holds `Model`. Ratios below 1 are fewer instructions than the others'.");
}

fn instructions<'r>(rows: impl Iterator<Item = &'r Row>) -> Table {
    let header = [
        "",
        "MACs",
        "instructions",
        "per MAC",
        "CMSIS-NN",
        "best flags",
        "ratio",
        "LiteRT Micro",
        "prototype",
        "ratio",
        "form",
    ];
    let mut table = text_table(&header, 1);
    for row in rows {
        let prototype = row.figures.prototype(row.constants);
        let (default, best) = (row.figures.cmsis_default, row.figures.cmsis_best);
        table.add_row([
            row.name.clone(),
            row.macs.to_string(),
            row.instructions.to_string(),
            per_mac(row.instructions, row.macs),
            count(default),
            count(best),
            ratio(row.instructions, best.or(default)),
            count(row.figures.litert_micro),
            count(prototype.map(|prototype| prototype.instructions)),
            ratio(row.instructions, prototype.map(|prototype| prototype.instructions)),
            prototype.map_or("-".to_owned(), |prototype| prototype.form.clone()),
        ]);
    }
    table
}

fn cycles(rows: &[Row], wait_states: u32) -> Table {
    let header = [
        "",
        "low",
        "nominal",
        "high",
        "per instruction",
        "unaligned",
        "CMSIS-NN, best",
        "ratio",
        "published",
        "ratio",
        "engine",
    ];
    let mut table = text_table(&header, 1);
    for (row, region) in rows.iter().filter_map(|row| Some((row, row.cycles.as_ref()?))) {
        let Cycles { low, nominal, high } = region.with_wait_states(wait_states);
        let best = row.figures.cmsis_best_cycles.map(|[_, nominal, _]| nominal);
        let published = row.figures.published.as_ref();
        table.add_row([
            row.name.clone(),
            low.to_string(),
            nominal.to_string(),
            high.to_string(),
            format!("{:.2}", nominal as f64 / region.instructions as f64),
            format!("{:.1} %", region.unaligned as f64 / region.accesses.max(1) as f64 * 100.0),
            count(best),
            ratio(nominal, best),
            count(published.map(|published| published.cycles)),
            ratio(nominal, published.map(|published| published.cycles)),
            published.map_or("-".to_owned(), |published| published.engine.clone()),
        ]);
    }
    table
}

fn memory<'r>(rows: impl Iterator<Item = &'r Row>) -> Table {
    let header =
        ["", "blob", "constants", "code", "arena", "stack", "of it Model", "RAM", "LiteRT Micro's arena", "parse"];
    let mut table = text_table(&header, 1);
    for row in rows {
        let measured = &row.measured;
        table.add_row([
            row.name.clone(),
            measured.blob.to_string(),
            row.constants.to_string(),
            row.code.to_string(),
            measured.arena.to_string(),
            measured.stack.to_string(),
            measured.model.to_string(),
            measured.ram().to_string(),
            count(row.figures.litert_micro_ram),
            format!("{} instructions", measured.parse),
        ]);
    }
    table
}

fn operators(row: &Row, wait_states: u32) -> Table {
    let mut table = text_table(&["#", "operator", "output", "MACs", "instructions", "per MAC", "cycles", "per MAC"], 3);
    for (index, op) in row.operators.iter().enumerate() {
        let cycles = op.cycles.as_ref().map(|region| region.with_wait_states(wait_states).nominal);
        table.add_row([
            index.to_string(),
            op.op.to_owned(),
            op.output.clone(),
            op.macs.to_string(),
            op.instructions.to_string(),
            per_mac(op.instructions, op.macs),
            count(cycles),
            cycles.map_or("-".to_owned(), |cycles| per_mac(cycles, op.macs)),
        ]);
    }
    table
}

fn count(value: Option<u64>) -> String {
    value.map_or("-".to_owned(), |value| value.to_string())
}

fn per_mac(instructions: u64, macs: u64) -> String {
    if macs == 0 { "-".to_owned() } else { format!("{:.2}", instructions as f64 / macs as f64) }
}

fn ratio(ours: u64, theirs: Option<u64>) -> String {
    theirs.map_or("-".to_owned(), |theirs| format!("{:.2}", ours as f64 / theirs as f64))
}
