//! What the programs that measure and check the engine share.
#![no_std]

pub mod checked;
pub mod mutants;
#[cfg(target_arch = "arm")]
pub mod region;
pub mod tensors;
