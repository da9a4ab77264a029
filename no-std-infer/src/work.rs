//! How much parsing may read.

use crate::error::Error;

/// How often [`Model::parse`](crate::Model::parse) may read each byte of a blob, on the average: it reads constants for each
/// operator that uses them, and for each input the records of the operators back to those that made it. A blob that needs more
/// is refused by [`Error::Work`]. Models that are exported here need at most a tenth of it, those in stripes of rows the most.
pub const READS_PER_BYTE: usize = 64;

/// What checking a blob may still read.
pub(crate) struct Work {
    // As wide as an address: where that is 32 bits, blobs beyond 64 MiB are read less often.
    left: usize,
    exceeded: bool,
}

impl Work {
    /// On a blob of so many bytes nothing is read yet.
    pub(crate) fn on(blob_len: usize) -> Self {
        Self { left: blob_len.saturating_mul(READS_PER_BYTE), exceeded: false }
    }

    /// Counts bytes that are about to be read; false when there are more than are left.
    pub(crate) fn take(&mut self, bytes: u32) -> bool {
        let left = self.left.checked_sub(bytes as usize);
        (self.left, self.exceeded) = (left.unwrap_or(0), left.is_none());
        left.is_some()
    }

    /// What is wrong where something cannot be shown: `why`, or that it would have taken too long.
    pub(crate) fn or(&self, why: Error) -> Error {
        if self.exceeded { Error::Work } else { why }
    }
}
