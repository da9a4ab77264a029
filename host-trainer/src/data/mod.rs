//! Images: which there are, which are copies of one another, what a run remembers of them, and how they are changed.

pub mod added;
pub mod augment;
pub mod copies;
pub mod dataset;
pub mod faces;
pub mod progress;
pub mod record;
pub mod relabel;
pub mod seen;
