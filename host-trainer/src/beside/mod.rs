//! Other engines beside ours, in Python, where their packages are installed.

pub mod litert;
mod python;
#[cfg(feature = "train")]
pub mod torch;
