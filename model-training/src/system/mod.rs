//! What everything else needs of the system: files, signals, text.

pub mod atomic;
mod child;
pub mod claim;
pub mod files;
pub mod hexadecimal;
pub mod hints;
pub mod html;
pub mod interrupt;
pub mod log;
pub mod memory;
pub mod read;
pub mod room;
pub mod spreadsheet;
pub mod terminal;
