//! From a folder of pictures to a network that is trained and measured.
//!
//! The modules are the stages that a person knows, each on those before it: [`system`], [`config`], [`data`], [`measure`],
//! `training`, which only the feature `train` brings and burn with it, and [`run`]. `host-trainer` is the program around them.

/// Hides the standard library's macro: what is printed commands no terminal.
#[cfg(feature = "train")]
macro_rules! println {
    ($($text:tt)*) => { ::std::println!("{}", $crate::system::terminal::lines(&::std::format!($($text)*))) };
}

/// Hides the standard library's macro: what is printed commands no terminal.
macro_rules! eprintln {
    ($($text:tt)*) => { ::std::eprintln!("{}", $crate::system::terminal::lines(&::std::format!($($text)*))) };
}

pub mod config;
pub mod data;
pub mod measure;
pub mod run;
#[cfg(test)]
mod samples;
pub mod system;
#[cfg(feature = "train")]
pub mod training;
