//! Whole small networks.

use host_trainer::aligned::Aligned;

use crate::operators::{Kind, random};

/// A small model of several operators that parses: what the hostile-byte tests damage.
#[must_use]
pub fn small() -> Aligned<u8> {
    random(Kind::Add, 1).blob
}
