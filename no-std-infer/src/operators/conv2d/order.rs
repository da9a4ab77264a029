//! The order in which packed weights follow the elements of a patch.

use core::cell::Cell;

use super::Conv2d;
use crate::bounded::Bounded;

/// How the elements that a convolution multiplies for one output pixel are put into pairs.
///
/// A patch, in the order of the plain weights (kernel row, kernel column, channel), consists of runs that are contiguous
/// in the input. Each four elements `e0 e1 e2 e3` of a run, read as one word, are widened by two SXTB16 to the pairs
/// (`e0`, `e2`) and (`e1`, `e3`). What is left of the runs, up to three elements each, follows pair by pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatchOrder {
    /// Number of runs.
    pub runs: usize,
    /// Elements of a run.
    pub run: usize,
}

impl PatchOrder {
    /// A convolution's: a run is a kernel row, or one tap's channels when columns are dilated.
    #[must_use]
    pub const fn conv2d(op: &Conv2d) -> Self {
        let channels = op.input.channels as usize;
        let (rows, columns) = (op.window.kernel_h as usize, op.window.kernel_w as usize);
        if op.window.dilation_w == 1 {
            Self { runs: rows, run: columns.saturating_mul(channels) }
        } else {
            Self { runs: rows * columns, run: channels }
        }
    }

    /// Number of elements.
    #[must_use]
    pub const fn len(self) -> usize {
        self.runs.saturating_mul(self.run)
    }

    /// True when there are no elements.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Groups of four elements in a run.
    #[must_use]
    pub const fn quads(self) -> usize {
        self.run / 4
    }

    /// Elements of a run that belong to no group of four.
    #[must_use]
    pub const fn left_over(self) -> usize {
        self.run % 4
    }

    /// Number of pairs; where the elements that are left over are odd in number, the last pair is half empty.
    #[must_use]
    pub const fn pairs(self) -> usize {
        self.runs
            .saturating_mul(self.quads() * 2)
            .saturating_add(self.runs.saturating_mul(self.left_over()).div_ceil(2))
    }

    /// Where element `index` of the patch goes: twice its pair, plus 1 for the upper half.
    #[must_use]
    pub fn position(self, index: usize) -> usize {
        let Some(run) = index.checked_div(self.run) else { return 0 };
        self.position_in(run, index.minus(run.times(self.run)))
    }

    /// The same for element `within` of run `run`.
    #[must_use]
    pub fn position_in(self, run: usize, within: usize) -> usize {
        let quad = run.times(self.quads()).plus(within / 4);
        if within < self.quads() * 4 {
            quad.times(4).plus((within & 1) * 2).plus(within >> 1 & 1)
        } else {
            self.runs.times(self.quads()).times(4).plus(run.times(self.left_over())).plus(within & 3)
        }
    }

    /// Puts the runs of a patch into order; `ordered` has two elements for each pair, and of an odd number the last is left
    /// alone.
    pub fn arrange<'r>(self, runs: impl Iterator<Item = &'r [Cell<i8>]>, ordered: &[Cell<i8>]) {
        let Some((quads, left_over)) = ordered.split_at_checked(self.runs.times(self.quads()).times(4)) else { return };
        let (mut quads, mut left_over) = (quads.as_chunks::<4>().0.iter(), left_over.iter());
        for run in runs {
            let (groups, rest) = run.as_chunks::<4>();
            for ([e0, e1, e2, e3], [o0, o1, o2, o3]) in groups.iter().zip(&mut quads) {
                o0.set(e0.get());
                o1.set(e2.get());
                o2.set(e1.get());
                o3.set(e3.get());
            }
            for (element, ordered) in rest.iter().zip(&mut left_over) {
                ordered.set(element.get());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn arranging_and_positions_agree_and_lose_nothing(runs in 1_usize..6, run in 1_usize..12) {
            let order = PatchOrder { runs, run };
            let patch: Vec<i8> = (0..order.len()).map(|index| index as i8).collect();
            let mut source = patch.clone();
            let mut ordered = std::vec![-1; order.pairs() * 2];
            let [source_cells, cells] = [&mut source, &mut ordered].map(|bytes| Cell::from_mut(&mut bytes[..]).as_slice_of_cells());
            order.arrange(source_cells.chunks_exact(run), cells);
            let mut filled = 0;
            for (index, &element) in patch.iter().enumerate() {
                prop_assert_eq!(ordered[order.position(index)], element);
                filled += 1;
            }
            prop_assert_eq!(ordered.iter().filter(|&&element| element == -1).count(), ordered.len() - filled);
            prop_assert!(ordered.len() - filled <= 1);
        }
    }
}
