//! From frames of one geometry to inputs of one shape.

use core::num::{NonZeroU16, NonZeroU32, NonZeroU64};

use super::axis::{self, Axis};
use super::color;
use super::frame::{Frame, Geometry, ImageError};
use super::strip::{COLUMNS, RowSums, Strip};
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
    pub(super) total: NonZeroU64,
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

    /// Writes the output of a whole frame, some columns after the other: what they keep lies on the stack.
    pub(super) fn whole(&self, frame: &Frame<'_>, output: &mut [i8]) {
        if cfg!(nsi_armv81m) && self.join_by_vectors(frame, output) || self.join(frame, output) {
            return;
        }
        let first_row = self.rows.taps(0).first;
        let mut memory = [[0; 3]; COLUMNS];
        for first in (0..self.columns.output()).step_by(COLUMNS) {
            let columns = self.columns.output().minus(first).min(COLUMNS as u32);
            let memory = memory.get_mut(..columns as usize).unwrap_or_default();
            let mut strip = Strip::new(first, first_row);
            let mut rows = (first_row..self.source.height()).map(|row| frame.row(row));
            while !strip.is_done(self)
                && rows.next().is_some_and(|row| {
                    strip.push(self, row, memory, output);
                    true
                })
            {}
        }
    }

    /// Writes one output pixel: rounds the weighted sums of its components and converts their colour.
    #[inline(always)]
    pub(super) fn write(&self, [a, b, c]: RowSums, output: &mut [i8]) {
        let half = self.total.get() / 2;
        let round = |sum: u64| axis::divide(sum.plus(half), self.total) as u8;
        self.write_components([round(a), round(b), round(c)], output);
    }

    /// Converts the colour of one output pixel and writes it.
    #[inline(always)]
    pub(super) fn write_components(&self, components: [u8; 3], output: &mut [i8]) {
        let [a, b, c] = color::convert(components, self.source.format(), self.color);
        match output {
            [red, green, blue] => (*red, *green, *blue) = (signed(a), signed(b), signed(c)),
            [grey] => *grey = signed(a),
            _ => {}
        }
    }
}

/// `pixel − 128`.
fn signed(pixel: u8) -> i8 {
    (pixel ^ 0x80) as i8
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
