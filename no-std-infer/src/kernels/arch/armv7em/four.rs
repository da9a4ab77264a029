//! Four channels at a time over a window of pixels.
#![allow(unsafe_code)]

use crate::bounded::Bounded;

#[cfg(nsi_armv7em)]
crate::kernels::arch::assembly! {
    fn no_std_infer_sum(first: *const i8, column: usize, columns: usize, rows: usize, row: usize) -> u64;
    fn no_std_infer_sum_eight(
        first: *const i8,
        column: usize,
        columns: usize,
        rows: usize,
        row: usize,
        sums: *mut [[i16; 2]; 4],
    );
    fn no_std_infer_max(first: *const i8, column: usize, columns: usize, rows: usize, row: usize) -> u32;
}

/// Most pixels whose sum fits 16 bits.
pub const SUM_MAX: usize = 256;

/// A window of pixels; the first of them starts where the slice does.
#[derive(Clone, Copy, Debug)]
pub struct Pixels {
    /// Bytes from a pixel to the one on its right.
    pub column: usize,
    /// Number of columns, 1 or more.
    pub columns: usize,
    /// Bytes from a pixel to the one below.
    pub row: usize,
    /// Number of rows, 1 or more.
    pub rows: usize,
}

impl Pixels {
    /// The values of one channel.
    pub fn channel(self, values: &[i8], channel: usize) -> impl Iterator<Item = i8> {
        (0..self.rows).flat_map(move |y| {
            let row = values.get(y.times(self.row).plus(channel)..).unwrap_or_default();
            row.chunks(self.column.max(1)).take(self.columns).filter_map(|pixel| pixel.first().copied())
        })
    }

    /// True when there are pixels and all `channels` of the last one lie inside `len` bytes.
    fn fit(self, channels: usize, len: usize) -> bool {
        let last = |count: usize, step: usize| count.checked_sub(1)?.checked_mul(step);
        let last = last(self.rows, self.row).zip(last(self.columns, self.column));
        last.and_then(|(y, x)| y.checked_add(x)?.checked_add(channels)).is_some_and(|end| end <= len)
    }
}

/// The first of each four channels from `start` on, the last of which may begin among the ones before. `channels` is 4
/// or more.
pub fn groups(start: usize, channels: usize) -> impl Iterator<Item = usize> {
    let last = channels.saturating_sub(4);
    (start..channels).step_by(4).map(move |first| first.min(last))
}

/// Calls `take` with the sums of each four channels of at most [`SUM_MAX`] pixels, and the number of the first of them. Does
/// nothing when there are fewer channels, more pixels, none, or not all of them inside `values`.
#[inline(always)]
pub fn sums(values: &[i8], pixels: Pixels, channels: usize, mut take: impl FnMut(usize, [i16; 4])) {
    if channels < 4 || !pixels.fit(channels, values.len()) || pixels.rows.saturating_mul(pixels.columns) > SUM_MAX {
        return;
    }
    #[cfg(nsi_armv7em)]
    let done = sums_of_eight(values, pixels, channels, &mut take);
    #[cfg(not(nsi_armv7em))]
    let done = 0;
    for first in groups(done, channels) {
        take(first, sum(values.get(first..).unwrap_or_default(), pixels));
    }
}

/// The sums of the first four channels of at most [`SUM_MAX`] pixels; zeros when not all of them lie inside `values`.
pub fn sum(values: &[i8], pixels: Pixels) -> [i16; 4] {
    if !pixels.fit(4, values.len()) {
        return [0; 4];
    }
    #[cfg(nsi_armv7em)]
    {
        let Pixels { column, columns, row, rows } = pixels;
        // SAFETY: it reads four bytes of each pixel, without alignment; all lie inside `values` as checked. It keeps the
        // calling convention.
        let sums = unsafe { no_std_infer_sum(values.as_ptr(), column, columns, rows, row) };
        [sums as i16, (sums >> 32) as i16, (sums >> 16) as i16, (sums >> 48) as i16]
    }
    #[cfg(not(nsi_armv7em))]
    fold(values, pixels, [0_i16; 4], |sum, value| sum + i16::from(value))
}

/// Does that for as many channels as there are eight together, and says for how many, where all pixels lie at multiples
/// of four; all channels of the pixels lie inside `values`.
#[cfg(nsi_armv7em)]
#[inline(always)]
fn sums_of_eight(values: &[i8], pixels: Pixels, channels: usize, take: &mut impl FnMut(usize, [i16; 4])) -> usize {
    let Pixels { column, columns, row, rows } = pixels;
    let end = if (values.as_ptr() as usize | column | row).is_multiple_of(4) { channels & !7 } else { 0 };
    for first in (0..end).step_by(8) {
        let mut sums = [[0; 2]; 4];
        // SAFETY: it reads eight bytes of each pixel, aligned to 4; `first + 8` is at most `channels`, so that all lie
        // inside `values` as the caller says; it writes four words. It keeps the calling convention.
        unsafe {
            no_std_infer_sum_eight(values.as_ptr().wrapping_add(first), column, columns, rows, row, &mut sums);
        }
        for (first, &[[s0, s2], [s1, s3]]) in (first..).step_by(4).zip(sums.as_chunks().0) {
            take(first, [s0, s1, s2, s3]);
        }
    }
    end
}

/// Calls `take` with the largest values of each four channels, and the number of the first of them. Does nothing when there
/// are fewer channels, no pixels, or not all of them inside `values`.
#[inline(always)]
pub fn largest(values: &[i8], pixels: Pixels, channels: usize, mut take: impl FnMut(usize, [i8; 4])) {
    if channels < 4 || !pixels.fit(channels, values.len()) {
        return;
    }
    for first in groups(0, channels) {
        #[cfg(nsi_armv7em)]
        let largest = {
            let Pixels { column, columns, row, rows } = pixels;
            // SAFETY: it reads four bytes of each pixel, without alignment; `first + 4` is at most `channels`, so that all
            // lie inside `values` as checked. It keeps the calling convention.
            let largest = unsafe { no_std_infer_max(values.as_ptr().wrapping_add(first), column, columns, rows, row) };
            largest.to_le_bytes().map(|byte| byte as i8)
        };
        #[cfg(not(nsi_armv7em))]
        let largest = fold(&values[first..], pixels, [i8::MIN; 4], i8::max);
        take(first, largest);
    }
}

#[cfg(not(nsi_armv7em))]
fn fold<T: Copy>(values: &[i8], pixels: Pixels, start: [T; 4], f: impl Fn(T, i8) -> T) -> [T; 4] {
    let mut folded = start;
    for (y, x) in (0..pixels.rows).flat_map(|y| (0..pixels.columns).map(move |x| (y, x))) {
        let first = y * pixels.row + x * pixels.column;
        for (folded, &value) in folded.iter_mut().zip(&values[first..first + 4]) {
            *folded = f(*folded, value);
        }
    }
    folded
}
