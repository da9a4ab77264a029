//! `report.html`: what a run, or a cross-validation, was given, did and found, as one self-contained page.

mod cv;
mod parts;
mod run;

pub use cv::cross_validation;
pub use run::{shown, training_run};

/// Name of the page in a run folder and in a folder of a cross-validation.
pub const REPORT_FILE: &str = "report.html";
