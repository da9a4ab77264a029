//! The parameters of an output channel.

use crate::bounded::Bounded;
use crate::fixed::{DoubleMultiplier, Multiplier};
use crate::format::{CHANNEL_LEN, PACKED_CHANNEL_LEN, PACKED_SHIFT_MAX};

/// Parameters of one output channel.
pub trait OutputParams {
    /// Bytes of an entry.
    const LEN: usize;
    /// Reads one entry of [`LEN`](Self::LEN) bytes; see [`format`](crate::format) for its layout.
    fn from_bytes(bytes: &[u8]) -> Self;
    /// What is added to the sum of products.
    fn bias(&self) -> i32;
    /// The sum in steps of the output.
    fn scale(&self, sum: i32) -> i32;
    /// True when [`scale`](Self::scale) is defined.
    fn is_valid(&self) -> bool;
}

fn word(bytes: &[u8], index: usize) -> i32 {
    let bytes = bytes.get(index.times(4)..).and_then(|rest| rest.first_chunk());
    i32::from_le_bytes(bytes.copied().unwrap_or_default())
}

fn write<const N: usize>(fields: impl IntoIterator<Item = i32>) -> [u8; N] {
    let mut bytes = [0; N];
    for (slot, field) in bytes.chunks_exact_mut(4).zip(fields) {
        slot.copy_from_slice(&field.to_le_bytes());
    }
    bytes
}

/// What turns one output channel's sum of products into an int8 value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelParams {
    /// Bias with the input's zero point folded in.
    pub bias: i32,
    /// Input scale · weight scale / output scale.
    pub multiplier: Multiplier,
}

impl ChannelParams {
    /// Writes one entry.
    #[must_use]
    pub fn to_bytes(self) -> [u8; CHANNEL_LEN] {
        write([self.bias, self.multiplier.mantissa, i32::from(self.multiplier.shift)])
    }
}

impl OutputParams for ChannelParams {
    const LEN: usize = CHANNEL_LEN;

    #[inline]
    fn from_bytes(bytes: &[u8]) -> Self {
        let multiplier = Multiplier { mantissa: word(bytes, 1), shift: word(bytes, 2).clamp(-128, 127) as i8 };
        Self { bias: word(bytes, 0), multiplier }
    }

    #[inline]
    fn bias(&self) -> i32 {
        self.bias
    }

    #[inline]
    fn scale(&self, sum: i32) -> i32 {
        self.multiplier.apply(sum)
    }

    fn is_valid(&self) -> bool {
        self.multiplier.is_valid()
    }
}

/// The same for the fast requantisation, which starts from twice the sum, rounds as [`Multiplier`] does, and adds the
/// output's zero point before the last shift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct PackedParams {
    /// Twice the bias.
    pub doubled_bias: i32,
    /// The multiplier's mantissa.
    pub mantissa: i32,
    /// `2^(shift − 1) + (zero point of the output << shift)`.
    pub rounding: i32,
    /// Right shift.
    pub shift: i32,
}

impl PackedParams {
    /// The same parameters for the fast requantisation; `None` when the multiplier's shift does not allow it.
    #[must_use]
    pub fn new(plain: ChannelParams, zero_point: i8) -> Option<Self> {
        let ChannelParams { bias, multiplier: Multiplier { mantissa, shift } } = plain;
        let shift = i32::from(shift).checked_neg().filter(|shift| (1..=i32::from(PACKED_SHIFT_MAX)).contains(shift))?;
        let doubled_bias = bias.checked_mul(2)?;
        Some(Self { doubled_bias, mantissa, rounding: Self::rounding(shift, zero_point), shift })
    }

    /// Writes one entry.
    #[must_use]
    pub fn to_bytes(self) -> [u8; PACKED_CHANNEL_LEN] {
        write([self.doubled_bias, self.mantissa, self.rounding, self.shift])
    }

    /// The same parameters for the ordinary requantisation.
    #[must_use]
    pub fn plain(self) -> ChannelParams {
        ChannelParams { bias: self.bias(), multiplier: self.multiplier() }
    }

    /// True when the entry is that of a valid multiplier and the output's zero point.
    #[must_use]
    pub fn fits(&self, zero_point: i8) -> bool {
        let shift = (1..=i32::from(PACKED_SHIFT_MAX)).contains(&self.shift);
        shift
            && self.doubled_bias & 1 == 0
            && self.multiplier().is_valid()
            && self.rounding == Self::rounding(self.shift, zero_point)
    }

    fn rounding(shift: i32, zero_point: i8) -> i32 {
        (1 << (shift.wrapping_sub(1) & 31)).plus(i32::from(zero_point) << (shift & 31))
    }

    fn multiplier(&self) -> Multiplier {
        Multiplier { mantissa: self.mantissa, shift: self.shift.saturating_neg().clamp(-128, 127) as i8 }
    }
}

impl OutputParams for PackedParams {
    const LEN: usize = PACKED_CHANNEL_LEN;

    #[inline]
    fn from_bytes(bytes: &[u8]) -> Self {
        let [doubled_bias, mantissa, rounding, shift] = [0, 1, 2, 3].map(|index| word(bytes, index));
        Self { doubled_bias, mantissa, rounding, shift }
    }

    #[inline]
    fn bias(&self) -> i32 {
        self.doubled_bias >> 1
    }

    #[inline]
    fn scale(&self, sum: i32) -> i32 {
        self.multiplier().apply(sum)
    }

    fn is_valid(&self) -> bool {
        self.multiplier().is_valid()
    }
}

/// What turns one output's sum of products into an int8 value, in a dense layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DenseParams {
    /// Bias with the input's zero point folded in.
    pub bias: i32,
    /// Input scale · weight scale / output scale.
    pub multiplier: DoubleMultiplier,
}

impl DenseParams {
    /// Writes one entry.
    #[must_use]
    pub fn to_bytes(self) -> [u8; CHANNEL_LEN] {
        let bits = self.multiplier.bits;
        write([self.bias, bits as i32, (bits >> 32) as i32])
    }
}

impl OutputParams for DenseParams {
    const LEN: usize = CHANNEL_LEN;

    fn from_bytes(bytes: &[u8]) -> Self {
        let bits = u64::from(word(bytes, 1) as u32) | u64::from(word(bytes, 2) as u32) << 32;
        Self { bias: word(bytes, 0), multiplier: DoubleMultiplier { bits } }
    }

    fn bias(&self) -> i32 {
        self.bias
    }

    fn scale(&self, sum: i32) -> i32 {
        self.multiplier.apply(sum)
    }

    fn is_valid(&self) -> bool {
        self.multiplier.is_valid()
    }
}
