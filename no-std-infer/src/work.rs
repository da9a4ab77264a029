//! How much parsing may read.

use crate::error::Error;

/// How often [`Model::parse`](crate::Model::parse) may read each byte of a blob, on the average: it reads constants for each
/// operator that uses
/// them, and for each input the records of the operators back to those that made it. A blob that needs more is refused by
/// [`Error::Work`]. Models that are exported here need at most a tenth of it, those in stripes of rows the most.
pub const READS_PER_BYTE: u64 = 64;

/// What checking a blob may still read.
pub(crate) struct Work {
    // 64 bits: a blob is shorter than 2^32 bytes, which leaves 26 for the factor.
    left: u64,
}

impl Work {
    /// On a blob of so many bytes nothing is read yet.
    pub(crate) fn on(blob_len: usize) -> Self {
        Self { left: (blob_len as u64).saturating_mul(READS_PER_BYTE) }
    }

    /// Counts bytes that are about to be read.
    ///
    /// # Errors
    /// [`Error::Work`] when there are more than are left.
    pub(crate) fn take(&mut self, bytes: u64) -> Result<(), Error> {
        self.left = self.left.checked_sub(bytes).ok_or(Error::Work)?;
        Ok(())
    }
}
