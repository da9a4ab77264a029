//! What the firmware of every board does; a board supplies the parts of a [`Board`].
//!
//! No allocation, no float between a frame and its class, and nothing that formats text is linked.
#![no_std]
#![warn(missing_debug_implementations)]

#[cfg(test)]
extern crate std;

mod app;
mod board;
mod inference;
pub mod link;
mod log;
mod serve;
mod signature;
#[cfg(test)]
mod simulated;
mod slots;
mod smooth;
mod update;

pub use app::{Application, Report};
pub use board::{Board, Camera, Clock, Link, MappedFlash, NoCamera, NoFlash, NoIndicator};
pub use inference::{Costs, infer};
pub use serve::{Memory, Server};
pub use signature::{Anyone, Owner, Trust, verify};
pub use smooth::{Decision, SHIFT_MAX, Smoother};
