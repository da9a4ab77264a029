//! Which kernels there are, and which of them a model needs.

use serde::{Deserialize, Serialize};

use crate::format::{DENSE_LAYOUT_AT, LAYOUT_AT, RECORD_LEN, TABLES_AT, records};

/// Names the kernels, each by the operator that it computes and the layout of that operator's constants.
macro_rules! kernels {
    ($($(#[$doc:meta])* $kernel:ident $name:literal),* $(,)?) => {
        /// What code must be linked for an operator: one for each operator, and for each layout of its constants.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Kernel {
            $($(#[$doc])* $kernel),*
        }

        impl Kernel {
            /// All of them, in order.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$kernel),*];

            /// Its name, for people.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kernel => $name),*
                }
            }
        }
    };
}

kernels! {
    /// [`Op::Conv2d`](crate::format::Op::Conv2d) with plain weights.
    Conv2d "conv2d",
    /// The same with packed weights.
    Conv2dPacked "conv2d, packed",
    /// The same with weights transformed for F(2x2, 3x3).
    Conv2dWinograd2x2 "conv2d, F(2x2)",
    /// The same for F(4x4, 3x3).
    Conv2dWinograd4x4 "conv2d, F(4x4)",
    /// The same for stride 2.
    Conv2dWinogradStride2 "conv2d, polyphase",
    /// [`Op::DepthwiseConv2d`](crate::format::Op::DepthwiseConv2d) with plain weights.
    DepthwiseConv2d "depthwise_conv2d",
    /// The same with packed weights.
    DepthwiseConv2dPacked "depthwise_conv2d, packed",
    /// [`Op::Dense`](crate::format::Op::Dense) with plain weights.
    Dense "dense",
    /// The same with packed weights.
    DensePacked "dense, packed",
    /// [`Op::MaxPool2d`](crate::format::Op::MaxPool2d).
    MaxPool2d "max_pool2d",
    /// [`Op::AveragePool2d`](crate::format::Op::AveragePool2d).
    AveragePool2d "average_pool2d",
    /// [`Op::Add`](crate::format::Op::Add) without tables.
    Add "add",
    /// The same with tables.
    AddTables "add, tables",
    /// [`Op::Clamp`](crate::format::Op::Clamp).
    Clamp "clamp",
    /// [`Op::Lookup`](crate::format::Op::Lookup).
    Lookup "lookup",
    /// [`Op::Softmax`](crate::format::Op::Softmax).
    Softmax "softmax",
    /// [`Op::Reshape`](crate::format::Op::Reshape).
    Reshape "reshape",
    /// [`Op::Mul`](crate::format::Op::Mul).
    Mul "mul",
    /// [`Op::Mean`](crate::format::Op::Mean).
    Mean "mean",
    /// [`Op::Pad`](crate::format::Op::Pad).
    Pad "pad",
    /// [`Op::Concat`](crate::format::Op::Concat).
    Concat "concat",
    /// [`Op::Constant`](crate::format::Op::Constant).
    Constant "constant",
}

impl Kernel {
    /// The kernel for an operator's record; `None` where there is no such operator, or none with such a layout.
    #[must_use]
    #[inline(never)]
    pub const fn of(record: &[u8; RECORD_LEN]) -> Option<Self> {
        Self::inlined_of(record)
    }

    /// [`Kernel::of`] without a call, for the one place where its time counts.
    #[inline(always)]
    pub(crate) const fn inlined_of(record: &[u8; RECORD_LEN]) -> Option<Self> {
        Some(match (record[0], record[LAYOUT_AT]) {
            (0, 0) => Self::Conv2d,
            (0, 1) => Self::Conv2dPacked,
            (0, 2) => Self::Conv2dWinograd2x2,
            (0, 3) => Self::Conv2dWinograd4x4,
            (0, 4) => Self::Conv2dWinogradStride2,
            (1, 0) => Self::DepthwiseConv2d,
            (1, 1) => Self::DepthwiseConv2dPacked,
            (2, _) if record[DENSE_LAYOUT_AT] == 0 => Self::Dense,
            (2, _) if record[DENSE_LAYOUT_AT] == 1 => Self::DensePacked,
            (3, _) => Self::MaxPool2d,
            (4, _) => Self::AveragePool2d,
            (5, _) if has_tables(record) => Self::AddTables,
            (5, _) => Self::Add,
            (6, _) => Self::Clamp,
            (7, _) => Self::Lookup,
            (8, _) => Self::Softmax,
            (9, _) => Self::Reshape,
            (10, _) => Self::Mul,
            (11, _) => Self::Mean,
            (12, _) => Self::Pad,
            (13, _) => Self::Concat,
            (14, _) => Self::Constant,
            _ => return None,
        })
    }
}

/// True unless both of a sum's tables are none.
const fn has_tables(record: &[u8; RECORD_LEN]) -> bool {
    let mut at = TABLES_AT;
    while at < TABLES_AT + 8 {
        if record[at] != u8::MAX {
            return true;
        }
        at += 1;
    }
    false
}

/// A set of kernels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelSet(u32);

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
