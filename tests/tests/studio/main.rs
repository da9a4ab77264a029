//! The studio: over devices in this process, and as a program with a browser over the emulated board.

mod boards;
mod browser;
mod disk;
mod endurance;
mod in_process;
mod lamps;
mod pictures;
mod set;
mod several;
mod terminal;
mod wrong;

use std::process::ExitCode;

use host_trainer::device;
use libtest_mimic::{Arguments, Trial};
use tests::chromium;
use tests::needing::{trial, trial_where_possible};
use tests::processes::as_program;

fn main() -> ExitCode {
    if let Some(code) = as_program() {
        return code;
    }
    let missing = chromium::missing().or_else(device::missing);
    let script = terminal::missing();
    let trials: Vec<Trial> = vec![
        trial("frames_are_seen_and_saved_as_a_person_says", &None, in_process::frames_are_seen_and_saved),
        trial("rules_and_bursts_save_by_themselves", &None, in_process::rules_and_bursts_save),
        trial("models_are_sent_and_rolled_back", &None, in_process::models_are_sent_and_rolled_back),
        trial("a_lost_board_is_found_again", &None, in_process::a_lost_board_is_found_again),
        trial("two_boards_save_into_one_folder", &None, several::two_boards),
        trial("pictures_are_listed_corrected_and_deleted_in_a_terminal", &None, pictures::in_a_terminal),
        trial_where_possible("a_full_disk_loses_nothing_that_was_saved", &disk::missing(), disk::full),
        trial("frames_of_which_the_model_is_unsure_are_saved", &None, several::frames_of_which_the_model_is_unsure),
        trial(
            "frames_on_which_the_float_network_disagrees_are_saved",
            &None,
            several::frames_on_which_the_float_network_disagrees,
        ),
        trial("what_is_wrong_with_a_camera_is_named", &None, wrong::what_is_wrong_is_named),
        trial("a_board_that_computes_something_else_is_told", &None, wrong::a_lying_board_is_told),
        trial("a_model_that_the_board_refuses_is_told", &None, wrong::a_refusal_of_the_board_is_told),
        trial("a_serial_port_that_goes_is_opened_again", &script, terminal::a_port_that_goes_is_opened_again),
        trial("watch_says_by_its_exit_code_that_a_board_lies", &script, terminal::a_lying_board_misses_the_bound),
        trial("a_person_teaches_the_board_what_its_camera_sees", &missing, browser::short),
        trial("two_boards_are_seen_on_one_page", &missing, boards::two_boards),
        trial("a_person_teaches_the_board_by_200_frames", &missing, browser::long).with_ignored_flag(true),
        trial("ten_thousand_frames_leave_memory_flat", &missing, endurance::ten_thousand).with_ignored_flag(true),
    ];
    // One after the other: beside a browser and an emulator of another trial, frames are too rare for keys to be pressed in time.
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, trials).exit_code()
}
