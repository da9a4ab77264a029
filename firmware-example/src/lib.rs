//! Runs a blob on a microcontroller: [`serve`] answers a host over any [`Board`]; [`mps2`] is the board that QEMU has.
#![no_std]

mod board;
pub mod checked;
mod inference;
#[cfg(target_os = "none")]
pub mod mps2;
#[cfg(target_os = "none")]
pub mod region;
mod serve;

pub use board::{Board, Console};
pub use inference::{Costs, infer};
pub use serve::{Memory, serve};

/// The blob, which stays in flash.
pub const MODEL: &[u8] = no_std_infer::include_model!(concat!(env!("OUT_DIR"), "/model.blob"));

/// Length of the model's arena in bytes.
pub const ARENA_LEN: usize = no_std_infer::format::arena_len(MODEL);
