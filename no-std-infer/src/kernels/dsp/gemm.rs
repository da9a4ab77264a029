//! The matrix product: a panel of four pixels times packed weights, requantised.
#![allow(unsafe_code)]

use crate::format::PACKED_CHANNEL_LEN;
use crate::ops::Packed;

#[cfg(dsp)]
core::arch::global_asm!(include_str!("gemm.s"), options(raw));

#[cfg(dsp)]
#[repr(C)]
struct Arguments {
    start: *const i8,
    end: *const i8,
    words: *const u8,
    channels: *const u8,
    channels_end: *const u8,
    output: *mut i8,
    pixel_stride: usize,
    skipped: usize,
}

#[cfg(dsp)]
unsafe extern "C" {
    fn no_std_infer_gemm(arguments: *const Arguments);
}

/// The constants of some pairs of output channels.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// Pairs of elements of a patch, 1 or more.
    pub pairs: usize,
    /// For each pair of output channels, a word for each pair of elements.
    pub words: &'a [u8],
    /// For each pair of output channels, the parameters of both.
    pub channels: &'a [u8],
}

impl<'a> Weights<'a> {
    /// All of a layer's.
    pub fn new(packed: &Packed<'a>) -> Self {
        Self { pairs: packed.order.pairs(), words: packed.words, channels: packed.channels.bytes() }
    }

    /// Splits after `count` pairs of output channels.
    pub fn split_at(self, count: usize) -> Option<(Self, Self)> {
        let (words, more_words) = self.words.split_at_checked(count * self.pairs * 4)?;
        let (channels, more_channels) = self.channels.split_at_checked(count * 2 * PACKED_CHANNEL_LEN)?;
        Some((Self { words, channels, ..self }, Self { words: more_words, channels: more_channels, ..self }))
    }

    /// Pairs of output channels.
    pub fn count(self) -> usize {
        self.channels.len() / (2 * PACKED_CHANNEL_LEN)
    }
}

/// Multiplies a panel with the weights of an even number of output channels and writes the int8 results of four pixels,
/// `pixel_stride` bytes apart. Does nothing when a slice is too short or not aligned to 4 bytes.
pub fn gemm(panel: &[i8], weights: Weights<'_>, output: &mut [i8], pixel_stride: usize) {
    let Weights { pairs, words, channels } = weights;
    let count = weights.count();
    let enough = panel.len() >= pairs * 16
        && words.len() >= count * pairs * 4
        && output.len() >= pixel_stride * 3 + count * 2
        && pairs > 0
        && count > 0;
    let addresses = panel.as_ptr() as usize | words.as_ptr() as usize | channels.as_ptr() as usize;
    if !enough || !addresses.is_multiple_of(4) {
        return;
    }
    #[cfg(dsp)]
    // SAFETY: it reads `pairs` groups of 16 bytes from the panel, for each of `count` pairs of channels `pairs` words and
    // 32 bytes of parameters, and writes the bytes `2 · count` at four places `pixel_stride` apart: all inside the slices,
    // as checked above; every address of a word is a multiple of 4. `start` and `end` are only compared and offset, and
    // no address outside the panel is read through them. It keeps the calling convention.
    unsafe {
        let skipped = pairs.wrapping_neg() % 16;
        let start = panel.as_ptr().wrapping_sub(8);
        no_std_infer_gemm(&Arguments {
            start: start.wrapping_sub(skipped * 16),
            end: start.wrapping_add(pairs * 16),
            words: words.as_ptr(),
            channels: channels.as_ptr(),
            channels_end: channels.as_ptr().wrapping_add(count * 2 * PACKED_CHANNEL_LEN),
            output: output.as_mut_ptr(),
            pixel_stride,
            skipped,
        });
    }
    #[cfg(not(dsp))]
    model(panel, weights, output, pixel_stride);
}

#[cfg(not(dsp))]
fn model(panel: &[i8], weights: Weights<'_>, output: &mut [i8], pixel_stride: usize) {
    use super::insn::{requantise, smlad, sxtb16};
    use crate::ops::{OutputParams, PackedParams};

    let word = |bytes: [u8; 4]| u32::from_le_bytes(bytes);
    let rows = weights.words.chunks_exact(weights.pairs * 4).zip(weights.channels.chunks_exact(2 * PACKED_CHANNEL_LEN));
    for (index, (row, channels)) in rows.enumerate() {
        let (mut first, mut both) = ([0; 4], [0; 4]);
        for (&weight, pixels) in row.as_chunks::<4>().0.iter().zip(panel.as_chunks::<16>().0) {
            for (pixel, &pair) in pixels.as_chunks::<4>().0.iter().enumerate() {
                let (weight, pair) = (word(weight), word(pair.map(|byte| byte as u8)));
                both[pixel] = smlad(weight, pair, both[pixel]);
                first[pixel] = smlad(sxtb16(weight), pair, first[pixel]);
            }
        }
        for pixel in 0..4 {
            let doubled = [first[pixel] << 1, both[pixel].wrapping_sub(first[pixel]) >> 7];
            for (channel, doubled) in doubled.into_iter().enumerate() {
                let p = PackedParams::from_bytes(&channels[channel * PACKED_CHANNEL_LEN..]);
                let doubled = doubled.wrapping_add(p.doubled_bias);
                output[pixel * pixel_stride + index * 2 + channel] =
                    requantise(doubled, p.mantissa, p.rounding, p.shift);
            }
        }
    }
}
