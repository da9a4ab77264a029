//! A picture as a camera or a decoder delivers it.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::bounded::Bounded;

/// How the bytes of a [`Frame`] encode its pixels. The order of the variants is that of the link: new ones come last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[serde(rename_all = "kebab-case")]
pub enum PixelFormat {
    /// Three bytes: red, green, blue.
    Rgb888,
    /// Two bytes, the high one first: 5 bits red, 6 green, 5 blue. What most camera sensors send.
    Rgb565Be,
    /// Two bytes, the low one first: 5 bits red, 6 green, 5 blue.
    Rgb565Le,
    /// Four bytes for two pixels side by side: Y of the left, U, Y of the right, V (YUYV); full range.
    Yuv422,
    /// One byte: grey.
    Grey8,
    /// Four bytes for two pixels side by side: U, Y of the left, V, Y of the right (UYVY); full range.
    Uyvy422,
}

impl PixelFormat {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Rgb888, Self::Rgb565Be, Self::Rgb565Le, Self::Yuv422, Self::Grey8, Self::Uyvy422];

    /// Bytes of one pixel.
    #[must_use]
    pub const fn bytes_per_pixel(self) -> usize {
        match self {
            Self::Rgb888 => 3,
            Self::Rgb565Be | Self::Rgb565Le | Self::Yuv422 | Self::Uyvy422 => 2,
            Self::Grey8 => 1,
        }
    }

    /// True when a pixel's components are Y, U and V, and two pixels side by side have U and V in common.
    pub(super) const fn is_yuv(self) -> bool {
        matches!(self, Self::Yuv422 | Self::Uyvy422)
    }
}

/// What a frame's pixels are and how many it has; width and height lie in 1..=65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Geometry {
    format: PixelFormat,
    width: u16,
    height: u16,
}

impl Geometry {
    /// `width` × `height` pixels of `format`.
    ///
    /// # Errors
    ///
    /// [`ImageError::EmptyFrame`], [`ImageError::TooLarge`], [`ImageError::OddWidth`].
    pub fn new(format: PixelFormat, width: u32, height: u32) -> Result<Self, ImageError> {
        let (Ok(width), Ok(height)) = (u16::try_from(width), u16::try_from(height)) else {
            return Err(ImageError::TooLarge);
        };
        if width == 0 || height == 0 {
            return Err(ImageError::EmptyFrame);
        }
        if format.is_yuv() && width % 2 == 1 {
            return Err(ImageError::OddWidth);
        }
        Ok(Self { format, width, height })
    }

    /// Bytes of one row.
    #[must_use]
    pub fn row_len(&self) -> usize {
        usize::from(self.width) * self.format.bytes_per_pixel()
    }

    /// How bytes encode pixels.
    #[must_use]
    pub fn format(&self) -> PixelFormat {
        self.format
    }

    /// Pixels across.
    #[must_use]
    pub fn width(&self) -> u32 {
        u32::from(self.width)
    }

    /// Pixels down.
    #[must_use]
    pub fn height(&self) -> u32 {
        u32::from(self.height)
    }
}

/// A picture in memory, rows from the top; width and height lie in 1..=65535.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    geometry: Geometry,
    /// Bytes from the start of one row to the next.
    stride: usize,
    bytes: &'a [u8],
}

impl<'a> Frame<'a> {
    /// A frame of `width` × `height` pixels whose rows follow each other without a gap.
    ///
    /// # Errors
    ///
    /// [`ImageError::EmptyFrame`], [`ImageError::TooLarge`], [`ImageError::OddWidth`]; [`ImageError::FrameLength`] when
    /// `bytes` is shorter or longer than the picture.
    pub fn new(format: PixelFormat, width: u32, height: u32, bytes: &'a [u8]) -> Result<Self, ImageError> {
        let stride = (width as usize).saturating_mul(format.bytes_per_pixel());
        let frame = Self::with_stride(format, width, height, stride, bytes)?;
        let expected = frame.min_len();
        if bytes.len() == expected { Ok(frame) } else { Err(ImageError::FrameLength { expected, found: bytes.len() }) }
    }

    /// A frame whose rows start `stride` bytes apart: lines with padding, or a window of a larger picture.
    /// What follows the last row is ignored.
    ///
    /// # Errors
    ///
    /// [`ImageError::EmptyFrame`], [`ImageError::TooLarge`], [`ImageError::OddWidth`]; [`ImageError::Stride`] when rows
    /// would overlap; [`ImageError::FrameLength`] when `bytes` ends before the last row does.
    pub fn with_stride(
        format: PixelFormat,
        width: u32,
        height: u32,
        stride: usize,
        bytes: &'a [u8],
    ) -> Result<Self, ImageError> {
        let geometry = Geometry::new(format, width, height)?;
        let frame = Self { geometry, stride, bytes };
        if stride < geometry.row_len() {
            return Err(ImageError::Stride);
        }
        let expected = frame.min_len();
        if bytes.len() < expected { Err(ImageError::FrameLength { expected, found: bytes.len() }) } else { Ok(frame) }
    }

    /// Bytes up to the end of the last row.
    fn min_len(&self) -> usize {
        usize::from(self.geometry.height.minus(1)).saturating_mul(self.stride).saturating_add(self.geometry.row_len())
    }

    /// Its pixels' format and number.
    #[must_use]
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The pixels' bytes from this one on, counted without gaps between rows: up to the end of its row, or of the picture where
    /// there are no gaps.
    #[must_use]
    pub fn bytes_from(&self, offset: usize) -> &'a [u8] {
        let len = self.geometry.row_len();
        let (Some(row), Some(at)) = (offset.checked_div(len), offset.checked_rem(len)) else { return &[] };
        if row >= usize::from(self.geometry.height) {
            return &[];
        }
        let (start, end) = if self.stride == len {
            (offset, self.min_len())
        } else {
            let start = row.saturating_mul(self.stride);
            (start.saturating_add(at), start.saturating_add(len))
        };
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// Bytes from the start of one row to the next.
    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    /// The bytes from the start of a row on.
    pub(super) fn row(&self, row: u32) -> &'a [u8] {
        self.bytes.get((row as usize).times(self.stride)..).unwrap_or_default()
    }
}

/// Without the pixels.
impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { geometry, stride, bytes: _ } = self;
        f.debug_struct("Frame").field("geometry", geometry).field("stride", stride).finish_non_exhaustive()
    }
}

/// Without the pixels.
#[cfg(feature = "defmt")]
impl defmt::Format for Frame<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Frame {{ geometry: {}, stride: {} }}", self.geometry, self.stride);
    }
}

/// Why a picture cannot become an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ImageError {
    /// The frame's width or height is 0.
    EmptyFrame,
    /// The frame's width or height is above 65535.
    TooLarge,
    /// A frame of [`PixelFormat::Yuv422`] or [`PixelFormat::Uyvy422`], whose pixels come in pairs, has an odd width.
    OddWidth,
    /// The stride is shorter than a row of pixels.
    Stride,
    /// The frame's bytes do not have the length that its size and format ask for.
    FrameLength {
        /// Bytes of such a frame.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// The output's width or height is 0.
    EmptyOutput,
    /// The output does not have height × width × channels bytes.
    OutputLength {
        /// Bytes of such an output.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// A row is shorter than the frame's width and format ask for.
    RowLength {
        /// Bytes of such a row.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// The memory for a row's sums has fewer entries than the output has columns.
    Memory {
        /// Columns of the output.
        expected: usize,
        /// Entries given.
        found: usize,
    },
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyFrame => f.write_str("the picture has no pixels: its width or height is 0"),
            Self::TooLarge => f.write_str("the picture is wider or higher than 65535 pixels; scale it down first"),
            Self::OddWidth => f.write_str("the width of a YUV 4:2:2 frame must be even"),
            Self::Stride => f.write_str("the stride is shorter than a row of pixels"),
            Self::FrameLength { expected, found } => {
                write!(f, "the frame has {found} bytes where its size and pixel format ask for {expected}")
            }
            Self::EmptyOutput => f.write_str("the input of the network has no pixels: its width or height is 0"),
            Self::OutputLength { expected, found } => {
                write!(f, "the output has {found} bytes where height x width x channels is {expected}")
            }
            Self::RowLength { expected, found } => {
                write!(f, "a row has {found} bytes where the frame's width and pixel format ask for {expected}")
            }
            Self::Memory { expected, found } => {
                write!(f, "the memory for sums has {found} entries where the output has {expected} columns")
            }
        }
    }
}

impl core::error::Error for ImageError {}
