//! SIMD128 of WebAssembly: four lanes. A module is compiled for it or not, so that nothing is asked at run time.
#![allow(unsafe_code)]

use core::arch::wasm32::*;

use crate::instructions::{Instructions, LANES_MAX, SHIFT_MAX, Task};

/// Vectors of 128 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Simd128;

/// The products of the lanes of two vectors, 64 bits each: of the first two lanes, of the others.
#[inline(always)]
fn products(a: v128, b: v128) -> [v128; 2] {
    [i64x2_extmul_low_i32x4(a, b), i64x2_extmul_high_i32x4(a, b)]
}

impl Instructions for Simd128 {
    type Vector = v128;
    const LANES: usize = 4;
    const ELEMENT: usize = 2;
    // Of x86-64's sixteen registers a browser keeps one for itself; a product takes another.
    const SUMS: usize = 10;

    #[inline(always)]
    fn vectorize(self, task: impl Task) {
        task.run();
    }

    #[inline(always)]
    fn words(self, words: &[i32]) -> v128 {
        let &[a, b, c, d] = words.first_chunk().expect("a word for each lane");
        i32x4(a, b, c, d)
    }

    #[inline(always)]
    fn to_words(self, vector: v128) -> [i32; LANES_MAX] {
        let mut words = [0; LANES_MAX];
        // SAFETY: four words are written to an array of sixteen.
        unsafe { v128_store(words.as_mut_ptr().cast(), vector) };
        words
    }

    #[inline(always)]
    fn broadcast(self, word: i32) -> v128 {
        i32x4_splat(word)
    }

    #[inline(always)]
    fn load(self, bytes: &[u8]) -> v128 {
        let bytes: &[u8; 16] = bytes.first_chunk().expect("the bytes of a vector");
        // SAFETY: sixteen bytes are read from a reference to as many, and need no alignment.
        unsafe { v128_load(bytes.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, vector: v128, bytes: &mut [u8]) {
        let bytes: &mut [u8; 16] = bytes.first_chunk_mut().expect("the bytes of a vector");
        // SAFETY: sixteen bytes are written to a reference to as many, and need no alignment.
        unsafe { v128_store(bytes.as_mut_ptr().cast(), vector) };
    }

    #[inline(always)]
    fn widen(self, values: &[i8]) -> v128 {
        let &[a, b, c, d] = values.first_chunk().expect("a value for each lane");
        i32x4(a.into(), b.into(), c.into(), d.into())
    }

    #[inline(always)]
    fn interleave(self, [a, b, ..]: [&[u8]; 4]) -> v128 {
        let four = |bytes: &[u8]| {
            let bytes: &[u8; 8] = bytes.first_chunk().expect("two bytes for each lane");
            u64x2_splat(u64::from_le_bytes(*bytes))
        };
        i16x8_shuffle::<0, 8, 1, 9, 2, 10, 3, 11>(four(a), four(b))
    }

    #[inline(always)]
    fn dot(self, sums: v128, x: v128, w: v128) -> v128 {
        i32x4_add(sums, i32x4_dot_i16x8(x, w))
    }

    #[inline(always)]
    fn add(self, a: v128, b: v128) -> v128 {
        i32x4_add(a, b)
    }

    #[inline(always)]
    fn shift_left(self, vector: v128, bits: u32) -> v128 {
        i32x4_shl(vector, bits)
    }

    #[inline(always)]
    fn high(self, a: v128, b: v128) -> v128 {
        let [low, high] = products(a, b).map(|product| i64x2_add(product, i64x2_splat(1 << 31)));
        i32x4_shuffle::<1, 3, 5, 7>(low, high)
    }

    #[inline(always)]
    fn sign(self, vector: v128) -> v128 {
        i32x4_shr(vector, 31)
    }

    /// There is no shift of each lane by its own number `n`: it is a product with `2^(SHIFT_MAX − n)`.
    #[inline(always)]
    fn shifts(self, bits: v128) -> v128 {
        let mut words = self.to_words(bits);
        words.iter_mut().for_each(|word| *word = 1 << (SHIFT_MAX as i32 - *word));
        self.words(&words)
    }

    /// The low words of the products over `2^SHIFT_MAX`, whose sign does not reach them.
    #[inline(always)]
    fn shift_right(self, vector: v128, shifts: v128) -> v128 {
        let [low, high] = products(vector, shifts).map(|product| u64x2_shr(product, SHIFT_MAX));
        i32x4_shuffle::<0, 2, 4, 6>(low, high)
    }

    #[inline(always)]
    fn narrow(self, vector: v128, [min, max]: [i8; 2]) -> [i8; LANES_MAX] {
        let halves = i16x8_narrow_i32x4(vector, vector);
        let narrowed = i8x16_narrow_i16x8(halves, halves);
        let clamped = i8x16_min(i8x16_max(narrowed, i8x16_splat(min)), i8x16_splat(max));
        let mut bytes = [0; LANES_MAX];
        // SAFETY: sixteen bytes are written to an array of as many.
        unsafe { v128_store(bytes.as_mut_ptr().cast(), clamped) };
        bytes
    }
}
