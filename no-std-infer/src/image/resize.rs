//! From frames of one geometry to inputs of one shape.

use core::num::{NonZeroU16, NonZeroU32, NonZeroU64};

use super::axis::{self, Axis, Taps};
use super::color;
use super::frame::{Frame, Geometry, ImageError};
use crate::bounded::Bounded;
use crate::format::{Color, Fit};

/// How frames of one geometry become inputs of one shape: the crop, the weights, the colour. The same for every frame of
/// a camera, some 60 bytes.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Resize {
    pub(super) source: Geometry,
    pub(super) color: Color,
    pub(super) columns: Axis,
    pub(super) rows: Axis,
    /// Sum of the weights of an output pixel.
    total: NonZeroU64,
}

impl Resize {
    /// From frames of `source`'s geometry to `out_height` × `out_width` × channels of `color`.
    ///
    /// # Errors
    ///
    /// [`ImageError::EmptyOutput`].
    pub fn new(source: Geometry, fit: Fit, out_width: u16, out_height: u16, color: Color) -> Result<Self, ImageError> {
        let (Some(width), Some(height)) = (NonZeroU16::new(out_width), NonZeroU16::new(out_height)) else {
            return Err(ImageError::EmptyOutput);
        };
        let (width, height) = (NonZeroU32::from(width), NonZeroU32::from(height));
        let (crop_width, crop_height) = crop(source, fit, width, height);
        let columns = Axis::centred(source.width(), crop_width, width);
        let rows = Axis::centred(source.height(), crop_height, height);
        let total = u64::from(columns.total()) * u64::from(rows.total());
        Ok(Self { source, color, columns, rows, total: NonZeroU64::new(total).unwrap_or(NonZeroU64::MIN) })
    }

    /// Bytes of one row of the output.
    pub(super) fn output_row_len(&self) -> usize {
        (self.columns.output() as usize).times(self.color.channels())
    }

    pub(super) fn check_output(&self, output: &[i8]) -> Result<(), ImageError> {
        let expected = self.output_row_len().saturating_mul(self.rows.output() as usize);
        if output.len() == expected { Ok(()) } else { Err(ImageError::OutputLength { expected, found: output.len() }) }
    }

    /// Writes the output of a whole frame.
    pub(super) fn whole(&self, frame: &Frame<'_>, output: &mut [i8]) {
        let mut slots = output.iter_mut();
        for y in 0..self.rows.output() {
            let row_taps = self.rows.taps(y);
            for x in 0..self.columns.output() {
                let sums = self.sums(frame, &self.columns.taps(x), &row_taps);
                self.write(sums, slots.by_ref());
            }
        }
    }

    /// Weighted sums of the components over all pixels of one output pixel.
    fn sums(&self, frame: &Frame<'_>, columns: &Taps, rows: &Taps) -> [u64; 3] {
        let mut sums = [0_u64; 3];
        for (row, weight) in rows.weighted() {
            for (sum, part) in sums.iter_mut().zip(self.source.format().row_sums(frame.row(row), columns)) {
                *sum = sum.plus(u64::from(weight) * u64::from(part));
            }
        }
        sums
    }

    /// Writes one output pixel: rounds the weighted sums of its components and converts their colour.
    #[inline(always)]
    pub(super) fn write<'o>(&self, sums: [u64; 3], slots: impl Iterator<Item = &'o mut i8>) {
        let sample = sums.map(|sum| axis::divide(sum.plus(self.total.get() / 2), self.total) as u8);
        let pixel = color::convert(sample, self.source.format(), self.color);
        for (value, slot) in pixel.into_iter().take(self.color.channels()).zip(slots) {
            *slot = (value ^ 0x80) as i8;
        }
    }
}

/// Width and height of the part of the frame that is used.
fn crop(source: Geometry, fit: Fit, width: NonZeroU32, height: NonZeroU32) -> (u32, u32) {
    // With sides of at most 65535 no expression here exceeds u32.
    let scale = |side: u32, by: NonZeroU32, of: NonZeroU32| ((side * by.get() + of.get() / 2) / of).max(1);
    let (frame_width, frame_height) = (source.width(), source.height());
    match fit {
        Fit::Stretch => (frame_width, frame_height),
        Fit::Crop if frame_width * height.get() > frame_height * width.get() => {
            (scale(frame_height, width, height), frame_height)
        }
        Fit::Crop => (frame_width, scale(frame_width, height, width)),
    }
}
