//! Max pooling, 16 channels at a time, over all windows of a row that have the same columns.
#![allow(unsafe_code)]

use crate::bounded::Bounded;
use crate::kernels::Apart;
use crate::kernels::arch::armv7em::pooled;
use crate::operators::{Activation, Pool2d};

/// Windows in a row; the first one's first value stands at the start of the values.
#[derive(Clone, Copy, Debug)]
struct Windows {
    rows: usize,
    /// Bytes from row to row.
    row: usize,
    columns: usize,
    channels: usize,
    count: usize,
    /// Bytes from window to window.
    step: usize,
    activation: Activation,
}

/// What the loop is told.
#[cfg(nsi_armv81m)]
#[repr(C)]
struct Arguments {
    first: *const i8,
    output: *mut i8,
    column: usize,
    columns: usize,
    to_next_row: usize,
    rows: usize,
    channels: usize,
    count: usize,
    step: usize,
    min: i32,
    max: i32,
}

#[cfg(nsi_armv81m)]
crate::kernels::arch::assembly! {
    fn no_std_infer_mve_max(arguments: *const Arguments);
}

/// A max pooling.
pub fn max_pool2d(op: &Pool2d, views: Apart<'_>) {
    let (channels, width) = (op.input.channels as usize, usize::from(op.input.width));
    let stride = usize::from(op.window.stride_w);
    let mut outputs = views.output.chunks_exact_mut(op.output.row_len().max(1));
    for (y, row) in views.rows.zip(&mut outputs) {
        let (mut x, mut rest) = (0, row);
        while !rest.is_empty() {
            let (rows, columns) = pooled(op, y, x);
            let whole = columns.len() == usize::from(op.window.kernel_w);
            let further = if whole { width.minus(columns.end).checked_div(stride).unwrap_or(0) } else { 0 };
            let count = further.plus(1).min(usize::from(op.output.width).minus(x));
            let Some((output, after)) = core::mem::take(&mut rest).split_at_mut_checked(count.times(channels).max(1))
            else {
                return;
            };
            let first = rows.start.times(width).plus(columns.start).times(channels);
            let windows = Windows {
                rows: rows.len(),
                row: width.times(channels),
                columns: columns.len(),
                channels,
                count,
                step: stride.times(channels),
                activation: op.activation,
            };
            windows.largest(views.input.get(first..).unwrap_or_default(), output);
            (x, rest) = (x.plus(count), after);
        }
    }
}

impl Windows {
    /// Writes the largest value of each channel of each window. Does nothing when there are none, or not all inside `values`.
    fn largest(self, values: &[i8], output: &mut [i8]) {
        if !self.fit(values.len()) || output.len() != self.count.times(self.channels) {
            return debug_assert!(false, "windows lie in the input");
        }
        #[cfg(nsi_armv81m)]
        // SAFETY: it reads the channels of all pixels under the windows, the last ones of a pixel predicated; all lie inside
        // `values`, as checked. It writes as many for each window, which `output` holds. It keeps the calling convention.
        unsafe {
            no_std_infer_mve_max(&Arguments {
                first: values.as_ptr(),
                output: output.as_mut_ptr(),
                column: self.channels,
                columns: self.columns,
                to_next_row: self.row.wrapping_sub(self.columns.times(self.channels)),
                rows: self.rows,
                channels: self.channels,
                count: self.count,
                step: self.step,
                min: self.activation.min.into(),
                max: self.activation.max.into(),
            });
        }
        #[cfg(not(nsi_armv81m))]
        for (window, output) in output.chunks_exact_mut(self.channels).enumerate() {
            output.fill(self.activation.min);
            for (row, column) in (0..self.rows).flat_map(|row| (0..self.columns).map(move |column| (row, column))) {
                let first = window * self.step + row * self.row + column * self.channels;
                for (largest, &value) in output.iter_mut().zip(&values[first..]) {
                    *largest = value.max(*largest);
                }
            }
            output.iter_mut().for_each(|value| *value = self.activation.max.min(*value));
        }
    }

    /// Whether there are values, and all of them inside `len` bytes.
    fn fit(self, len: usize) -> bool {
        let last = |count: usize, step: usize| count.checked_sub(1)?.checked_mul(step);
        let starts = last(self.rows, self.row).zip(last(self.columns, self.channels)).zip(last(self.count, self.step));
        let end = starts.and_then(|((y, x), window)| y.checked_add(x)?.checked_add(window)?.checked_add(self.channels));
        self.channels > 0 && end.is_some_and(|end| end <= len)
    }
}
