//! Some columns of the output, made of one row of the frame after the other.

use super::resize::Resize;
use crate::bounded::Bounded;

/// Weighted sums of three components: what is kept for each column of the network's input.
pub type RowSums = [u64; 3];

/// Columns of the output that are made together: what that takes lies on the stack.
pub(super) const COLUMNS: usize = 16;

/// How far columns of the output have come. For each of them there is an entry of memory: where the frame's rows are joined, the
/// weighted sums so far of the output row that is being made; where they are spread over several output rows, the sums of the
/// frame's last row.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Strip {
    /// The first of the columns.
    first: u32,
    /// Row of the frame that comes next.
    taken: u32,
    /// Rows of the output that are finished.
    finished: u32,
}

impl Strip {
    /// The columns from `first` on, of a frame of which this row comes first.
    pub(super) fn new(first: u32, row: u32) -> Self {
        Self { first, taken: row, finished: 0 }
    }

    /// True when these columns of the output are finished.
    pub(super) fn is_done(&self, resize: &Resize) -> bool {
        self.finished == resize.rows.output()
    }

    /// Takes the frame's next row.
    pub(super) fn push(&mut self, resize: &Resize, row: &[u8], memory: &mut [RowSums], output: &mut [i8]) {
        // Each pass finishes a row of the output, but for the last, which keeps what the rows to come need of this one.
        while !self.is_done(resize) && self.add(resize, row, memory, output) {}
        self.taken = self.taken.plus(1);
    }

    /// Adds `row` to the output row that is being made; true when that is finished, and more is to be made of `row`.
    #[inline(never)]
    fn add(&mut self, resize: &Resize, row: &[u8], memory: &mut [RowSums], output: &mut [i8]) -> bool {
        let (taken, joined) = (self.taken, resize.rows.shrinks());
        let taps = resize.rows.taps(self.finished);
        if taken < taps.first {
            return false;
        }
        let (is_first, is_last) = (taken == taps.first, taken == taps.last);
        let before = match (is_first, joined) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => taps.first_weight,
        };
        let weight = if joined || is_last { taps.weight(taken) } else { 1 };
        // What the output row after this one keeps of the frame's row, where this one leaves the memory to it.
        let after = is_last.then(|| resize.rows.taps(self.finished.plus(1)));
        // Another output row is made of the same two rows of the frame.
        let again = after.as_ref().is_some_and(|after| after.last <= taken);
        let kept_after =
            after.filter(|after| after.first == taken).map_or(0, |after| if joined { after.first_weight } else { 1 });
        let start = (self.finished as usize).times(resize.output_row_len());
        let start = start.plus((self.first as usize).times(resize.color.channels()));
        let mut pixels = output.get_mut(start..).unwrap_or_default().chunks_exact_mut(resize.color.channels());
        let mut parts = [[0; 3]; COLUMNS];
        for (first, memory) in (self.first..u32::MAX).step_by(COLUMNS).zip(memory.chunks_mut(COLUMNS)) {
            let parts = parts.get_mut(..memory.len()).unwrap_or_default();
            resize.source.format().row_sums(row, resize.columns, first, parts);
            for (kept, &parts) in memory.iter_mut().zip(&*parts) {
                let scaled = if before == 1 { *kept } else { times(*kept, before) };
                let sums = plus(scaled, products(parts, weight));
                if is_last {
                    resize.write(sums, pixels.next().unwrap_or_default());
                }
                if !again {
                    *kept = if is_last { products(parts, kept_after) } else { sums };
                }
            }
        }
        self.finished = self.finished.plus(is_last.into());
        again
    }
}

// Each component by itself: a loop over three would go through memory.

fn plus([a, b, c]: RowSums, [x, y, z]: RowSums) -> RowSums {
    [a.plus(x), b.plus(y), c.plus(z)]
}

fn times([a, b, c]: RowSums, weight: u32) -> RowSums {
    let weight = u64::from(weight);
    [a.times(weight), b.times(weight), c.times(weight)]
}

fn products([a, b, c]: [u32; 3], weight: u32) -> RowSums {
    let weight = u64::from(weight);
    [weight * u64::from(a), weight * u64::from(b), weight * u64::from(c)]
}
