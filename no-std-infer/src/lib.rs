//! Integer neural-network inference for microcontrollers: one blob, the same bytes on every target.
//!
//! ```ignore
//! use no_std_infer::{Arena, Interpreter, Model, format::arena_len, image, include_model};
//!
//! const MODEL: &[u8] = include_model!("faces.blob");
//! let mut arena = Arena::<{ arena_len(MODEL) }>::new();
//! let model = Model::parse(MODEL)?;
//! let mut interpreter = Interpreter::new(model, &mut arena)?;
//! image::preprocess(&frame, fit, interpreter.input_mut(), width, height, color)?;
//! interpreter.run();
//! let label = model.labels().nth(interpreter.class());
//! ```
//!
//! No allocation, no float between the input bytes and the int8 logits, no panic: [`Model::parse`] checks everything,
//! and afterwards nothing can fail. [`format`](mod@format) is the file, [`fixed`] the rounding.
#![no_std]

#[cfg(test)]
extern crate std;

mod arena;
mod decision;
mod error;
pub mod fixed;
pub mod format;
pub mod golden;
pub mod image;
mod interpreter;
pub mod kernels;
mod model;
#[doc(hidden)]
pub mod operators;
pub mod score;

pub use arena::{Aligned, Arena};
pub use decision::{Decision, argmax, rank};
pub use error::{Error, OpError};
pub use interpreter::{Interpreter, Step};
pub use model::Model;

/// The CRC-32 of the blob, the golden vector and the device link (ISO-HDLC).
pub const CRC32: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
