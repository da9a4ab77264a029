//! Runs a blob on the boards that QEMU has, whose parts these are; what they do is [`no_std_device`]'s.
#![no_std]

mod board;
pub mod camera;
mod clock;
pub mod host_flash;
mod host_link;
mod uart;
pub mod watchdog;

use no_std_infer::Cost;
use no_std_infer::kernels::{KernelSet, Linked};

pub use board::{Mps2, Psram, exit, name, part_number};
pub use clock::{Count, Ticks};
pub use host_link::HostLink;
pub use uart::Uart;

/// The blob, which stays in flash.
pub const MODEL: &[u8] = no_std_infer::include_model!(concat!(env!("OUT_DIR"), "/model.blob"));

/// Length of the model's arena in bytes.
pub const ARENA_LEN: usize = no_std_infer::format::arena_len(MODEL);

/// The kernels that this model needs: for programs that run no other, which whoever builds them has chosen.
pub const LINKED: &Linked = &Linked::new(KernelSet::needed_by(MODEL)).at_most(Cost::ANY);

/// Whose updates are taken: those of the owner of the public key that `MODEL_KEY` named when this was built.
#[cfg(model_key)]
pub const TRUST: no_std_device::Owner = no_std_device::Owner(*include_bytes!(concat!(env!("OUT_DIR"), "/model.key")));

/// Whose updates are taken: anyone's, since `MODEL_KEY` named no public key when this was built.
#[cfg(not(model_key))]
pub const TRUST: no_std_device::Anyone = no_std_device::Anyone;
