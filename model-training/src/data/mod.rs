//! Images: which there are, which are copies of one another, what a run remembers of them, and how they are changed; what is known
//! of a mean over them, and of a run's epochs.

pub mod added;
pub mod augment;
pub mod bootstrap;
pub mod copies;
pub mod dataset;
pub mod epochs;
pub mod faces;
pub mod progress;
pub mod record;
pub mod relabel;
pub mod seen;
