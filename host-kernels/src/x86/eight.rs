//! AVX2, AVX-VNNI and AVX-512 VNNI on 256 bits: eight lanes. They differ in how products are summed.

use core::arch::x86_64::*;
use std::is_x86_feature_detected;

use super::{proved, sixteen_bytes};
use crate::instructions::{Instructions, LANES_MAX, Task};

/// Proof of AVX2.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2(());

/// Proof of AVX2 and AVX-VNNI.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AvxVnni(());

/// Proof of AVX2 and of AVX-512 F, VL and VNNI.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vnni256(());

/// Eight bytes.
#[inline(always)]
fn eight(bytes: &[u8]) -> __m128i {
    let bytes: &[u8; 8] = bytes.first_chunk().expect("a byte for each lane");
    // SAFETY: eight bytes are read from a reference to as many; every x86-64 has SSE2.
    unsafe { _mm_loadl_epi64(bytes.as_ptr().cast()) }
}

macro_rules! eight_lanes {
    ($name:ident, [$($feature:tt),*], $features:literal, $element:literal, $registers:literal, |$sums:ident, $x:ident, $w:ident| $dot:expr) => {
        impl $name {
            /// `None` where the processor has it not.
            pub fn detect() -> Option<Self> {
                let there = $(is_x86_feature_detected!($feature))&&*;
                there.then_some(Self(()))
            }

            #[target_feature(enable = $features)]
            fn within(task: impl Task) {
                task.run();
            }
        }

        impl Instructions for $name {
            type Vector = __m256i;
            const LANES: usize = 8;
            const ELEMENT: usize = $element;
            const SUMS: usize = $registers;

            #[inline(always)]
            fn vectorize(self, task: impl Task) {
                // SAFETY: `self` proves that the processor has these features.
                unsafe { Self::within(task) }
            }

            #[inline(always)]
            fn words(self, words: &[i32]) -> __m256i {
                let words: &[i32; 8] = words.first_chunk().expect("a word for each lane");
                // SAFETY: eight words are read from a reference to as many; `self` proves AVX.
                unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
            }

            #[inline(always)]
            fn to_words(self, vector: __m256i) -> [i32; LANES_MAX] {
                let mut words = [0_i32; LANES_MAX];
                // SAFETY: eight words are written to an array of sixteen; `self` proves AVX.
                unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), vector) };
                words
            }

            #[inline(always)]
            fn broadcast(self, word: i32) -> __m256i {
                proved! { _mm256_set1_epi32(word) }
            }

            #[inline(always)]
            fn load(self, bytes: &[u8]) -> __m256i {
                let bytes: &[u8; 32] = bytes.first_chunk().expect("the bytes of a vector");
                // SAFETY: 32 bytes are read from a reference to as many; `self` proves AVX.
                unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
            }

            #[inline(always)]
            fn store(self, vector: __m256i, bytes: &mut [u8]) {
                let bytes: &mut [u8; 32] = bytes.first_chunk_mut().expect("the bytes of a vector");
                // SAFETY: 32 bytes are written to a reference to as many; `self` proves AVX.
                unsafe { _mm256_storeu_si256(bytes.as_mut_ptr().cast(), vector) };
            }

            #[inline(always)]
            fn widen(self, values: &[i8]) -> __m256i {
                let values: &[i8; 8] = values.first_chunk().expect("a value for each lane");
                // SAFETY: eight bytes are read from a reference to as many; `self` proves AVX2.
                unsafe { _mm256_cvtepi8_epi32(_mm_loadl_epi64(values.as_ptr().cast())) }
            }

            #[inline(always)]
            fn interleave(self, rows: [&[u8]; 4]) -> __m256i {
                if Self::ELEMENT == 2 {
                    let [a, b] = [sixteen_bytes(rows[0]), sixteen_bytes(rows[1])];
                    return proved! {
                        _mm256_or_si256(_mm256_cvtepu16_epi32(a), _mm256_slli_epi32(_mm256_cvtepu16_epi32(b), 16))
                    };
                }
                let [a, b, c, d] = rows.map(eight);
                proved! {
                    let low = _mm256_or_si256(_mm256_cvtepu8_epi32(a), _mm256_slli_epi32(_mm256_cvtepu8_epi32(b), 8));
                    let high = _mm256_or_si256(_mm256_cvtepu8_epi32(c), _mm256_slli_epi32(_mm256_cvtepu8_epi32(d), 8));
                    _mm256_or_si256(low, _mm256_slli_epi32(high, 16))
                }
            }

            #[inline(always)]
            fn dot(self, $sums: __m256i, $x: __m256i, $w: __m256i) -> __m256i {
                proved! { $dot }
            }

            #[inline(always)]
            fn add(self, a: __m256i, b: __m256i) -> __m256i {
                proved! { _mm256_add_epi32(a, b) }
            }

            #[inline(always)]
            fn shift_left(self, vector: __m256i, bits: u32) -> __m256i {
                proved! { _mm256_sll_epi32(vector, _mm_cvtsi32_si128(bits as i32)) }
            }

            #[inline(always)]
            fn high(self, a: __m256i, b: __m256i) -> __m256i {
                proved! {
                    let half = _mm256_set1_epi64x(1 << 31);
                    let even = _mm256_srli_epi64(_mm256_add_epi64(_mm256_mul_epi32(a, b), half), 32);
                    let [a, b] = [_mm256_srli_epi64(a, 32), _mm256_srli_epi64(b, 32)];
                    let odd = _mm256_add_epi64(_mm256_mul_epi32(a, b), half);
                    _mm256_blend_epi32(even, odd, 0xAA)
                }
            }

            #[inline(always)]
            fn sign(self, vector: __m256i) -> __m256i {
                proved! { _mm256_srai_epi32(vector, 31) }
            }

            #[inline(always)]
            fn shift_right(self, vector: __m256i, bits: __m256i) -> __m256i {
                proved! { _mm256_srav_epi32(vector, bits) }
            }

            #[inline(always)]
            fn narrow(self, vector: __m256i, [min, max]: [i8; 2]) -> [i8; LANES_MAX] {
                let mut bytes = [0; LANES_MAX];
                // SAFETY: sixteen bytes are written to an array of as many; `self` proves AVX2.
                unsafe {
                    let [low, high] = [_mm256_castsi256_si128(vector), _mm256_extracti128_si256(vector, 1)];
                    let halves = _mm_packs_epi32(low, high);
                    let narrowed = _mm_packs_epi16(halves, halves);
                    let clamped = _mm_min_epi8(_mm_max_epi8(narrowed, _mm_set1_epi8(min)), _mm_set1_epi8(max));
                    _mm_storeu_si128(bytes.as_mut_ptr().cast(), clamped);
                }
                bytes
            }
        }
    };
}

eight_lanes!(Avx2, ["avx2"], "avx2", 2, 12, |sums, x, w| _mm256_add_epi32(sums, _mm256_madd_epi16(x, w)));
eight_lanes!(AvxVnni, ["avx2", "avxvnni"], "avx2,avxvnni", 1, 12, |sums, x, w| _mm256_dpbusd_avx_epi32(sums, x, w));
eight_lanes!(
    Vnni256,
    ["avx2", "avx512f", "avx512vl", "avx512vnni"],
    "avx2,avx512f,avx512vl,avx512vnni",
    1,
    24,
    |sums, x, w| _mm256_dpbusd_epi32(sums, x, w)
);
