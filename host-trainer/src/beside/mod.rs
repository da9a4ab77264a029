//! Other engines beside ours, in Python, where their packages are installed.

pub mod litert;
mod python;
pub mod torch;
