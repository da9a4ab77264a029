//! Integer image preprocessing: from the bytes of a camera or a decoder to the network's int8 input.
//!
//! Training, evaluation and firmware all call [`preprocess`]; it gives the same bytes on every target.
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
//!    of their 5 bits, green `(v << 2) | (v >> 4)` of its 6 bits. YUV422: its own Y, and U and V of its pair of pixels.
//!    Grey: the byte three times.
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

use core::num::{NonZeroU16, NonZeroU32, NonZeroU64};

use axis::{Axis, Taps};
pub use frame::{Frame, ImageError, PixelFormat};

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
    let (Some(width), Some(height)) = (NonZeroU16::new(out_width), NonZeroU16::new(out_height)) else {
        return Err(ImageError::EmptyOutput);
    };
    let (width, height) = (NonZeroU32::from(width), NonZeroU32::from(height));
    let pixels = usize::from(out_width).saturating_mul(usize::from(out_height));
    let expected = pixels.saturating_mul(color.channels());
    if output.len() != expected {
        return Err(ImageError::OutputLength { expected, found: output.len() });
    }

    let (crop_width, crop_height) = crop(frame, fit, width, height);
    let columns = Axis::centred(frame.width(), crop_width, width);
    let rows = Axis::centred(frame.height(), crop_height, height);
    let total = u64::from(columns.total()) * u64::from(rows.total());
    let total = NonZeroU64::new(total).unwrap_or(NonZeroU64::MIN);
    let mut slots = output.iter_mut();
    for y in 0..height.get() {
        let row_taps = rows.taps(y);
        for x in 0..width.get() {
            let sample = resample(frame, &columns.taps(x), &row_taps, total);
            let pixel = color::convert(sample, frame.format(), color);
            for (value, slot) in pixel.into_iter().take(color.channels()).zip(slots.by_ref()) {
                *slot = (value ^ 0x80) as i8;
            }
        }
    }
    Ok(())
}

/// Width and height of the part of the frame that is used.
fn crop(frame: &Frame<'_>, fit: Fit, width: NonZeroU32, height: NonZeroU32) -> (u32, u32) {
    // With sides of at most 65535 no expression here exceeds u32.
    let scale = |side: u32, by: NonZeroU32, of: NonZeroU32| ((side * by.get() + of.get() / 2) / of).max(1);
    let (frame_width, frame_height) = (frame.width(), frame.height());
    match fit {
        Fit::Stretch => (frame_width, frame_height),
        Fit::Crop if frame_width * height.get() > frame_height * width.get() => {
            (scale(frame_height, width, height), frame_height)
        }
        Fit::Crop => (frame_width, scale(frame_width, height, width)),
    }
}

/// The components of one output pixel; `total` is the sum of all weights.
fn resample(frame: &Frame<'_>, columns: &Taps, rows: &Taps, total: NonZeroU64) -> [u8; 3] {
    let mut sums = [0_u64; 3];
    for (row, weight) in rows.weighted() {
        for (sum, part) in sums.iter_mut().zip(frame.row_sums(row, columns)) {
            *sum += u64::from(weight) * u64::from(part);
        }
    }
    sums.map(|sum| axis::divide(sum + total.get() / 2, total) as u8)
}

#[cfg(test)]
mod tests;
