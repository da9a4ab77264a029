//! The host-trainer binary.
fn main() {}
