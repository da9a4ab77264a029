//! Kernels by architecture, and the choice among them.

pub mod armv6m;
pub mod armv7em;
pub mod armv7m;
pub mod armv81m;
#[cfg(any(nsi_armv7em, nsi_armv7m, nsi_armv6m))]
mod assembly;
#[cfg(test)]
mod choice;

pub use self::armv7em::Armv7em;
pub use self::armv81m::Armv81m;
#[cfg(any(nsi_armv7em, nsi_armv7m, nsi_armv6m))]
pub(in crate::kernels) use self::assembly::assembly;
use super::scalar::Scalar;

/// Kernels for cores that multiply words only: Cortex-M0+.
pub type Armv6m = Scalar<armv6m::Paired>;
/// Kernels for cores that multiply and add, one product at a time: Cortex-M3, RISC-V.
pub type Armv7m = Scalar<armv7m::Single>;

/// The fastest set for the target that the crate is compiled for, or the one that the firmware names.
#[cfg(nsi_kernels = "armv8.1m")]
pub type Native = Armv81m;
/// The fastest set for the target that the crate is compiled for, or the one that the firmware names.
#[cfg(nsi_kernels = "armv7em")]
pub type Native = Armv7em;
/// The fastest set for the target that the crate is compiled for, or the one that the firmware names.
#[cfg(nsi_kernels = "armv7m")]
pub type Native = Armv7m;
/// The fastest set for the target that the crate is compiled for, or the one that the firmware names.
#[cfg(nsi_kernels = "armv6m")]
pub type Native = Armv6m;
/// The fastest set for the target that the crate is compiled for, or the one that the firmware names.
#[cfg(nsi_kernels = "generic")]
pub type Native = super::Generic;

/// The name of [`Native`]: `armv8.1m`, `armv7em`, `armv7m`, `armv6m` or `generic`, as `NO_STD_INFER_KERNELS` in the build's
/// environment chooses it.
pub const NATIVE_NAME: &str = env!("NO_STD_INFER_KERNELS_CHOSEN");
