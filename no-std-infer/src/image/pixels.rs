//! The components of a row's pixels, and their weighted sums.

use super::PixelFormat;
use super::axis::{Axis, Taps};
use super::color::{self, Components};
use crate::bounded::Bounded;

impl PixelFormat {
    /// Weighted sums of the three components of the pixels of a row, for the output pixels from `first` on. The weights' sum is
    /// at most 131070.
    #[inline(never)]
    pub(super) fn row_sums(self, row: &[u8], columns: Axis, first: u32, parts: &mut [Components]) {
        if !columns.shrinks() {
            for (part, index) in parts.iter_mut().zip(first..u32::MAX) {
                let Taps { first, last, first_weight, last_weight, .. } = columns.taps(index);
                let ends = [(first, first_weight), (last, last_weight)];
                let [first, last] = ends.map(|(x, weight)| times(self.pixel(row, x as usize), weight));
                *part = plus(first, last);
            }
            return;
        }
        match self {
            Self::Rgb888 => areas(columns, first, parts, |x| Single::new(row, x, rgb888)),
            Self::Rgb565Be => areas(columns, first, parts, |x| Single::new(row, x, rgb565_be)),
            Self::Rgb565Le => areas(columns, first, parts, |x| Single::new(row, x, rgb565_le)),
            Self::Yuv422 => areas(columns, first, parts, |next| Paired { row, next, read: yuyv }),
            Self::Grey8 => areas(columns, first, parts, |x| Single::new(row, x, grey8)),
            Self::Uyvy422 => areas(columns, first, parts, |next| Paired { row, next, read: uyvy }),
        }
    }

    /// Adds the components of a row's pixels from `first` on, an even one, times a weight, to an even number of sums.
    #[inline(never)]
    pub(super) fn add_row(self, row: &[u8], first: usize, weight: u32, sums: &mut [Components]) {
        match self {
            Self::Rgb888 => add(row, first, weight, sums, rgb888),
            Self::Rgb565Be => add(row, first, weight, sums, rgb565_be),
            Self::Rgb565Le => add(row, first, weight, sums, rgb565_le),
            Self::Yuv422 => add_pairs(row, first, weight, sums, yuyv),
            Self::Grey8 => add(row, first, weight, sums, grey8),
            Self::Uyvy422 => add_pairs(row, first, weight, sums, uyvy),
        }
    }

    /// The components of a pixel of a row; none where the row ends before it.
    fn pixel(self, row: &[u8], x: usize) -> Components {
        match self {
            Self::Rgb888 => at(row, x, rgb888),
            Self::Rgb565Be => at(row, x, rgb565_be),
            Self::Rgb565Le => at(row, x, rgb565_le),
            Self::Yuv422 => at_pair(row, x, yuyv),
            Self::Grey8 => at(row, x, grey8),
            Self::Uyvy422 => at_pair(row, x, uyvy),
        }
    }
}

/// Weighted sums of three components for the output pixels from `index` on, for as many as `parts` has room for, where the
/// output has no more pixels than the source. Each begins with what the one before has left of its last source pixel.
/// `pixels` gives those from a source pixel on.
#[inline(always)]
pub(super) fn areas<P: Pixels>(columns: Axis, index: u32, parts: &mut [Components], pixels: impl Fn(usize) -> P) {
    let Axis { source, output, .. } = columns;
    let width = output.get();
    // As many pixels as lie under an output pixel at most, since of the first there is at least 1 / width.
    let most = source / output;
    let covered = most.times(width);
    let Taps { first, first_weight: mut left, .. } = columns.taps(index);
    let mut pixels = pixels(first as usize);
    let mut edge = pixels.next();
    for part in parts {
        // What lies under the output pixel: so much of the first source pixel, whole ones, and a rest of another, if any.
        let beyond = source.minus(left);
        let (whole, rest) = match beyond.checked_sub(covered) {
            Some(rest) => (most, rest),
            None => (most.minus(1), beyond.plus(width).minus(covered)),
        };
        let sums = plus(times(edge, left), times(pixels.sum(whole as usize), width));
        edge = pixels.next();
        *part = plus(sums, times(edge, rest));
        left = width.minus(rest);
    }
}

/// Adds pixels with bytes of their own.
#[inline(always)]
fn add<const N: usize>(
    row: &[u8],
    first: usize,
    weight: u32,
    sums: &mut [Components],
    read: impl Fn([u8; N]) -> Components,
) {
    let pixels = row.as_chunks().0.get(first..).unwrap_or_default();
    for (sum, &pixel) in sums.iter_mut().zip(pixels) {
        *sum = plus(*sum, times(read(pixel), weight));
    }
}

/// Adds pixels in pairs.
#[inline(always)]
fn add_pairs(row: &[u8], first: usize, weight: u32, sums: &mut [Components], read: impl Fn([u8; 4]) -> Pair) {
    let pairs = row.as_chunks().0.get(first / 2..).unwrap_or_default();
    for ([one, other], &pair) in sums.as_chunks_mut().0.iter_mut().zip(pairs) {
        let [left, right, u, v] = read(pair);
        let [u, v] = [u32::from(u).times(weight), u32::from(v).times(weight)];
        *one = plus(*one, [u32::from(left).times(weight), u, v]);
        *other = plus(*other, [u32::from(right).times(weight), u, v]);
    }
}

#[inline(always)]
fn rgb888([red, green, blue]: [u8; 3]) -> Components {
    [red.into(), green.into(), blue.into()]
}

#[inline(always)]
fn rgb565_be(pixel: [u8; 2]) -> Components {
    color::rgb565(u16::from_be_bytes(pixel))
}

#[inline(always)]
fn rgb565_le(pixel: [u8; 2]) -> Components {
    color::rgb565(u16::from_le_bytes(pixel))
}

#[inline(always)]
fn grey8([grey]: [u8; 1]) -> Components {
    let grey = grey.into();
    [grey, grey, grey]
}

/// Y of the left pixel, Y of the right one, U and V.
type Pair = [u8; 4];

#[inline(always)]
fn yuyv([left, u, right, v]: [u8; 4]) -> Pair {
    [left, right, u, v]
}

#[inline(always)]
fn uyvy([u, left, v, right]: [u8; 4]) -> Pair {
    [left, right, u, v]
}

/// A pixel with bytes of its own, of which `read` makes components.
#[inline(always)]
fn at<const N: usize>(row: &[u8], x: usize, read: impl Fn([u8; N]) -> Components) -> Components {
    row.as_chunks().0.get(x).map_or([0; 3], |&pixel| read(pixel))
}

/// A pixel of a pair.
#[inline(always)]
fn at_pair(row: &[u8], x: usize, read: impl Fn([u8; 4]) -> Pair) -> Components {
    let [left, right, u, v] = row.as_chunks().0.get(x / 2).map_or([0; 4], |&pair| read(pair));
    [if x.is_multiple_of(2) { left } else { right }.into(), u.into(), v.into()]
}

/// Pixels with bytes of their own.
struct Single<'a, const N: usize, R> {
    pixels: &'a [[u8; N]],
    read: R,
}

impl<'a, const N: usize, R> Single<'a, N, R> {
    #[inline(always)]
    fn new(row: &'a [u8], first: usize, read: R) -> Self {
        Self { pixels: row.as_chunks().0.get(first..).unwrap_or_default(), read }
    }
}

impl<const N: usize, R: Fn([u8; N]) -> Components> Pixels for Single<'_, N, R> {
    #[inline(always)]
    fn next(&mut self) -> Components {
        let Some((&pixel, rest)) = self.pixels.split_first() else { return [0; 3] };
        self.pixels = rest;
        (self.read)(pixel)
    }

    #[inline(always)]
    fn sum(&mut self, count: usize) -> Components {
        let Some((pixels, rest)) = self.pixels.split_at_checked(count) else { return [0; 3] };
        self.pixels = rest;
        pixels.iter().fold([0; 3], |sums, &pixel| plus(sums, (self.read)(pixel)))
    }
}

/// Pixels in pairs.
struct Paired<'a, R> {
    row: &'a [u8],
    next: usize,
    read: R,
}

impl<R: Fn([u8; 4]) -> Pair> Pixels for Paired<'_, R> {
    #[inline(always)]
    fn next(&mut self) -> Components {
        let pixel = at_pair(self.row, self.next, &self.read);
        self.next = self.next.plus(1);
        pixel
    }

    #[inline(always)]
    fn sum(&mut self, count: usize) -> Components {
        let (mut sums, mut rest) = ([0; 3], count);
        if rest > 0 && !self.next.is_multiple_of(2) {
            sums = self.next();
            rest = rest.minus(1);
        }
        let pairs = self.row.as_chunks().0.get(self.next / 2..).unwrap_or_default().iter();
        sums = pairs.take(rest / 2).fold(sums, |sums, &pair| {
            let [left, right, u, v] = (self.read)(pair);
            plus(sums, [u32::from(left).plus(right.into()), u32::from(u).times(2), u32::from(v).times(2)])
        });
        self.next = self.next.plus(rest & !1);
        if rest.is_multiple_of(2) { sums } else { plus(sums, self.next()) }
    }
}

/// Pixels whose components have been summed over rows.
pub(super) struct Summed<'a>(pub(super) &'a [Components]);

impl Pixels for Summed<'_> {
    #[inline(always)]
    fn next(&mut self) -> Components {
        let Some((&sums, rest)) = self.0.split_first() else { return [0; 3] };
        self.0 = rest;
        sums
    }

    #[inline(always)]
    fn sum(&mut self, count: usize) -> Components {
        let Some((columns, rest)) = self.0.split_at_checked(count) else { return [0; 3] };
        self.0 = rest;
        columns.iter().fold([0; 3], |sums, &column| plus(sums, column))
    }
}

/// Pixels of a row in order; nothing where it ends before them.
pub(super) trait Pixels {
    /// The next one.
    fn next(&mut self) -> Components;
    /// The sum of so many.
    fn sum(&mut self, count: usize) -> Components;
}

// Each component by itself: a loop over three would go through memory.

/// The sums of three components each.
#[inline(always)]
pub(super) fn plus([a, b, c]: Components, [x, y, z]: Components) -> Components {
    [a.plus(x), b.plus(y), c.plus(z)]
}

/// Three components times a weight.
#[inline(always)]
pub(super) fn times([a, b, c]: Components, weight: u32) -> Components {
    [a.times(weight), b.times(weight), c.times(weight)]
}
