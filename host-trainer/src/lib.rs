//! Trains an image classifier on a laptop, quantises it and emits the blob that `no-std-infer` runs.
//!
//! The modules are the stages that a person knows, each on those before it: [`system`], [`config`], [`data`], [`measure`],
//! [`training`], [`run`], [`report`]; [`collect`] keeps what a board's camera sees, [`device`] and [`beside`] compare,
//! [`studio`] shows boards in a browser, and [`commands`] is the program.

/// Hides the standard library's macro: what is printed commands no terminal.
macro_rules! print {
    ($($text:tt)*) => { ::std::print!("{}", $crate::system::terminal::lines(&::std::format!($($text)*))) };
}

/// Hides the standard library's macro: what is printed commands no terminal.
macro_rules! println {
    () => { ::std::println!() };
    ($($text:tt)*) => { ::std::println!("{}", $crate::system::terminal::lines(&::std::format!($($text)*))) };
}

/// Hides the standard library's macro: what is printed commands no terminal.
macro_rules! eprintln {
    ($($text:tt)*) => { ::std::eprintln!("{}", $crate::system::terminal::lines(&::std::format!($($text)*))) };
}

pub mod beside;
pub mod collect;
pub mod commands;
pub mod config;
pub mod data;
pub mod device;
pub mod measure;
pub mod report;
pub mod run;
#[cfg(test)]
mod samples;
#[cfg(feature = "train")]
pub mod studio;
pub mod system;
#[cfg(feature = "train")]
pub mod training;
