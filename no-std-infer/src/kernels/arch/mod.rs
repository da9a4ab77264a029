//! Kernels by architecture, and the choice among them.

pub mod armv6m;
pub mod armv7em;
pub mod armv7m;

pub use self::armv7em::Armv7em;
use super::scalar::Scalar;

/// Kernels for cores that multiply words only: Cortex-M0+.
pub type Armv6m = Scalar<armv6m::Paired>;
/// Kernels for cores that multiply and add, one product at a time: Cortex-M3, RISC-V.
pub type Armv7m = Scalar<armv7m::Single>;

/// The fastest set for the target that the crate is compiled for.
#[cfg(dsp)]
pub type Native = Armv7em;
/// The fastest set for the target that the crate is compiled for.
#[cfg(armv6m)]
pub type Native = Armv6m;
/// The fastest set for the target that the crate is compiled for.
#[cfg(all(scalar, not(armv6m)))]
pub type Native = Armv7m;
/// The fastest set for the target that the crate is compiled for.
#[cfg(not(any(dsp, scalar)))]
pub type Native = super::Generic;
