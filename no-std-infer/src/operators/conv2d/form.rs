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
    /// The product of what [`gather_down`](Self::gather_down) and [`gather_across`](Self::gather_across) multiply by: a power
    /// of two, and an odd number.
    const SCALE: i32;
    /// A column of the weights, spread.
    fn down(column: [i32; 3]) -> [i32; N];
    /// A row of the weights, spread.
    fn across(row: [i32; 3]) -> [i32; N];
    /// The weights' columns, multiplied, from what they became, of which `at` gives a row. Of other numbers anything; it wraps.
    fn gather_down<T: Gathered>(at: impl Fn(usize) -> T) -> [T; 3];
    /// The weights' rows, multiplied, from what they became, of which `at` gives a column. Of other numbers anything; it wraps.
    fn gather_across<T: Gathered>(at: impl Fn(usize) -> T) -> [T; 3];

    /// Which bits differ in two rows of a block, of one of which `at` gives an element.
    fn difference(row: [i32; N], at: impl Fn(usize) -> i32) -> i32;

    /// What weights become, column by column of them.
    #[inline(always)]
    fn columns(&[[a, b, c], [d, e, f], [g, h, i]]: &[[i32; 3]; 3]) -> [[i32; N]; 3] {
        [Self::down([a, d, g]), Self::down([b, e, h]), Self::down([c, f, i])]
    }

    /// The weights that became this, of magnitudes below 2^24; anything if there are none. `at` gives the element in a row and a
    /// column, and is asked for those only that decide.
    #[inline(always)]
    fn gather(at: impl Fn(usize, usize) -> i32) -> [[i32; 3]; 3] {
        let [top, middle, bottom] = Self::gather_down(|row| Self::gather_across(|column| at(row, column)));
        // The scale's odd part is undone by its inverse modulo 2^32, and the other one by a shift.
        let shift = Self::SCALE.trailing_zeros();
        let weight = |sum: i32| sum.wrapping_mul(inverse(Self::SCALE >> shift)) >> shift;
        let row = |[a, b, c]: [i32; 3]| [weight(a), weight(b), weight(c)];
        [row(top), row(middle), row(bottom)]
    }

    /// The block of these weights.
    fn block(weights: &[[i8; 3]; 3]) -> [[i16; N]; N] {
        let [left, middle, right] = Self::columns(&weights.map(|row| row.map(i32::from)));
        let mut block = [[0; N]; N];
        for (row, ((&a, &b), &c)) in block.iter_mut().zip(left.iter().zip(&middle).zip(&right)) {
            *row = Self::across([a, b, c]).map(|element| element as i16);
        }
        block
    }

    /// The weights whose block this is, if it is one of int8 weights; `at` gives the element in a row and a column.
    #[inline(always)]
    fn weights(at: impl Fn(usize, usize) -> i32) -> [[i8; 3]; 3] {
        let [[a, b, c], [d, e, f], [g, h, i]] = Self::gather(at);
        [[a as i8, b as i8, c as i8], [d as i8, e as i8, f as i8], [g as i8, h as i8, i as i8]]
    }

    /// Proves that two blocks are those of int8 weights, and gives the sums of the absolute weights. Every `stride`th of the words
    /// holds an element: its lower half that of one block, and the upper half that of the other one. What is missing counts as 0.
    ///
    /// Everything is done with the numbers `lower + 2^16 · upper`. Those of int8 weights become numbers of which both halves are
    /// below 2^15, so that a word that is such a number is one of the same halves.
    #[inline(always)]
    fn magnitudes(words: &[[u8; 4]], stride: usize) -> Option<[u32; 2]> {
        // A negative lower half takes one from the upper one.
        let number = |words: &[[u8; 4]], element: usize| {
            let word = words.get(element.times(stride)).map_or(0, |&bytes| u32::from_le_bytes(bytes));
            (word ^ 0x8000).wrapping_sub(0x8000) as i32
        };
        let weights = Self::gather(|row, column| number(words, row.times(N).plus(column)));
        let sums = sums_of_halves(weights)?;
        let [left, middle, right] = Self::columns(&weights);
        let (mut difference, mut rest) = (0, words);
        for ((&a, &b), &c) in left.iter().zip(&middle).zip(&right) {
            difference |= Self::difference(Self::across([a, b, c]), |column| number(rest, column));
            rest = rest.get(N.times(stride)..).unwrap_or_default();
        }
        (difference == 0).then_some(sums)
    }
}

/// What is gathered: elements, or rows of them.
pub trait Gathered: Copy {
    /// The difference, which wraps.
    fn less(self, other: Self) -> Self;
    /// The product, which wraps.
    fn scaled(self, factor: i32) -> Self;
}

impl Gathered for i32 {
    #[inline(always)]
    fn less(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }

    #[inline(always)]
    fn scaled(self, factor: i32) -> Self {
        self.wrapping_mul(factor)
    }
}

impl Gathered for [i32; 3] {
    #[inline(always)]
    fn less(self, [d, e, f]: Self) -> Self {
        let [a, b, c] = self;
        [a.less(d), b.less(e), c.less(f)]
    }

    #[inline(always)]
    fn scaled(self, factor: i32) -> Self {
        let [a, b, c] = self;
        [a.scaled(factor), b.scaled(factor), c.scaled(factor)]
    }
}

/// The sums of the absolute halves of numbers `lower + 2^16 · upper`; `None` when a half is no int8.
#[inline(always)]
fn sums_of_halves([top, middle, bottom]: [[i32; 3]; 3]) -> Option<[u32; 2]> {
    // All of the numbers with 128 more in both halves, by which int8 halves, and no others, become bytes; and the sums.
    let add = |(bytes, sums): (u32, u32), both: i32| {
        let more = (both as u32).wrapping_add(0x0080_0080);
        let weights = more ^ 0x0080_0080;
        let negative = weights >> 7 & 0x0001_0001;
        // All bits of a negative byte are inverted, and 1 is added.
        let magnitudes = (weights ^ (negative << 8).wrapping_sub(negative)).wrapping_add(negative);
        (bytes | more, sums.wrapping_add(magnitudes))
    };
    let row = |sums, [a, b, c]: [i32; 3]| add(add(add(sums, a), b), c);
    let (bytes, sums) = row(row(row((0, 0), top), middle), bottom);
    (bytes & 0xFF00_FF00 == 0).then_some([sums & 0xFFFF, sums >> 16])
}

/// The inverse of an odd number modulo 2^32.
const fn inverse(odd: i32) -> i32 {
    // Each step doubles the bits that are right, of which the number itself has three.
    let mut inverse = odd;
    let mut bits = 3;
    while bits < 32 {
        inverse = inverse.wrapping_mul(2_i32.wrapping_sub(odd.wrapping_mul(inverse)));
        bits *= 2;
    }
    inverse
}

/// Twice the usual matrix. Columns are in the order 2, 1, 0 and then 3, negated.
pub struct F2x2;

impl Transform<4> for F2x2 {
    const FORM: Form = Form::F2x2;
    const SCALE: i32 = 4;

    #[inline(always)]
    fn difference([a, b, c, d]: [i32; 4], at: impl Fn(usize) -> i32) -> i32 {
        (a ^ at(0)) | (b ^ at(1)) | (c ^ at(2)) | (d ^ at(3))
    }

    fn down([a, b, c]: [i32; 3]) -> [i32; 4] {
        [a.times(2), a.plus(b).plus(c), a.minus(b).plus(c), c.times(2)]
    }

    fn across([a, b, c]: [i32; 3]) -> [i32; 4] {
        [a.minus(b).plus(c), a.plus(b).plus(c), a.times(2), c.times(-2)]
    }

    #[inline(always)]
    fn gather_down<T: Gathered>(at: impl Fn(usize) -> T) -> [T; 3] {
        [at(0), at(1).less(at(2)), at(3)]
    }

    #[inline(always)]
    fn gather_across<T: Gathered>(at: impl Fn(usize) -> T) -> [T; 3] {
        [at(2), at(1).less(at(0)), at(3).scaled(-1)]
    }
}

/// The usual matrix times 24, 6, 6, 24, 24 and 12, row by row.
pub struct F4x4;

impl Transform<6> for F4x4 {
    const FORM: Form = Form::F4x4;
    const SCALE: i32 = 144;

    #[inline(always)]
    fn difference([a, b, c, d, e, f]: [i32; 6], at: impl Fn(usize) -> i32) -> i32 {
        (a ^ at(0)) | (b ^ at(1)) | (c ^ at(2)) | (d ^ at(3)) | (e ^ at(4)) | (f ^ at(5))
    }

    fn down([a, b, c]: [i32; 3]) -> [i32; 6] {
        let (even, wide) = (a.plus(c), a.plus(c.times(4)));
        [a.times(6), 0.minus(even).minus(b), b.minus(even), wide.plus(b.times(2)), wide.minus(b.times(2)), c.times(12)]
    }

    fn across(row: [i32; 3]) -> [i32; 6] {
        Self::down(row)
    }

    #[inline(always)]
    fn gather_down<T: Gathered>(at: impl Fn(usize) -> T) -> [T; 3] {
        [at(0).scaled(2), at(2).less(at(1)).scaled(6), at(5)]
    }

    #[inline(always)]
    fn gather_across<T: Gathered>(at: impl Fn(usize) -> T) -> [T; 3] {
        Self::gather_down(at)
    }
}

/// Elements 1, 0 and 2 of F(2, 2), of which 1 serves both outputs, each of the others before the middle weight.
pub struct Stride2;

impl Transform<5> for Stride2 {
    const FORM: Form = Form::Stride2;
    const SCALE: i32 = 1;

    #[inline(always)]
    fn difference([a, b, c, d, e]: [i32; 5], at: impl Fn(usize) -> i32) -> i32 {
        (a ^ at(0)) | (b ^ at(1)) | (c ^ at(2)) | (d ^ at(3)) | (e ^ at(4))
    }

    fn down([a, b, c]: [i32; 3]) -> [i32; 5] {
        [a.plus(c), a, b, c, b]
    }

    fn across(row: [i32; 3]) -> [i32; 5] {
        Self::down(row)
    }

    #[inline(always)]
    fn gather_down<T: Gathered>(at: impl Fn(usize) -> T) -> [T; 3] {
        [at(1), at(2), at(3)]
    }

    #[inline(always)]
    fn gather_across<T: Gathered>(at: impl Fn(usize) -> T) -> [T; 3] {
        Self::gather_down(at)
    }
}

#[cfg(test)]
mod tests;
