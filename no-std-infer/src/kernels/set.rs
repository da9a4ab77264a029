//! Which kernels a model needs.

use serde::{Deserialize, Serialize};

use crate::format::records;
use crate::operators::Kernel;

/// A set of kernels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct KernelSet(u32);

/// A bit for each kernel, and a shift by their number that does not overflow.
const _: () = assert!(Kernel::ALL.len() < u32::BITS as usize);

impl KernelSet {
    /// No kernels.
    pub const NONE: Self = Self(0);
    /// All kernels.
    pub const ALL: Self = Self((1 << Kernel::ALL.len()) - 1);

    /// What a blob's operators need; operators that cannot be read need nothing.
    ///
    /// A `const fn`, so that firmware can [link](super::Linked) just these.
    #[must_use]
    pub const fn needed_by(blob: &[u8]) -> Self {
        let (records, mut set, mut index) = (records(blob), Self::NONE, 0);
        while index < records.len() {
            if let Some(kernel) = Kernel::of(&records[index]) {
                set = set.with(kernel);
            }
            index += 1;
        }
        set
    }

    /// With another kernel.
    #[must_use]
    pub const fn with(self, kernel: Kernel) -> Self {
        Self(self.0 | 1 << kernel as u32)
    }

    /// With all of another set.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True when it holds `kernel`.
    #[must_use]
    pub const fn has(self, kernel: Kernel) -> bool {
        self.0 & 1 << kernel as u32 != 0
    }

    /// Its kernels in order.
    pub fn iter(self) -> impl Iterator<Item = Kernel> {
        Kernel::ALL.into_iter().filter(move |&kernel| self.has(kernel))
    }

    /// Those of its kernels that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set = KernelSet::NONE.with(Kernel::Mul).with(Kernel::Conv2d);
        assert!(set.iter().eq([Kernel::Conv2d, Kernel::Mul]) && !set.has(Kernel::Constant));
        assert!(KernelSet::ALL.iter().eq(Kernel::ALL));
        assert!(
            KernelSet::ALL.without(set).and(set) == KernelSet::ALL && !KernelSet::ALL.without(set).has(Kernel::Mul)
        );
    }

    #[test]
    fn a_blob_that_cannot_be_read_needs_nothing() {
        for blob in [&[][..], &[0xFF; 31], &[0xFF; 64], &[0; 200]] {
            assert_eq!(KernelSet::needed_by(blob), KernelSet::NONE);
        }
    }
}
