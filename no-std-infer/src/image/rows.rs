//! The input of a network from one row of a frame at a time.

use core::fmt;

use super::frame::ImageError;
use super::resize::Resize;
use super::strip::{RowSums, Strip};

/// Takes a frame row by row, as a camera sends it, and writes the bytes that [`preprocess`](super::preprocess) makes of
/// the whole.
///
/// Only one row of the frame need be in memory, in the camera's line buffer, and beside it 24 bytes for each column of
/// the network's input: 2,304 bytes where that is 96 pixels wide, whatever the frame's size.
///
/// ```
/// use no_std_infer::format::{Color, Fit};
/// use no_std_infer::image::{Geometry, PixelFormat, Resize, Rows};
///
/// let frame = Geometry::new(PixelFormat::Uyvy422, 320, 240)?;
/// let resize = Resize::new(frame, Fit::Crop, 96, 96, Color::Grey)?;
/// let mut input = [0; 96 * 96]; // firmware takes `interpreter.input_mut()`
/// let mut memory = [[0; 3]; 96];
///
/// let mut rows = Rows::new(resize, &mut input, &mut memory)?;
/// let line_buffer = [128; 640]; // firmware takes each row from the camera
/// while !rows.push_row(&line_buffer)? {}
/// assert_eq!(input, [0; 96 * 96]);
/// # Ok::<(), no_std_infer::image::ImageError>(())
/// ```
pub struct Rows<'a> {
    resize: Resize,
    output: &'a mut [i8],
    memory: &'a mut [RowSums],
    strip: Strip,
}

impl<'a> Rows<'a> {
    /// The next frame of `resize`'s geometry, which becomes `output`: height × width × channels bytes. `memory` needs an
    /// entry for each column of the output; what it holds does not matter.
    ///
    /// # Errors
    ///
    /// [`ImageError::OutputLength`], [`ImageError::Memory`].
    pub fn new(resize: Resize, output: &'a mut [i8], memory: &'a mut [RowSums]) -> Result<Self, ImageError> {
        resize.check_output(output)?;
        let (expected, found) = (resize.columns.output() as usize, memory.len());
        let memory = memory.get_mut(..expected).ok_or(ImageError::Memory { expected, found })?;
        Ok(Self { resize, output, memory, strip: Strip::new(0, 0) })
    }

    /// Takes the frame's next row, from the top; what follows its last pixel is ignored. True when the output is
    /// finished, which it is before the frame's last row where a crop cuts off the bottom; rows that come then change
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`ImageError::RowLength`] when the row is too short; it does not count then.
    pub fn push_row(&mut self, row: &[u8]) -> Result<bool, ImageError> {
        let expected = self.resize.source.row_len();
        if row.len() < expected {
            return Err(ImageError::RowLength { expected, found: row.len() });
        }
        if self.is_done() {
            return Ok(true);
        }
        self.strip.push(&self.resize, row, self.memory, self.output);
        Ok(self.is_done())
    }

    /// True when the output is finished.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.strip.is_done(&self.resize)
    }
}

/// Without the bytes.
impl fmt::Debug for Rows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resize, output: _, memory: _, strip } = self;
        f.debug_struct("Rows").field("resize", resize).field("strip", strip).finish_non_exhaustive()
    }
}

/// Without the bytes.
#[cfg(feature = "defmt")]
impl defmt::Format for Rows<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Rows {{ resize: {}, strip: {} }}", self.resize, self.strip);
    }
}
