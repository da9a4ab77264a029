//! `dev`: what developers of this project need; one file a command.

mod budget;
mod device_bench;
mod device_costs;
mod faces;
#[cfg(feature = "train")]
mod train_bench;
#[cfg(feature = "train")]
mod train_parity;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(super) struct DevArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures the time of a training step, beside PyTorch's where it is installed.
    #[cfg(feature = "train")]
    TrainBench(train_bench::TrainBenchArgs),
    /// Trains here and in PyTorch on the same batches from the same weights, and compares the accuracy.
    #[cfg(feature = "train")]
    TrainParity(train_parity::TrainParityArgs),
    /// Counts what layers and models cost on the emulated device, beside what others need.
    DeviceBench(device_bench::DeviceBenchArgs),
    /// Counts layers of many shapes on the emulated device, and writes the tables by which costs are modelled.
    DeviceCosts(device_costs::DeviceCostsArgs),
    /// Flash and RAM of each firmware by part, and frames a second; fails where text is formatted for a panic.
    Budget(budget::BudgetArgs),
    /// Draws the built-in data set.
    Faces(faces::FacesArgs),
}

pub(super) fn run(args: &DevArgs) -> Result<ExitCode> {
    match &args.command {
        #[cfg(feature = "train")]
        Command::TrainBench(args) => train_bench::run(args),
        #[cfg(feature = "train")]
        Command::TrainParity(args) => train_parity::run(args),
        Command::DeviceBench(args) => device_bench::run(args),
        Command::DeviceCosts(args) => device_costs::run(args),
        Command::Budget(args) => budget::run(args),
        Command::Faces(args) => faces::run(args),
    }
}
