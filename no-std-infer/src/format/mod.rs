//! The blob: one file that holds a model, read in place from flash.
//!
//! # Layout (all integers little-endian)
//!
//! | bytes | field |
//! |---|---|
//! | 0..4 | magic `NSIM` |
//! | 4..6 | format version, [`VERSION`] |
//! | 6..8 | number of sections |
//! | 8..12 | length of the whole blob in bytes |
//! | 12..16 | CRC-32 (ISO-HDLC) of every byte of the blob but these four |
//! | 16..20 | arena length in bytes: activations and scratch, a multiple of 16 |
//! | 20..32 | zero |
//! | 32.. | sections table: id, offset from the start of the blob, length (u32 each) |
//!
//! The blob's base address and every section's offset are multiples of [`ALIGN`].
//! A section whose id is [`FIRST_ANCILLARY`] or above may be skipped by a reader that does not know it;
//! any other unknown section makes the blob unreadable, since skipping it could change the answer.
//!
//! The [`section::MANIFEST`] section is a run of postcard 1.x messages without separators: one [`Info`],
//! `Info::labels` strings. The [`section::OPERATORS`] section holds a record of [`RECORD_LEN`] bytes for each of
//! `Info::ops` [`Op`]s: a byte that names the variant, counted from 0 in the order of their definition, then the fields
//! in the order of theirs, without padding; the rest is zeros. A [`Layout`] is a byte counted in the same way, and a table
//! that there is not is 2^32 − 1. The [`section::WEIGHTS`] section holds the constants that the operators address by
//! offset; the [`section::GOLDEN`] section is one postcard [`Golden`], the
//! [`section::CALIBRATION`] section one postcard [`Calibration`].
//!
//! # Signature
//!
//! A blob may be signed, so that firmware with a public key can refuse what others made. The [`section::NUMBER`] section
//! then holds the model's number, a u32, which firmware wants to be greater than those of all models that it has taken: an
//! old blob, however well signed, does not come back. The [`section::SIGNATURE`] section holds the ed25519 public key (32
//! bytes) and the signature (64 bytes): Ed25519 of RFC 8032 over a [`Statement`], that is over a context, the SHA-256 of the
//! blob's content, its length and its number. The content is all bytes of the blob but the four of its CRC-32, which covers
//! the signature and so is not known before it, and the section's own. Header, section table and the number are signed like
//! the rest. So a device can verify the signature before the first byte of the blob has come, and the content afterwards. The
//! key in the section only says which one was used; firmware trusts its own. Whoever does not ask for a signature skips both
//! sections.
//!
//! # Constants in the weights section
//!
//! * Conv2d weights: int8 `[out][kernel_h][kernel_w][in]` (OHWI), symmetric per output channel.
//! * Depthwise weights: int8 `[kernel_h][kernel_w][out]` (1HWC).
//! * Dense weights: int8 `[out][in]`, the input flattened in HWC order.
//! * Channel parameters: [`CHANNEL_LEN`] bytes an output channel: bias (i32), multiplier mantissa (i32), shift (i32).
//!   The bias already contains `−zero_point_in · Σw`, so a kernel adds plain products `w · x` for every tap,
//!   taps in the padding included, where `x` is the input's zero point.
//!   Those of a dense layer: bias (i32), and the factor as an IEEE 754 double, whose bits
//!   [`DoubleMultiplier`](crate::fixed::DoubleMultiplier) uses in integers.
//! * Packed weights of Conv2d: for each pair of output channels, one little-endian word for every two elements of the
//!   patch. Each of the word's halfwords is `a + 256 · b` with the weights `a` and `b` of the pair's two channels, so that
//!   one SMLAD multiplies both with two elements. The order of the elements is that of
//!   [`PatchOrder`](crate::operators::PatchOrder); of an odd number of channels the last has a partner of zeros. Their first
//!   byte is a multiple of 4.
//! * Packed depthwise weights: [`DEPTHWISE_LEN`] bytes an output channel: the int8 weights of the taps
//!   0, 3, 2, 5, 6, 1, 8, 4 and 7, counted row by row, then zeros, so that SXTB16 makes pairs of taps in one row. Their
//!   first byte is a multiple of 4.
//! * Transformed weights of Conv2d ([`Layout::Winograd2x2`] and the like): 16-bit integers, see
//!   [`Winograd::words`](crate::operators::Winograd::words); with packed channel parameters. Their first byte is a multiple of 4.
//! * Packed dense weights: for each four outputs, for each four inputs, [`DENSE_BLOCK_LEN`] bytes: for both pairs of outputs
//!   the halfwords `a + 256 · b` of inputs 0, 2, 1 and 3. Channel parameters are those of any dense layer. Where outputs are
//!   no multiple of four there are weights and parameters of so many more. Their first byte is a multiple of 4.
//! * Packed channel parameters: [`PACKED_CHANNEL_LEN`] bytes an output channel, a partner of zeros included: twice the bias
//!   (i32), multiplier mantissa (i32), `2^(r − 1) + (zero_point_out << r)` (i32), right shift `r` (i32). The sum with its
//!   bias is below 2^30 and 1 ≤ r ≤ [`PACKED_SHIFT_MAX`], so that requantisation takes five instructions.
//! * Tables of a sum's summand: 256 entries (i32), indexed by the element's byte without sign: the summand in its
//!   doubled scale, see [`Add::table_entry`].
//! * Lookup tables: 256 int8 entries, indexed by `x + 128`.
//! * Constant tensors: int8, HWC.
//!
//! # Rows
//!
//! A tensor that an operator reads consists of rows that the network's input or earlier operators left there, of the same
//! width, channels and quantisation; they need not be all rows of one tensor, nor of the same one. So a layer may be stored
//! as several operators, each of which makes some of its rows and has the padding that falls into them, and a run of layers may
//! go stripe by stripe: then the tensors between them never exist whole. Rows that are read again in the next stripe are moved
//! by a `Reshape`. The [`section::LAYERS`] section says which layer's rows each operator makes.
//!
//! # Tensors that share bytes
//!
//! Inputs of an operator are intact when it runs. Its scratch shares no byte with its inputs or its output. Its output may
//! share bytes with an input where [`Op::overlap`] allows it: where every byte has been read before it is overwritten.
//!
//! # Versions
//!
//! Version 2 added inputs that are not pictures, models without labels, logits of any shape, `Mul`, `Mean`, `Pad`,
//! `Concat` and `Constant`, summands of different shapes, softmax over several
//! pixels, dense layers over several vectors and their factors in double precision. Version 3 added
//! [`Layout::Packed`] and [`Layout::Winograd2x2`]. Version 4 put the operators into a section of their own, as records
//! that are cheap to read, allowed outputs over inputs at other places than the input's own, and added
//! [`Layout::Winograd4x4`] and [`Layout::WinogradStride2`], and dense layers in [`Layout::Packed`]. An operator that is new
//! needs no other version: readers without it refuse it by its tag. So came [`Op::ReduceMax`].
//! Nor do two labels for the sigmoid of one logit, which older readers refuse.

mod checksum;
mod info;
#[cfg(test)]
mod pinned;
mod signed;

use serde::{Deserialize, Serialize};

pub use crate::operators::{
    ADD_SHIFT, Activation, Add, Clamp, Concat, Constant, Conv2d, Dense, Layout, Lookup, Mean, Mul, Op, Pad, Pool2d,
    RECORD_LEN, ReduceMax, Reshape, Softmax, Weights, Window,
};
pub use checksum::{blob_crc, blob_crc_with};
pub use info::{Color, Fit, ImageInput, Info, Input, InputKind, Provenance};
pub use signed::{SIGNATURE_LEN, STATEMENT_LEN, Signed, Statement, number};

use crate::bounded::Bounded;

/// The first four bytes of every blob.
pub const MAGIC: [u8; 4] = *b"NSIM";
/// The version of the format that this crate reads and writes.
pub const VERSION: u16 = 4;
/// Length of the fixed header in bytes.
pub const HEADER_LEN: usize = 32;
/// Length of one entry of the section table in bytes.
pub const SECTION_LEN: usize = 12;
/// Alignment of the blob, its sections and the arena in bytes.
pub const ALIGN: usize = 16;
/// Length of one output channel's parameters in bytes.
pub const CHANNEL_LEN: usize = 12;
/// Length of one output channel's parameters in bytes where weights are [packed](Layout::Packed).
pub const PACKED_CHANNEL_LEN: usize = 16;
/// Length of a summand's table in bytes.
pub const ADD_TABLE_LEN: usize = 1024;
/// Length of one output channel's weights in bytes where a depthwise convolution is [packed](Layout::Packed).
pub const DEPTHWISE_LEN: usize = 12;
/// Length of the weights of four outputs for four inputs in bytes where a dense layer is [packed](Layout::Packed).
pub const DENSE_BLOCK_LEN: usize = 16;
/// Largest right shift of the fast requantisation: with one more, `zero_point << r` leaves 32 bits.
pub const PACKED_SHIFT_MAX: i8 = 22;
/// Sections with this id or a greater one may be skipped by a reader that does not know them.
pub const FIRST_ANCILLARY: u32 = 128;

/// Section ids.
pub mod section {
    /// Description of the model, required.
    pub const MANIFEST: u32 = 1;
    /// Weights, channel parameters and tables, required.
    pub const WEIGHTS: u32 = 2;
    /// Reserved: more about the input than the manifest says.
    pub const INPUT: u32 = 3;
    /// The operators' records in execution order, required.
    pub const OPERATORS: u32 = 5;
    /// A [`Golden`](super::Golden) vector for the self-test, optional.
    pub const GOLDEN: u32 = 128;
    /// A public key and a signature, see [`Signed`](super::Signed), optional.
    pub const SIGNATURE: u32 = 129;
    /// When the model should rather not answer: a [`Calibration`](super::Calibration), optional.
    pub const CALIBRATION: u32 = 130;
    /// The model's number (u32): each signed model of a device has a greater one than those before. Goes with
    /// [`SIGNATURE`].
    pub const NUMBER: u32 = 131;
    /// Where a layer is more than one operator: for each operator the index of the layer that it makes rows of (u16), or
    /// 2^16 − 1 where it only moves rows. Those of a layer come in order. For people and tests: nothing that runs needs it.
    pub const LAYERS: u32 = 132;
}

const fn read_u32(bytes: &[u8], at: usize) -> u32 {
    if at + 4 > bytes.len() {
        return 0;
    }
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Arena length in bytes that the header of `blob` asks for; 0 when `blob` is shorter than a header.
///
/// A `const fn`, so that firmware can size a static [`Arena`](crate::Arena) and let the linker prove the RAM.
#[must_use]
pub const fn arena_len(blob: &[u8]) -> usize {
    if blob.len() < HEADER_LEN {
        return 0;
    }
    read_u32(blob, 16) as usize
}

/// Length in bytes that the header of `blob` claims; 0 when `blob` is shorter than a header.
#[must_use]
pub const fn total_len(blob: &[u8]) -> usize {
    if blob.len() < HEADER_LEN {
        return 0;
    }
    read_u32(blob, 8) as usize
}

/// The operators' records of a blob that need not be valid; none where they do not lie within it.
#[must_use]
pub(crate) const fn records(blob: &[u8]) -> &[[u8; RECORD_LEN]] {
    let (count, mut index) = (read_u32(blob, 4) >> 16, 0);
    while index < count {
        let entry = HEADER_LEN + index as usize * SECTION_LEN;
        if read_u32(blob, entry) == section::OPERATORS {
            let (start, len) = (read_u32(blob, entry + 4) as usize, read_u32(blob, entry + 8) as usize);
            let Some((_, rest)) = blob.split_at_checked(start) else { return &[] };
            let Some((records, _)) = rest.split_at_checked(len) else { return &[] };
            return records.as_chunks().0;
        }
        index += 1;
    }
    &[]
}

/// The fields of the fixed header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Header {
    /// Number of entries in the section table.
    pub sections: u16,
    /// Length of the blob in bytes.
    pub total_len: u32,
    /// CRC-32 of the blob without the CRC itself.
    pub crc: u32,
    /// Arena length in bytes.
    pub arena_len: u32,
}

impl Header {
    /// Writes the header, magic and version included.
    #[must_use]
    pub fn to_bytes(self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        let fields = [
            u32::from_le_bytes(MAGIC),
            u32::from(VERSION) | u32::from(self.sections) << 16,
            self.total_len,
            self.crc,
            self.arena_len,
        ];
        for (slot, field) in bytes.chunks_exact_mut(4).zip(fields) {
            slot.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }
}

/// One entry of the section table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Section {
    /// What the section holds, see [`section`].
    pub id: u32,
    /// Start, counted from the start of the blob; a multiple of [`ALIGN`].
    pub offset: u32,
    /// Length in bytes.
    pub len: u32,
}

impl Section {
    /// Reads one entry of the section table.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; SECTION_LEN]) -> Self {
        Self { id: read_u32(bytes, 0), offset: read_u32(bytes, 4), len: read_u32(bytes, 8) }
    }

    /// Writes one entry of the section table.
    #[must_use]
    pub fn to_bytes(self) -> [u8; SECTION_LEN] {
        let mut bytes = [0; SECTION_LEN];
        for (slot, field) in bytes.chunks_exact_mut(4).zip([self.id, self.offset, self.len]) {
            slot.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }

    /// The entries of a blob's section table; `None` when the table does not lie within `blob`.
    pub fn table(blob: &[u8]) -> Option<impl Iterator<Item = Self>> {
        let [_, _, _, _, _, _, low, high, ..] = blob else { return None };
        let count = usize::from(u16::from_le_bytes([*low, *high]));
        let table = blob.get(HEADER_LEN..HEADER_LEN + count * SECTION_LEN)?;
        Some(table.as_chunks().0.iter().map(Self::from_bytes))
    }

    /// Its bytes; `None` when it does not lie within `blob` or is misaligned.
    #[must_use]
    pub fn bytes(self, blob: &[u8]) -> Option<&[u8]> {
        let start = self.offset as usize;
        if !start.is_multiple_of(ALIGN) {
            return None;
        }
        blob.get(start..start.checked_add(self.len as usize)?)
    }
}

/// An activation tensor in the arena: int8, HWC, `real = scale · (q − zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Tensor {
    /// First byte in the arena.
    pub offset: u32,
    /// Rows.
    pub height: u16,
    /// Columns.
    pub width: u16,
    /// Channels, the fastest-moving index.
    pub channels: u32,
    /// Real value of one quantisation step.
    pub scale: f32,
    /// Quantised value of the real number 0.
    pub zero_point: i8,
}

impl Tensor {
    /// Number of elements, which is also its length in bytes, or `None` when that exceeds `u32`.
    #[must_use]
    pub fn checked_len(&self) -> Option<u32> {
        (u32::from(self.height) * u32::from(self.width)).checked_mul(self.channels)
    }

    /// Number of elements, which is also its length in bytes, where that does not exceed `u32`.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        (u32::from(self.height) * u32::from(self.width)).wrapping_mul(self.channels) as usize
    }

    /// True when the tensor has no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of elements of a row.
    #[must_use]
    #[inline]
    pub fn row_len(&self) -> usize {
        usize::from(self.width).times(self.channels as usize)
    }

    /// The bytes it takes in the arena.
    #[must_use]
    pub fn range(&self) -> core::ops::Range<usize> {
        let start = self.offset as usize;
        start..start.wrapping_add(self.len())
    }

    /// True when both tensors share a byte of the arena.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let (a, b) = (self.range(), other.range());
        !a.is_empty() && !b.is_empty() && a.start < b.end && b.start < a.end
    }
}

/// When a classifier should rather not answer, found on images that were not trained on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Calibration {
    /// The model answers when the byte of its class's probability, in 256ths, is this or more.
    pub threshold: u8,
    /// Number of those images.
    pub images: u32,
    /// Share of them that is answered, 0 to 1.
    pub coverage: f32,
    /// Share of these answers that is right, 0 to 1.
    pub accuracy: f32,
}

/// Test vector that a device can run by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Golden<'a> {
    /// Makes the input from the seed.
    pub generator: Generator,
    /// Seed of the generator, not 0.
    pub seed: u32,
    /// Expected bytes of the logits.
    pub logits: &'a [u8],
    /// CRC-32 of each operator's output, 4 bytes each, little-endian.
    pub layers: &'a [u8],
}

/// Named generators of test inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Generator {
    /// Marsaglia's xorshift32 (shifts 13, 17, 5); each state's top byte is one input byte.
    Xorshift32,
}
