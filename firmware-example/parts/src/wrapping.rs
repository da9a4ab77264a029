//! A counter of 32 bits as a clock of 64.

/// The time, when it was `last` at most 2^32 counts ago and the counter, whose zero is the clock's, shows `counter`.
#[must_use]
pub fn extend(last: u64, counter: u32) -> u64 {
    last + u64::from(counter.wrapping_sub(last as u32))
}
