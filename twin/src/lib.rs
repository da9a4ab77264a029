//! The browser twin of a device: its engine, its preprocessing and its decision, which a page calls through a C interface.
//!
//! [`Twin`] is all of it, in safe Rust; `exports` makes a WebAssembly module's functions of that. The module imports nothing. The page
//! grows the memory and says where in it blob, arena and pictures lie; what vectors need besides is allocated when a model is loaded.
#![no_std]

extern crate alloc;

mod exports;
mod twin;

use rlsf::SmallGlobalTlsf;

pub use twin::{CLASSES, Twin};

#[global_allocator]
static ALLOCATOR: SmallGlobalTlsf = SmallGlobalTlsf::new();
