//! The browser twin of a device: its engine, its preprocessing and its decision, which a page calls through a C interface.
//!
//! [`Twin`] is all of it, in safe Rust; `exports` makes a WebAssembly module's functions of that. The module imports nothing and
//! allocates nothing: the page grows the memory and says where in it blob, arena and pictures lie.
#![no_std]

mod exports;
mod twin;

pub use twin::{CLASSES, Twin};
