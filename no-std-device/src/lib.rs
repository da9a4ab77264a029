//! What the firmware of every board does; a board supplies the parts of a [`Board`].
//!
//! No allocation, no float between a frame and its class, and nothing that formats text is linked.
//!
//! An [`Application`] is polled, and does one step of its work each time:
//!
//! ```
//! use embedded_hal::digital::OutputPin;
//! use no_std_device::{Application, Board, Camera, Clock, Event, Link, MappedFlash, Trust};
//!
//! fn turn<F: MappedFlash, T: Trust>(
//!     application: &mut Application<'_, F, T>,
//!     board: &mut Board<impl Camera, impl Link, impl OutputPin, impl Clock>,
//! ) {
//!     match application.poll(board) {
//!         Event::Classified(report) if report.decision.sure => { /* act on report.decision.class */ }
//!         Event::Idle => board.clock.idle(), // or let other tasks run
//!         _ => {}
//!     }
//! }
//! ```
//!
//! Its parts also work alone: [`Server`] answers a host about any [`Loaded`] model, [`Updater`] takes blobs into an [`Idle`]
//! slot, [`SlotPair`] says which slot runs, [`Smoother`] decides over time, [`link`] has the frames and messages.
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

pub use app::{Application, Event, Parts, Report, TRIAL_FRAMES};
pub use board::{
    Board, Camera, CameraFault, Clock, Link, MappedFlash, NoCamera, NoFlash, NoIndicator, START_UNFED, WORK_UNFED,
};
pub use inference::{Costs, infer, load_frame};
pub use no_std_infer::Decision;
pub use serve::{Buffers, Device, KEPT_AT_MOST_SECONDS, KEPT_SECONDS, Loaded, Memory, Server};
pub use signature::{Anyone, AtEachStart, Owner, Trust, credentials, verify};
pub use slots::{ATTEMPTS, Idle, RECORD_LEN, Record, SlotPair, Standing, confirm, record_space, reject};
pub use smooth::{Average, SHIFT_MAX, Smoother};
pub use update::{Asked, PIECE, Running, Updater};
