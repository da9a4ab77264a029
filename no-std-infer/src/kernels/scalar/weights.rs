//! Pairs of output channels that a panel is multiplied with.

use core::cell::Cell;

use super::PIXELS;
use super::requantise::finish;
use crate::bounded::Bounded;
use crate::format::PACKED_CHANNEL_LEN;
use crate::operators::{Channels, PackedParams};

/// Packed weights and parameters of pairs of output channels.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// Words of each pair: one for each pair of elements of a patch.
    pub pairs: usize,
    /// The words, pair by pair.
    pub words: &'a [u8],
    /// One entry an output channel.
    pub channels: Channels<'a, PackedParams>,
}

impl<'a> Weights<'a> {
    /// The pairs from `first` on.
    pub fn skip(&self, first: usize) -> Self {
        let words = self.words.get(first.times(self.pairs).times(4)..).unwrap_or_default();
        Self { words, channels: self.channels.skip(first.times(2)), ..*self }
    }

    /// The first `count` pairs.
    pub fn take(&self, count: usize) -> Self {
        let words = self.words.get(..count.times(self.pairs).times(4)).unwrap_or(self.words);
        Self { words, ..*self }
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        let words = self.words.len().checked_div(self.pairs.times(4)).unwrap_or(0);
        words.min(self.channels.bytes().len() / (2 * PACKED_CHANNEL_LEN))
    }

    /// Requantises what `sums` gives for the words of each pair and writes it, pixels `stride` bytes apart.
    pub fn finish(&self, output: &[Cell<i8>], stride: usize, sums: impl Fn(&'a [u8]) -> [[i32; PIXELS]; 2]) {
        let (mut channels, mut channel) = (self.channels.iter(), 0_usize);
        for words in self.words.chunks_exact(self.pairs.times(4).max(1)) {
            for sums in sums(words) {
                let Some(parameters) = channels.next() else { return };
                let mut at = channel;
                for sum in sums {
                    let Some(out) = output.get(at) else { return };
                    out.set(finish(sum, &parameters));
                    at = at.plus(stride);
                }
                channel = channel.plus(1);
            }
        }
    }
}
