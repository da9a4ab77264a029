//! The studio: over devices in this process, and as a program with a browser over the emulated board.

mod browser;
mod in_process;

use anyhow::Result;
use clap::Parser;
use host_trainer::commands::{Cli, run};
use host_trainer::device;
use libtest_mimic::{Arguments, Trial};
use tests::chromium;
use tests::needing::trial;

/// Where the arguments of the program stand that this test starts again as.
const ARGUMENTS: &str = "STUDIO_ARGUMENTS";

fn main() -> Result<()> {
    // The program that this test starts again as starts itself for some of its commands.
    let own: Vec<String> = std::env::args().skip(1).collect();
    let is_command = own.first().is_some_and(|first| ["train", "compare"].contains(&first.as_str()));
    if let Ok(arguments) = std::env::var(ARGUMENTS) {
        host_trainer::system::interrupt::watch()?;
        let arguments = if is_command { own } else { arguments.lines().map(str::to_owned).collect() };
        return host_trainer(&arguments).inspect_err(|error| {
            eprintln!("error: {error:#}");
            std::process::exit(1);
        });
    }
    let missing = chromium::missing().or_else(device::missing);
    let trials: Vec<Trial> = vec![
        trial("frames_are_seen_and_saved_as_a_person_says", &None, in_process::frames_are_seen_and_saved),
        trial("rules_and_bursts_save_by_themselves", &None, in_process::rules_and_bursts_save),
        trial("models_are_sent_and_rolled_back", &None, in_process::models_are_sent_and_rolled_back),
        trial("a_lost_board_is_found_again", &None, in_process::a_lost_board_is_found_again),
        trial("what_is_wrong_with_a_camera_is_named", &None, in_process::what_is_wrong_is_named),
        trial("a_person_trains_further_and_compares", &chromium::missing(), browser::a_person_trains),
        trial("a_person_sees_labels_corrects_sends_and_rolls_back", &missing, browser::a_person_does_all),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// Does what the program does.
fn host_trainer(arguments: &[String]) -> Result<()> {
    let all = ["host-trainer"].into_iter().chain(arguments.iter().map(String::as_str));
    run(Cli::try_parse_from(all)?).map(drop)
}
