//! How good a network is, in float and int8, and how sure that is.

pub mod advice;
pub mod cam;
pub mod comparison;
pub mod confidence;
pub mod evaluate;
pub mod held_out;
pub mod labels;
pub mod learning;
pub mod metrics;
pub mod predictions;
pub mod scores;
pub mod search;
pub mod trace;
