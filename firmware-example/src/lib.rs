//! Runs a blob on the boards that QEMU has, which [`mps2`] describes; what they do is [`no_std_device`]'s.
#![no_std]

pub mod checked;
#[cfg(target_os = "none")]
pub mod mps2;
#[cfg(target_os = "none")]
pub mod region;

/// The blob, which stays in flash.
pub const MODEL: &[u8] = no_std_infer::include_model!(concat!(env!("OUT_DIR"), "/model.blob"));

/// Length of the model's arena in bytes.
pub const ARENA_LEN: usize = no_std_infer::format::arena_len(MODEL);
