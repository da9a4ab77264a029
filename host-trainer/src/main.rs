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
    match host_trainer::commands::run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
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
