//! `estimate`: how long a model takes on a board and whether it fits, before anything is flashed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use model_training::measure::comparison::text_table;
use model_training::measure::evaluate::{parse, read_blob};

use super::BOUND_MISSED;
use crate::device::Core;
use crate::device::boards::{Board, Estimate, named};
use crate::device::costs::{self, Costs};
use crate::device::cycles::{disclaimer, missing};
use crate::device::measure::Bench;

#[derive(Debug, Args)]
pub(super) struct EstimateArgs {
    /// The blob.
    blob: PathBuf,
    /// The board, such as `nucleo-l4r5zi`; may be repeated. Without it all boards are listed.
    #[arg(long, value_name = "NAME")]
    board: Vec<String>,
    /// Take tables in place of counting, as is done where there is no compiler for microcontrollers or no QEMU.
    #[arg(long)]
    modelled: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &EstimateArgs) -> Result<ExitCode> {
    let boards = named(&args.board)?;
    let blob = read_blob(&args.blob)?;
    let model = parse(&blob, &args.blob)?;
    let cores: BTreeSet<Core> = boards.iter().map(Board::emulated).collect();
    let counted = cores.into_iter().filter(|&core| !args.modelled && is_counted(core));
    // Its code is what this model takes.
    let benches: BTreeMap<Core, Bench> =
        counted.map(|core| Ok((core, Bench::build_for(core, &blob)?))).collect::<Result<_>>()?;
    let costs = Costs::built_in()?;
    let estimate = |board: Board| match benches.get(&board.emulated()) {
        Some(bench) => Estimate::new(bench, &blob, board),
        None => Estimate::modelled(&costs, &model, &blob, board),
    };
    let estimates: Vec<Estimate> = boards.into_iter().map(estimate).collect::<Result<_>>()?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&estimates)?);
    } else {
        print(&estimates);
    }
    let fits = args.board.is_empty() || estimates.iter().all(|estimate| estimate.fits);
    Ok(if fits { ExitCode::SUCCESS } else { BOUND_MISSED.into() })
}

/// Whether a core's instructions can be counted here; says where they cannot.
fn is_counted(core: Core) -> bool {
    let missing = missing(core);
    if let Some(missing) = &missing {
        let title = core.title();
        tracing::warn!(
            "boards with a {title} are modelled by tables, since nothing can be counted for it here: {missing}"
        );
    }
    missing.is_none()
}

fn print(estimates: &[Estimate]) {
    let header = ["board", "core", "MHz", "milliseconds", "low to high", "flash", "of", "RAM", "of", "fits"];
    let mut table = text_table(&header, 2);
    for estimate in estimates {
        let (board, [low, nominal, high]) = (&estimate.board, estimate.milliseconds);
        let about = if estimate.core_is_modelled { "" } else { "about " };
        table.add_row([
            board.name.clone(),
            board.core.clone(),
            board.clock_mhz.to_string(),
            format!("{about}{nominal:.1}"),
            format!("{low:.1} to {high:.1}"),
            estimate.flash().to_string(),
            (board.flash_kib << 10).to_string(),
            estimate.ram().to_string(),
            (board.ram_kib << 10).to_string(),
            if estimate.fits { "yes" } else { "no" }.to_owned(),
        ]);
    }
    println!("{}\n", table.trim_fmt());
    let mut told = BTreeSet::new();
    for Estimate { board, blob, code, arena, stack, instructions, counted, .. } in estimates {
        let core = board.emulated();
        let made = disclaimer(core).filter(|_| *counted).unwrap_or(costs::DISCLAIMER);
        if told.insert(made) {
            println!("Flash in bytes: blob {blob}, code {code}. RAM in bytes: arena {arena}, stack {stack}.");
            println!("{instructions} instructions; {made}.");
        }
    }
    for estimate in estimates {
        let board = &estimate.board;
        println!("{}: {}", board.name, board.source);
        if !estimate.core_is_modelled {
            let as_if = if estimate.counted { board.emulated() } else { Core::M4 }.title();
            println!("  a rough figure: its cycles are counted as if it were a {as_if}");
        }
        board.note.iter().for_each(|note| println!("  {note}"));
    }
}
