//! What people see of a run: its end, its page, its charts, and the tables of the documentation.

pub mod boards;
pub mod certificate;
pub mod export;
pub mod gallery;
pub mod made;
pub mod pages;
pub mod parity;
#[cfg(feature = "train")]
pub mod plan;
pub mod plots;
#[cfg(feature = "train")]
pub mod search;
#[cfg(feature = "train")]
pub mod train;
pub mod verdict;
