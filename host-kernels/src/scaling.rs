//! From a sum of products to an output byte.

use alloc::vec::Vec;

use no_std_infer::fixed::clamp_i8;
use no_std_infer::format::{Activation, PACKED_SHIFT_MAX};
use no_std_infer::operators::{ChannelParams, DenseParams, OutputParams, PackedParams};

use crate::instructions::{Instructions, LANES_MAX, SHIFT_MAX};

/// Requantisation of the output channels of a vector, as that of
/// [`PackedParams`], whose conditions hold: it starts from twice the sum, and adds the zero point before the last shift.
#[derive(Clone, Copy)]
pub(crate) struct Fast<V> {
    bias: V,
    mantissa: V,
    rounding: V,
    shift: V,
}

/// How the output channels of a layer are scaled.
pub(crate) enum Scaling<V> {
    /// Vector by vector.
    Fast(Vec<Fast<V>>),
    /// Channel by channel, by the definition.
    Each(Vec<Exact>),
}

/// A channel's parameters for the definition, the offset of the values folded into the bias.
pub(crate) enum Exact {
    /// Of a convolution.
    Channel(ChannelParams),
    /// Of a fully connected layer.
    Dense(DenseParams),
}

impl<V: Copy> Scaling<V> {
    /// Of convolutions: `weights` gives an output channel's. Vectors where all of their channels allow it.
    pub fn new<I: Instructions<Vector = V>>(
        isa: I,
        channels: &[ChannelParams],
        weights: &[Vec<i8>],
        zero_point: i8,
    ) -> Self {
        let folded = channels
            .iter()
            .zip(weights)
            .map(|(channel, weights)| ChannelParams { bias: folded::<I>(channel.bias, weights), ..*channel });
        let folded: Vec<ChannelParams> = folded.collect();
        let entry = |((channel, folded), weights): ((&ChannelParams, &ChannelParams), &Vec<i8>)| {
            let magnitude: u64 = weights.iter().map(|weight| u64::from(weight.unsigned_abs())).sum();
            let fits = u64::from(channel.bias.unsigned_abs()) + 128 * magnitude < 1 << 30;
            let packed = PackedParams::new(*channel, zero_point).filter(|_| fits)?;
            Some([folded.bias, packed.mantissa, packed.rounding, packed.shift])
        };
        let entries: Option<Vec<[i32; 4]>> = channels.iter().zip(&folded).zip(weights).map(entry).collect();
        let Some(entries) = entries else { return Self::Each(folded.into_iter().map(Exact::Channel).collect()) };
        let vector = |entries: &[[i32; 4]]| {
            let [bias, mantissa, rounding, shift] = [0, 1, 2, 3].map(|field| {
                let mut words = [0; LANES_MAX];
                words.iter_mut().zip(entries).for_each(|(word, entry)| *word = entry[field]);
                isa.words(&words)
            });
            Fast { bias, mantissa, rounding, shift: isa.shifts(shift) }
        };
        Self::Fast(entries.chunks(I::LANES).map(vector).collect())
    }

    /// Of fully connected layers.
    pub fn dense<I: Instructions>(channels: &[DenseParams], weights: &[Vec<i8>]) -> Self {
        let folded = channels.iter().zip(weights).map(|(channel, weights)| {
            Exact::Dense(DenseParams { bias: folded::<I>(channel.bias, weights), ..*channel })
        });
        Self::Each(folded.collect())
    }
}

/// The bias less what the offset of the values adds to the sum.
fn folded<I: Instructions>(bias: i32, weights: &[i8]) -> i32 {
    let sum = weights.iter().fold(0_i32, |sum, &weight| sum.wrapping_add(weight.into()));
    bias.wrapping_sub(sum.wrapping_mul(I::OFFSET))
}

/// Scales the sums of a vector by the definition.
#[inline(never)]
pub(crate) fn scale_each(sums: &[i32], each: &[Exact], slots: &mut [i8], zero_point: i8, activation: Activation) {
    for ((slot, channel), &sum) in slots.iter_mut().zip(each).zip(sums) {
        *slot = channel.apply(sum, zero_point, activation);
    }
}

impl Exact {
    /// The output for a sum of products.
    fn apply(&self, sum: i32, zero_point: i8, activation: Activation) -> i8 {
        let scaled = match self {
            Self::Channel(channel) => channel.scale(sum.wrapping_add(channel.bias)),
            Self::Dense(channel) => channel.scale(sum.wrapping_add(channel.bias)),
        };
        clamp_i8(scaled.saturating_add(zero_point.into()), activation.min, activation.max)
    }
}

/// The outputs for sums of products, before they are narrowed.
#[inline(always)]
pub(crate) fn requantise<I: Instructions>(isa: I, sums: I::Vector, fast: &Fast<I::Vector>) -> I::Vector {
    let sums = isa.add(sums, fast.bias);
    let scaled = isa.high(isa.add(sums, sums), fast.mantissa);
    // Ties go away from zero: a negative number is taken as one less.
    let scaled = isa.add(scaled, isa.sign(scaled));
    isa.shift_right(isa.add(scaled, fast.rounding), fast.shift)
}

const _: () = assert!(PACKED_SHIFT_MAX as u32 <= SHIFT_MAX);
