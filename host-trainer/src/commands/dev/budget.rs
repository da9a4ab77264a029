//! `dev budget`: flash and RAM of each firmware by part, and frames a second.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use model_training::measure::comparison::text_table;
use model_training::measure::evaluate::{parse, read_blob};

use crate::commands::BOUND_MISSED;
use crate::device::budget::{Budget, measure};
use crate::device::cycles::DISCLAIMER;
use crate::device::folder;

#[derive(Debug, Args)]
pub(super) struct BudgetArgs {
    /// The blob that is built in; without it the one that the firmware ships with.
    #[arg(long, value_name = "FILE")]
    blob: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &BudgetArgs) -> Result<ExitCode> {
    let path = match &args.blob {
        Some(path) => path.clone(),
        None => folder()?.join("../data/faces.blob"),
    };
    let blob = read_blob(&path)?;
    parse(&blob, &path)?;
    let budgets = measure(&blob)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&budgets)?);
    } else {
        print(&budgets);
    }
    let silent = budgets.iter().all(|budget| budget.formatting.is_empty());
    Ok(if silent { ExitCode::SUCCESS } else { BOUND_MISSED.into() })
}

fn print(budgets: &[Budget]) {
    let header = ["firmware", "bytes of", "in all", "engine", "blob", "arena", "application", "other", "stack"];
    let mut table = text_table(&header, 2);
    for Budget { name, flash, ram, stack, .. } in budgets {
        let stack = stack.map_or_else(|| "not run".to_owned(), |bytes| bytes.to_string());
        for (memory, parts, stack) in [("flash", flash, String::new()), ("RAM", ram, stack)] {
            let bytes = parts.named().map(|(_, bytes)| bytes.to_string());
            let row = [(*name).to_owned(), memory.to_owned(), parts.total().to_string()];
            table.add_row(row.into_iter().chain(bytes).chain([stack]));
        }
    }
    println!("{}\n", table.trim_fmt());
    for Budget { name, formatting, rate, .. } in budgets {
        if let Some(rate) = rate {
            let [least, nominal, most] = rate.frames_per_second;
            println!(
                "{name}: about {nominal:.1} frames a second ({least:.1} to {most:.1}) at {} MHz, of {} instructions for \
                 the network and {} for a frame of 320x240",
                rate.clock_mhz, rate.inference, rate.preprocessing
            );
        }
        if !formatting.is_empty() {
            println!("{name}: formats text, which a panic must not need: {}", formatting.join(", "));
        }
    }
    println!("Frames a second are an estimate, as if the cores were a Cortex-M4: {DISCLAIMER}.");
}
