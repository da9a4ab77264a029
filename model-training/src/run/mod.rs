//! Runs: the folder of one, its recipe where that is chosen, and the folds of a cross-validation.

pub mod cross_validation;
pub mod folder;
pub mod known;
#[cfg(feature = "train")]
pub mod recipe;
