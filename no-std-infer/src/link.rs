//! Frames of the device link.
