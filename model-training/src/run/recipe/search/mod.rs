//! A search among small networks that fit a target, for those that no other beats in accuracy and time.

mod folder;
mod halving;
mod outcome;
mod space;

pub use folder::{FINAL, Plan, SearchDir, Trial, is_scored, last_split};
pub use outcome::outcome;
pub use space::{config, points};
