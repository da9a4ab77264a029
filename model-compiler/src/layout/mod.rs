//! From operators to where everything lies: their order, the layout of constants, stripes of rows, places in the arena.

pub mod arena;
mod error;
pub mod pack;
pub mod program;
pub mod schedule;
pub mod stripes;

pub use error::Error;
