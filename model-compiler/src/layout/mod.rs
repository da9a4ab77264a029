//! From operators to where everything lies: their order, the layout of constants, stripes of rows, places in the arena.

pub mod arena;
pub mod pack;
pub mod program;
pub mod schedule;
pub mod stripes;
