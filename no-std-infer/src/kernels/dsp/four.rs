//! Four channels at a time over a window of pixels.
#![allow(unsafe_code)]

#[cfg(dsp)]
core::arch::global_asm!(include_str!("pool.s"), options(raw));

#[cfg(dsp)]
unsafe extern "C" {
    fn no_std_infer_sum(first: *const i8, column: usize, columns: usize, rows: usize, row: usize) -> u64;
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
    /// True when there are pixels, and the last one's first four channels lie inside `len` bytes.
    fn fit(self, len: usize) -> bool {
        let last = |count: usize, step: usize| count.checked_sub(1)?.checked_mul(step);
        let last = last(self.rows, self.row).zip(last(self.columns, self.column));
        last.and_then(|(y, x)| y.checked_add(x)?.checked_add(4)).is_some_and(|end| end <= len)
    }
}

/// The sums of the first four channels of at most [`SUM_MAX`] pixels; zeros when there are more, none, or not all of them
/// inside `values`.
pub fn sum(values: &[i8], pixels: Pixels) -> [i16; 4] {
    if !pixels.fit(values.len()) || pixels.rows.saturating_mul(pixels.columns) > SUM_MAX {
        return [0; 4];
    }
    #[cfg(dsp)]
    {
        let Pixels { column, columns, row, rows } = pixels;
        // SAFETY: it reads four bytes of each pixel, all inside `values` as checked, without alignment. It keeps the
        // calling convention.
        let sums = unsafe { no_std_infer_sum(values.as_ptr(), column, columns, rows, row) };
        [sums as i16, (sums >> 32) as i16, (sums >> 16) as i16, (sums >> 48) as i16]
    }
    #[cfg(not(dsp))]
    fold(values, pixels, [0_i16; 4], |sum, value| sum + i16::from(value))
}

/// The largest values of the first four channels; −128 when there are no pixels or not all of them inside `values`.
pub fn max(values: &[i8], pixels: Pixels) -> [i8; 4] {
    if !pixels.fit(values.len()) {
        return [i8::MIN; 4];
    }
    #[cfg(dsp)]
    {
        let Pixels { column, columns, row, rows } = pixels;
        // SAFETY: as for `sum`.
        let largest = unsafe { no_std_infer_max(values.as_ptr(), column, columns, rows, row) };
        largest.to_le_bytes().map(|byte| byte as i8)
    }
    #[cfg(not(dsp))]
    fold(values, pixels, [i8::MIN; 4], i8::max)
}

#[cfg(not(dsp))]
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
