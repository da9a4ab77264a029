//! What a run takes, known before it, and how much of that a program lets it take.

use core::fmt;

use serde::{Deserialize, Serialize};

/// The most that one run of a model takes, or may take. Its time is at most so many times its products, so many times its
/// bytes and so many times its operators, with factors that depend on the core and its kernels alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Cost {
    /// Products of weights and inputs, those of taps in the padding included; each value that a pooling looks at, and
    /// each place of its window in the padding, counts as one, each class of a softmax as [`SOFTMAX_PRODUCTS`].
    // 64 bits: 65,535 operators of 2^48 products each. One that has more is refused.
    pub products: u64,
    /// Bytes of the tensors and the scratch that operators read and write, and one for each of their weights.
    // 64 bits: an operator's three tensors, its scratch and its weights are below 2^32 bytes each, so that 2^29 operators do
    // not overflow it, and a blob has at most 65,535.
    pub bytes: u64,
}

/// Multiplications that an element of a softmax takes: two exponentials of eleven each, and its share of the quotient.
pub const SOFTMAX_PRODUCTS: u64 = 32;

impl Cost {
    /// No limit.
    pub const ANY: Self = Self { products: u64::MAX, bytes: u64::MAX };

    /// What takes a minute at most on a core that carries out 100 million instructions in a second, whichever of the supported
    /// ones it is: the limit of firmware that sets none. `tests/tests/bounds.rs` holds every kernel to 30 instructions a product
    /// and 125 a byte on a Cortex-M0+, where weights are not packed; packed layers take a quarter of that, other cores less.
    pub const MINUTE: Self = Self { products: 1 << 27, bytes: 15 << 20 };

    /// True when it is no more than `most` of either.
    #[must_use]
    pub const fn is_within(self, most: Self) -> bool {
        self.products <= most.products && self.bytes <= most.bytes
    }

    /// The products, or eight for each byte where that is more, in multiples of 2^20: what an error says. Rounded up, and
    /// `u32::MAX` where it is more.
    #[must_use]
    pub fn mebi(self) -> u32 {
        let larger = self.products.max(self.bytes.saturating_mul(8));
        u32::try_from(larger.saturating_add((1 << 20) - 1) >> 20).unwrap_or(u32::MAX)
    }

    /// Both together; `None` when that leaves 64 bits.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match (self.products.checked_add(other.products), self.bytes.checked_add(other.bytes)) {
            (Some(products), Some(bytes)) => Some(Self { products, bytes }),
            _ => None,
        }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} products and {} bytes moved", self.products, self.bytes)
    }
}
