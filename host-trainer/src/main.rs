//! The `host-trainer` program.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod memory;

use std::panic::{set_hook, take_hook};
use std::process::{ExitCode, exit};

use clap::Parser;
use host_trainer::commands::Cli;

/// What a shell reports of a program whose reader has gone: 128 + SIGPIPE.
const READER_GONE: i32 = 141;

fn main() -> ExitCode {
    end_quietly_without_reader();
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    memory::keep_freed();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return explain(&error),
    };
    if let Err(error) = model_training::system::log::start(cli.verbosity()) {
        tell(&error);
        return ExitCode::FAILURE;
    }
    #[cfg(unix)]
    if let Err(error) = model_training::system::interrupt::watch() {
        tracing::warn!("emulators may outlive this program when it is killed: {error}");
    }
    match host_trainer::commands::run(cli) {
        Ok(code) => code,
        Err(error) => {
            model_training::system::interrupt::wait_when_leaving();
            tell(&error);
            ExitCode::FAILURE
        }
    }
}

/// Says why the program fails, in which names of files and others may stand.
fn tell(error: &anyhow::Error) {
    eprintln!("{}", model_training::system::terminal::lines(&format!("error: {error:#}")));
}

/// Prints help, the version, or what is wrong with the command line. That is an error like others: 2 is for a missed bound.
fn explain(error: &clap::Error) -> ExitCode {
    // Nobody is left to tell where that fails.
    let _ = error.print();
    if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// `println!` panics when standard output is a pipe that nobody reads any more, as after `| head`.
fn end_quietly_without_reader() {
    let report = take_hook();
    set_hook(Box::new(move |panic| {
        let message = panic.payload().downcast_ref::<String>();
        if message.is_some_and(|message| message.starts_with("failed printing to stdout")) {
            exit(READER_GONE);
        }
        report(panic);
    }));
}
