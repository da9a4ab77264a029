//! The program: trains an image classifier on a laptop, quantises it, emits the blob that `no-std-infer` runs, and talks with
//! the boards that run it.
//!
//! [`model_training`] has the stages from pictures to a network that is measured. Here [`report`] exports it and shows what it
//! is worth, [`collect`] keeps what a board's camera sees, [`device`] and [`beside`] compare, `studio` shows boards in a
//! browser, and [`commands`] is the command line.

/// Hides the standard library's macro: what is printed commands no terminal.
macro_rules! print {
    ($($text:tt)*) => { ::std::print!("{}", ::model_training::system::terminal::lines(&::std::format!($($text)*))) };
}

/// Hides the standard library's macro: what is printed commands no terminal.
macro_rules! println {
    () => { ::std::println!() };
    ($($text:tt)*) => { ::std::println!("{}", ::model_training::system::terminal::lines(&::std::format!($($text)*))) };
}

/// Hides the standard library's macro: what is printed commands no terminal.
macro_rules! eprintln {
    ($($text:tt)*) => { ::std::eprintln!("{}", ::model_training::system::terminal::lines(&::std::format!($($text)*))) };
}

pub mod beside;
pub mod collect;
pub mod commands;
pub mod device;
pub mod report;
#[cfg(test)]
#[path = "../../model-training/src/samples.rs"]
mod samples;
#[cfg(feature = "train")]
pub mod studio;
