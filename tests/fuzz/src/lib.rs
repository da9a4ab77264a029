//! Hostile input, made with knowledge of what it is to be, and what must hold whatever it is. Each episode is determined by its
//! number. `docs/fuzzing.md` says what runs where.

pub mod campaign;
pub mod device;
pub mod engine;
pub mod frames;
/// The flash of the device's own tests.
#[path = "../../../no-std-device/src/simulated.rs"]
pub mod simulated;

use no_std_device::{MappedFlash, PIECE, record_space};
