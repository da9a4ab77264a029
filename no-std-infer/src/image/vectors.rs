//! The same as `join.rs` where the core has vectors: four pixels at a time, some columns of the output from its first row to its
//! last.

use super::frame::Frame;
use super::resize::Resize;
use super::{PixelFormat, color};
use crate::bounded::Bounded;
use crate::format::Color;
use crate::kernels::vectors::{Columns, Divisor, Means, OUTPUTS, Pixels, Rows, SPAN};

/// Columns beside those that lie under outputs as a whole: two in part, the other one of a pair, and two that weigh nothing.
const BESIDE: u32 = 6;

impl Resize {
    /// Writes the output of a whole frame. False, and nothing is written, where [`join`](Self::join) writes nothing, or sums cannot
    /// be divided by multiplying.
    pub(super) fn join_by_vectors(&self, frame: &Frame<'_>, output: &mut [i8]) -> bool {
        let total = u32::try_from(self.total.get()).ok().filter(|&total| total <= u32::MAX / 256);
        let Some(divisor) = total.and_then(Divisor::new) else { return false };
        let most =
            (SPAN as u32).minus(BESIDE).times(self.columns.output()).checked_div(self.columns.source).unwrap_or(0);
        let together = (most as usize).min(OUTPUTS);
        if !self.columns.shrinks() || !self.rows.shrinks() || together == 0 {
            return false;
        }
        for first in (0..self.columns.output()).step_by(together) {
            let count = (self.columns.output().minus(first) as usize).min(together);
            self.strip(frame, first, count, divisor, output);
        }
        true
    }

    /// Writes `count` columns of the output, from column `first` on.
    fn strip(&self, frame: &Frame<'_>, first: u32, count: usize, divisor: Divisor, output: &mut [i8]) {
        // Whole pairs of pixels.
        let left = self.columns.taps(first).first & !1;
        let last = self.columns.taps(first.plus(count as u32).minus(1)).last;
        let pixels = last.minus(left).plus(1) as usize;
        let columns = self.under(first, count, left);
        let (layout, four) = self.source.format().four_pixels();
        let start = (left as usize).times(self.source.format().bytes_per_pixel());
        let (mut sums, mut means) = ([[0; SPAN]; 3], Means([[0; OUTPUTS]; 3]));
        let channels = self.color.channels();
        let mut written = (first as usize).times(channels);
        for row in 0..self.rows.output() {
            let down = self.rows.taps(row);
            let rows = Rows {
                count: down.last.minus(down.first).plus(1) as usize,
                pitch: frame.stride(),
                first: down.weight(down.first),
                middle: down.middle_weight,
                last: down.last_weight,
            };
            rows.sum(frame.row(down.first).get(start..).unwrap_or_default(), &layout, four, pixels, &mut sums);
            columns.average(&sums, divisor, &mut means);
            let output = output.get_mut(written..).unwrap_or_default();
            self.write_means(&mut means, output.get_mut(..count.times(channels)).unwrap_or_default());
            written = written.plus(self.output_row_len());
        }
    }

    /// Converts the colours of neighbouring output pixels and writes them.
    #[inline(always)]
    fn write_means(&self, means: &mut Means, output: &mut [i8]) {
        if self.color == Color::Rgb {
            if self.source.format().is_yuv() {
                means.yuv_to_rgb(&color::SHARES);
            }
            return means.write(output);
        }
        let Means([a, b, c]) = means;
        for (pixel, ((&mut a, &mut b), &mut c)) in output.iter_mut().zip(a.iter_mut().zip(b).zip(c)) {
            self.write_components([a, b, c], core::slice::from_mut(pixel));
        }
    }

    /// The columns of the frame, counted from column `left`, under `count` columns of the output from the `first` on.
    fn under(&self, first: u32, count: usize, left: u32) -> Columns {
        // As many as lie under each column of the output at least, the first one in part.
        let most = self.columns.source.checked_div(self.columns.output()).unwrap_or(0);
        let mut columns = Columns {
            offset: [0; OUTPUTS],
            first: [0; OUTPUTS],
            edge: [0; OUTPUTS],
            last: [0; OUTPUTS],
            count,
            between: most.saturating_sub(1) as usize,
            middle: self.columns.output(),
        };
        let Columns { offset, first: firsts, edge, last, .. } = &mut columns;
        let entries = offset.iter_mut().zip(firsts).zip(edge.iter_mut().zip(last));
        for (index, ((offset, head), (edge, last))) in (first..u32::MAX).zip(entries.take(count)) {
            let taps = self.columns.taps(index);
            *offset = taps.first.minus(left).times(4);
            *head = taps.weight(taps.first);
            *edge = taps.weight(taps.first.plus(most));
            *last = taps.weight(taps.first.plus(most).plus(1));
        }
        columns
    }
}

impl PixelFormat {
    /// Where the components of four pixels lie, the first of them at an even column, and their bytes.
    fn four_pixels(self) -> (Pixels, usize) {
        let layout = match self {
            Self::Rgb888 => Pixels::Bytes([[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]]),
            Self::Rgb565Be => Pixels::Bits16([[0, 2, 4, 6], [1, 3, 5, 7]]),
            Self::Rgb565Le => Pixels::Bits16([[1, 3, 5, 7], [0, 2, 4, 6]]),
            Self::Yuv422 => Pixels::Bytes([[0, 2, 4, 6], [1, 1, 5, 5], [3, 3, 7, 7]]),
            Self::Grey8 => Pixels::Bytes([[0, 1, 2, 3]; 3]),
            Self::Uyvy422 => Pixels::Bytes([[1, 3, 5, 7], [0, 0, 4, 4], [2, 2, 6, 6]]),
        };
        (layout, self.bytes_per_pixel().times(4))
    }
}
