//! One axis of the resize: which source pixels make an output pixel, with which weights.

use core::num::{NonZeroU32, NonZeroU64};

use crate::bounded::Bounded;

/// A part of one side of the frame and the output's length along it, 1 to 65535 pixels each.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Axis {
    /// First source pixel.
    origin: u32,
    /// Number of source pixels.
    pub(super) source: u32,
    /// Number of output pixels.
    pub(super) output: NonZeroU32,
}

/// Source pixels `first..=last` of one output pixel. All between the two ends weigh the same;
/// the weights of both ends add up when they are one pixel.
pub(super) struct Taps {
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) first_weight: u32,
    pub(super) middle_weight: u32,
    pub(super) last_weight: u32,
}

impl Axis {
    /// The middle `source` pixels of `length`, resampled to `output` pixels.
    pub(super) fn centred(length: u32, source: u32, output: NonZeroU32) -> Self {
        Self { origin: length.saturating_sub(source) / 2, source, output }
    }

    /// Number of output pixels.
    pub(super) fn output(&self) -> u32 {
        self.output.get()
    }

    /// True when the output has no more pixels than the source.
    pub(super) fn shrinks(&self) -> bool {
        self.source >= self.output.get()
    }

    /// Sum of the weights of every output pixel: at most 131070.
    pub(super) fn total(&self) -> u32 {
        if self.shrinks() { self.source } else { self.output.get().times(2) }
    }

    /// Taps of output pixel `index`, which is below the output's length.
    pub(super) fn taps(&self, index: u32) -> Taps {
        if self.shrinks() { self.area(index) } else { self.bilinear(index) }
    }

    /// In units of 1/output of a source pixel: the part of each source pixel that lies under the output pixel.
    fn area(&self, index: u32) -> Taps {
        let (start, end) = (index.times(self.source), index.plus(1).times(self.source));
        let (first, last) = (start / self.output, end.minus(1) / self.output);
        let width = self.output.get();
        Taps {
            first: self.origin.plus(first),
            last: self.origin.plus(last),
            first_weight: first.plus(1).times(width).minus(start),
            middle_weight: width,
            last_weight: if last > first { end.minus(last.times(width)) } else { 0 },
        }
    }

    /// In units of 1/(2 · output) of a source pixel: the two source pixels around the output pixel's centre.
    fn bilinear(&self, index: u32) -> Taps {
        let output = NonZeroU64::from(self.output);
        let unit = output.saturating_add(output.get());
        let centre = u64::from(index.times(2).plus(1)) * u64::from(self.source);
        let position = centre.saturating_sub(output.get());
        let first = divide(position, unit);
        let fraction = position.minus(first.times(unit.get())) as u32;
        let first = first as u32;
        Taps {
            first: self.origin.plus(first),
            last: self.origin.plus(first.plus(1).min(self.source.minus(1))),
            first_weight: self.total().minus(fraction),
            middle_weight: 0,
            last_weight: fraction,
        }
    }
}

impl Taps {
    /// Weight of a source index between the first and the last.
    pub(super) fn weight(&self, index: u32) -> u32 {
        let first = if index == self.first { self.first_weight } else { 0 };
        let last = if index == self.last { self.last_weight } else { 0 };
        if self.first < index && index < self.last { self.middle_weight } else { first.plus(last) }
    }
}

/// `⌊numerator / denominator⌋`, in 32 bits where both fit: microcontrollers divide those in hardware.
pub(super) fn divide(numerator: u64, denominator: NonZeroU64) -> u64 {
    match (u32::try_from(numerator), NonZeroU32::try_from(denominator)) {
        (Ok(numerator), Ok(denominator)) => u64::from(numerator / denominator),
        _ => numerator / denominator,
    }
}
