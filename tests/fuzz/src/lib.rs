//! Hostile input, made with knowledge of what it is to be, and what must hold whatever it is. Each episode is determined by its
//! number. `docs/fuzzing.md` says what runs where.

pub mod campaign;
pub mod engine;
