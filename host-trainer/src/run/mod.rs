//! Runs: the folder of one, and the folds of a cross-validation.

pub mod cross_validation;
pub mod folder;
pub mod known;
