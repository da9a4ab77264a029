//! Integer image preprocessing: from the bytes of a camera or a decoder to the network's int8 input.
//!
//! Training, evaluation and firmware all call [`preprocess`]; it gives the same bytes on every target. Where a frame does
//! not fit into memory, [`Rows`] makes these bytes from one row at a time.
//!
//! # Definition
//!
//! All divisions are exact unless `⌊ ⌋` is written; `⌊x + ½⌋` is rounding to nearest, halves up.
//! For a frame of `W × H` pixels and an output of `w × h`:
//!
//! 1. **Crop.** [`Fit::Stretch`] takes the whole frame. [`Fit::Crop`] takes `⌊H·w/h + ½⌋` columns (at least 1) and all
//!    rows when `W·h > H·w`, otherwise all columns and `⌊W·h/w + ½⌋` rows (at least 1); a remainder of `d` columns or
//!    rows is cut off as `⌊d/2⌋` on the left or top and the rest on the other side.
//! 2. **Components.** Each pixel has three 8-bit components. RGB888: its bytes. RGB565: red and blue `(v << 3) | (v >> 2)`
//!    of their 5 bits, green `(v << 2) | (v >> 4)` of its 6 bits. YUV 4:2:2: its own Y, and U and V of its pair of
//!    pixels. Grey: the byte three times.
//! 3. **Resize.** Each component is resampled with separable weights, decided for each axis by itself. Output index `i`
//!    of `n` takes from source index `k` of `s` (counted from the start of the crop):
//!    * `s ≥ n`, area average: the length that `[k·n, (k+1)·n)` and `[i·s, (i+1)·s)` have in common, divided by `s`;
//!    * `s < n`, bilinear with half-pixel centres: for `t = max((2i+1)·s − n, 0)`, `k = ⌊t / 2n⌋` and `f = t − 2n·k`, the
//!      weights of `k` and `min(k + 1, s − 1)` are `(2n − f) / 2n` and `f / 2n`.
//!
//!    The component is `⌊Σ weight_y · weight_x · component + ½⌋`: one rounding, at the end.
//! 4. **Colour** of the resized pixel, in units of 2⁻¹⁶, shifts rounding down:
//!    * RGB to grey (BT.601): `(19595·R + 38470·G + 7471·B + 32768) >> 16`;
//!    * YUV to RGB (BT.601, full range, as JPEG) with `u = U − 128`, `v = V − 128`, clamped to 0..=255:
//!      `R = Y + ((91881·v + 32768) >> 16)`, `G = Y + ((−22554·u − 46802·v + 32768) >> 16)`,
//!      `B = Y + ((116130·u + 32768) >> 16)`;
//!    * YUV to grey: `Y`.
//! 5. **Output.** `pixel − 128` as int8, rows from the top, columns from the left, channels last.
//!
//! When the output has the size of the crop, step 3 changes nothing.

mod axis;
mod color;
mod frame;
mod join;
mod pixels;
mod resize;
mod rows;
mod strip;
mod vectors;

pub use frame::{Frame, Geometry, ImageError, PixelFormat};
pub use resize::Resize;
pub use rows::Rows;
pub use strip::RowSums;

use crate::format::{Color, Fit};

/// Crops, resizes and converts `frame` to `output`: `out_height` × `out_width` × channels of `color`, each byte
/// `pixel − 128`. The [module's documentation](self) defines every byte.
///
/// # Errors
///
/// [`ImageError::EmptyOutput`] and [`ImageError::OutputLength`]; `output` is untouched then.
pub fn preprocess(
    frame: &Frame<'_>,
    fit: Fit,
    output: &mut [i8],
    out_width: u16,
    out_height: u16,
    color: Color,
) -> Result<(), ImageError> {
    let resize = Resize::new(frame.geometry(), fit, out_width, out_height, color)?;
    resize.check_output(output)?;
    resize.whole(frame, output);
    Ok(())
}

#[cfg(test)]
mod tests;
