//! The transforms in integers: what a block's elements are, and the weights that it was made from.
//!
//! A block is `U = G · g · Hᵀ`: `G` acts on the columns of the 3 x 3 weights, [`Transform::down`], and `H` on their rows,
//! [`Transform::across`]. Both are the usual matrix of the transform, whose rows are multiplied by what makes them integers,
//! in the order in which the kernels take the elements.

use crate::bounded::Bounded;
use crate::operators::Layout;

/// Which transform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// F(2x2, 3x3): 16 products for 4 outputs, which take 36.
    F2x2,
    /// F(4x4, 3x3): 36 products for 16 outputs, which take 144.
    F4x4,
    /// Stride 2. Along each axis the inputs at even places and the outer weights make an F(2, 2), and those at odd places
    /// meet the middle weight as they are: 25 products for 4 outputs, which take 36.
    Stride2,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::F2x2, Self::F4x4, Self::Stride2];

    /// The transform of a layout, where it has one.
    #[must_use]
    pub const fn of(layout: Layout) -> Option<Self> {
        match layout {
            Layout::Plain | Layout::Packed => None,
            Layout::Winograd2x2 => Some(Self::F2x2),
            Layout::Winograd4x4 => Some(Self::F4x4),
            Layout::WinogradStride2 => Some(Self::Stride2),
        }
    }

    /// Its layout.
    #[must_use]
    pub const fn layout(self) -> Layout {
        match self {
            Self::F2x2 => Layout::Winograd2x2,
            Self::F4x4 => Layout::Winograd4x4,
            Self::Stride2 => Layout::WinogradStride2,
        }
    }

    /// Its name, for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F2x2 => "F(2x2)",
            Self::F4x4 => "F(4x4)",
            Self::Stride2 => "polyphase",
        }
    }

    /// Elements along one side of a block.
    #[must_use]
    pub const fn side(self) -> usize {
        match self {
            Self::F2x2 => 4,
            Self::F4x4 => 6,
            Self::Stride2 => 5,
        }
    }

    /// Elements of a block.
    #[must_use]
    pub const fn elements(self) -> usize {
        self.side() * self.side()
    }

    /// Output rows and columns of a tile.
    #[must_use]
    pub const fn tile(self) -> usize {
        match self {
            Self::F2x2 | Self::Stride2 => 2,
            Self::F4x4 => 4,
        }
    }

    /// The convolution's stride.
    #[must_use]
    pub const fn stride(self) -> u16 {
        match self {
            Self::F2x2 | Self::F4x4 => 1,
            Self::Stride2 => 2,
        }
    }

    /// Most input channels.
    #[must_use]
    pub const fn channels_max(self) -> u32 {
        match self {
            Self::F2x2 | Self::F4x4 => 64,
            Self::Stride2 => 32,
        }
    }
}

/// A transform whose blocks have `N` rows and columns.
pub trait Transform<const N: usize> {
    /// Which it is.
    const FORM: Form;
    /// The product of what [`gather_down`](Self::gather_down) and [`gather_across`](Self::gather_across) multiply by.
    const SCALE: i32;
    /// A column of the weights, spread.
    fn down(column: [i16; 3]) -> [i16; N];
    /// A row of the weights, spread.
    fn across(row: [i16; 3]) -> [i16; N];
    /// A column of the weights, multiplied, from what it became.
    fn gather_down<I: Copy + Into<i32>>(column: &[I; N]) -> [i32; 3];
    /// A row of the weights, multiplied, from what it became.
    fn gather_across<I: Copy + Into<i32>>(row: &[I; N]) -> [i32; 3];

    /// The block of these weights.
    fn block([top, middle, bottom]: &[[i8; 3]; 3]) -> [[i16; N]; N] {
        let mut columns = [[0; N]; 3];
        for (column, ((&a, &b), &c)) in columns.iter_mut().zip(top.iter().zip(middle).zip(bottom)) {
            *column = Self::down([a.into(), b.into(), c.into()]);
        }
        let [left, middle, right] = &columns;
        let mut block = [[0; N]; N];
        for (row, ((&a, &b), &c)) in block.iter_mut().zip(left.iter().zip(middle).zip(right)) {
            *row = Self::across([a, b, c]);
        }
        block
    }

    /// The weights whose block this is, if it is one of int8 weights.
    fn weights(block: &[[i16; N]; N]) -> [[i8; 3]; 3] {
        let mut columns = [[0; N]; 3];
        let [left, middle, right] = &mut columns;
        for (((a, b), c), row) in left.iter_mut().zip(middle).zip(right).zip(block) {
            [*a, *b, *c] = Self::gather_across(row);
        }
        let weight = |sum: i32| (sum / Self::SCALE) as i8;
        let mut weights = [[0; 3]; 3];
        let [top, middle, bottom] = &mut weights;
        for (((a, b), c), column) in top.iter_mut().zip(middle).zip(bottom).zip(&columns) {
            let [first, second, third] = Self::gather_down(column);
            [*a, *b, *c] = [weight(first), weight(second), weight(third)];
        }
        weights
    }
}

/// Twice the usual matrix. Columns are in the order 2, 1, 0 and then 3, negated.
pub struct F2x2;

impl Transform<4> for F2x2 {
    const FORM: Form = Form::F2x2;
    const SCALE: i32 = 4;

    fn down([a, b, c]: [i16; 3]) -> [i16; 4] {
        [a.times(2), a.plus(b).plus(c), a.minus(b).plus(c), c.times(2)]
    }

    fn across([a, b, c]: [i16; 3]) -> [i16; 4] {
        [a.minus(b).plus(c), a.plus(b).plus(c), a.times(2), c.times(-2)]
    }

    fn gather_down<I: Copy + Into<i32>>(&[p, q, r, s]: &[I; 4]) -> [i32; 3] {
        let [p, q, r, s] = [p.into(), q.into(), r.into(), s.into()];
        [p, q.minus(r), s]
    }

    fn gather_across<I: Copy + Into<i32>>(&[r, q, p, s]: &[I; 4]) -> [i32; 3] {
        let [p, q, r, s] = [p.into(), q.into(), r.into(), s.into()];
        [p, q.minus(r), 0.minus(s)]
    }
}

/// The usual matrix times 24, 6, 6, 24, 24 and 12, row by row.
pub struct F4x4;

impl Transform<6> for F4x4 {
    const FORM: Form = Form::F4x4;
    const SCALE: i32 = 144;

    fn down([a, b, c]: [i16; 3]) -> [i16; 6] {
        let (even, wide) = (a.plus(c), a.plus(c.times(4)));
        [a.times(6), 0.minus(even).minus(b), b.minus(even), wide.plus(b.times(2)), wide.minus(b.times(2)), c.times(12)]
    }

    fn across(row: [i16; 3]) -> [i16; 6] {
        Self::down(row)
    }

    fn gather_down<I: Copy + Into<i32>>(&[p, q, r, _, _, s]: &[I; 6]) -> [i32; 3] {
        let [p, q, r, s] = [p.into(), q.into(), r.into(), s.into()];
        [p.times(2), r.minus(q).times(6), s]
    }

    fn gather_across<I: Copy + Into<i32>>(row: &[I; 6]) -> [i32; 3] {
        Self::gather_down(row)
    }
}

/// Elements 1, 0 and 2 of F(2, 2), of which 1 serves both outputs, each of the others before the middle weight.
pub struct Stride2;

impl Transform<5> for Stride2 {
    const FORM: Form = Form::Stride2;
    const SCALE: i32 = 1;

    fn down([a, b, c]: [i16; 3]) -> [i16; 5] {
        [a.plus(c), a, b, c, b]
    }

    fn across(row: [i16; 3]) -> [i16; 5] {
        Self::down(row)
    }

    fn gather_down<I: Copy + Into<i32>>(&[_, a, b, c, _]: &[I; 5]) -> [i32; 3] {
        [a.into(), b.into(), c.into()]
    }

    fn gather_across<I: Copy + Into<i32>>(row: &[I; 5]) -> [i32; 3] {
        Self::gather_down(row)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Recovers the weights, and finds a change of one element.
    fn is_exact<T: Transform<N>, const N: usize>(weights: [[i8; 3]; 3], at: usize, change: i16, largest: i16) {
        let mut block = T::block(&weights);
        assert_eq!(T::weights(&block), weights);
        assert!(block.as_flattened().iter().all(|value| value.abs() <= largest), "{block:?}");
        let element = &mut block[at / N % N][at % N];
        *element = element.wrapping_add(change);
        assert_eq!(T::block(&T::weights(&block)) == block, change == 0);
    }

    proptest! {
        #[test]
        fn weights_are_recovered_and_a_changed_element_is_found(weights: [[i8; 3]; 3], at in 0..900_usize, change: i16) {
            is_exact::<F2x2, 4>(weights, at, change, 9 * 128);
            is_exact::<F4x4, 6>(weights, at, change, 12 * 12 * 128);
            is_exact::<Stride2, 5>(weights, at, change, 4 * 128);
        }
    }

    #[test]
    fn the_largest_blocks_fit_16_bits() {
        is_exact::<F4x4, 6>([[i8::MIN; 3]; 3], 0, 0, 12 * 12 * 128);
        is_exact::<F2x2, 4>([[i8::MIN; 3]; 3], 0, 0, 9 * 128);
    }
}
