//! The commands as a user calls them: what they refuse, how they say it, and that nothing is left half-written.

mod automatic;
mod blobs;
mod certificate;
mod common;
mod cross_validation;
mod data;
mod figures;
mod folders;
mod further;
mod jpeg;
mod kinds;
mod labels;
mod learning_curve;
mod maps;
mod program;
mod runs;
mod search;
