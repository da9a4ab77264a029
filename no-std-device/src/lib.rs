//! What the firmware of every board does; a board supplies the parts of a [`Board`].
//!
//! No allocation, no float between a frame and its class, and nothing that formats text is linked.
#![no_std]

mod board;
mod inference;
mod serve;

pub use board::{Board, Camera, Clock, Link, MappedFlash, NoCamera, NoFlash, NoIndicator};
pub use inference::{Costs, infer};
pub use serve::{Device, Loaded, Memory, Server};
