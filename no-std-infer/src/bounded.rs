//! Sums, differences and products that stay in range, because of what has been shown before.
//!
//! The compiler does not see what [`Model::parse`](crate::Model::parse) has proved of sides, offsets and weights. With overflow
//! checks on, an operator would leave a path to a panic wherever such numbers meet; these methods have none in builds without
//! debug assertions, checks or not. With debug assertions they find what leaves the range, as the operators do, so that tests
//! and fuzzers see it. Without, it wraps: then a slice is not found or values are wrong, but no memory is touched that is not
//! the operator's.

/// Arithmetic on numbers whose result is known to fit.
pub trait Bounded: Sized {
    /// The sum.
    fn plus(self, other: Self) -> Self;
    /// The difference.
    fn minus(self, other: Self) -> Self;
    /// The product.
    fn times(self, other: Self) -> Self;
}

macro_rules! bounded {
    ($($number:ident),*) => {$(
        impl Bounded for $number {
            #[inline(always)]
            #[track_caller]
            fn plus(self, other: Self) -> Self {
                debug_assert!(self.checked_add(other).is_some(), "a sum stays in range");
                self.wrapping_add(other)
            }

            #[inline(always)]
            #[track_caller]
            fn minus(self, other: Self) -> Self {
                debug_assert!(self.checked_sub(other).is_some(), "a difference stays in range");
                self.wrapping_sub(other)
            }

            #[inline(always)]
            #[track_caller]
            fn times(self, other: Self) -> Self {
                debug_assert!(self.checked_mul(other).is_some(), "a product stays in range");
                self.wrapping_mul(other)
            }
        }
    )*};
}

bounded!(u16, u32, u64, usize, i16, i32);

/// Items with their numbers from 0 on: `enumerate` for no more items than there are numbers.
#[inline(always)]
pub fn numbered<T>(items: impl Iterator<Item = T>) -> impl Iterator<Item = (usize, T)> {
    let mut next = 0_usize;
    items.map(move |item| {
        let number = next;
        next = next.plus(1);
        (number, item)
    })
}
