//! Integer neural-network inference for microcontrollers: one blob, the same bytes on every target.
//!
//! ```
//! use no_std_infer::image::{Frame, PixelFormat, preprocess};
//! use no_std_infer::{Arena, Interpreter, Model, format::arena_len, include_model};
//!
//! const MODEL: &[u8] = include_model!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/tiny.blob"));
//! let mut arena = Arena::<{ arena_len(MODEL) }>::new();
//! let model = Model::parse(MODEL)?;
//! let mut interpreter = Interpreter::new(model, &mut arena)?;
//!
//! let (tensor, image) = (model.info().input.tensor, model.info().input.kind.image().ok_or("reads no pictures")?);
//! let frame = Frame::new(PixelFormat::Grey8, 8, 6, &[20; 8 * 6])?;
//! preprocess(&frame, image.fit, interpreter.input_mut(), tensor.width, tensor.height, image.color)?;
//! interpreter.run();
//! assert_eq!(model.labels().nth(interpreter.class()), Some("dark"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! No allocation, no float between the input bytes and the int8 logits, no panic: [`Model::parse`] checks everything,
//! and afterwards nothing can fail. [`format`](mod@format) is the file, [`fixed`] the rounding.
#![no_std]
#![warn(missing_debug_implementations)]

#[cfg(test)]
extern crate std;

/// The README's examples, which are compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;

mod arena;
#[doc(hidden)]
pub mod bounded;
mod cost;
mod decision;
mod error;
pub mod fixed;
pub mod format;
pub mod golden;
pub mod image;
mod interpreter;
pub mod kernels;
#[cfg(feature = "defmt")]
mod log;
mod model;
#[doc(hidden)]
pub mod operators;
pub mod quantise;
mod rows;
pub mod score;
mod work;

pub use arena::{Aligned, Arena};
pub use cost::{Cost, SOFTMAX_PRODUCTS};
pub use decision::{Decision, Scores, argmax, classes, is_sigmoid, rank};
pub use error::{Error, OpError};
pub use interpreter::{Interpreter, Progress, Step};
pub use model::Model;
pub use work::READS_PER_BYTE;

/// The CRC-32 of the blob, the golden vector and the device link (ISO-HDLC).
pub const CRC32: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
