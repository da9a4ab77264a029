//! A search among small networks that fit a target, for those that no other beats in accuracy and time.

mod folder;
mod halving;
mod outcome;
mod space;

pub use folder::{Costs, FINAL, FOLDS, PARTS, Plan, RUNGS, SearchDir, Trial, is_scored, last_split};
pub use outcome::{CHOSEN_FILE, Line, Outcome, Reference};
pub use space::{Point, points};
