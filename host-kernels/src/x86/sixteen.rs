//! AVX-512 VNNI: sixteen lanes.

use core::arch::x86_64::*;
use std::is_x86_feature_detected;

use super::{proved, sixteen_bytes};
use crate::instructions::{Instructions, LANES_MAX, Task};

/// Proof of AVX-512 F, BW, VL and VNNI.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vnni512(());

impl Vnni512 {
    /// `None` where the processor has it not.
    pub fn detect() -> Option<Self> {
        let there = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni");
        there.then_some(Self(()))
    }
}

#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
fn within(task: impl Task) {
    task.run();
}

impl Instructions for Vnni512 {
    type Vector = __m512i;
    const LANES: usize = 16;
    const ELEMENT: usize = 1;
    const SUMS: usize = 24;

    #[inline(always)]
    fn vectorize(self, task: impl Task) {
        // SAFETY: `self` proves that the processor has these features.
        unsafe { within(task) }
    }

    #[inline(always)]
    fn words(self, words: &[i32]) -> __m512i {
        let words: &[i32; 16] = words.first_chunk().expect("a word for each lane");
        // SAFETY: sixteen words are read from a reference to as many; `self` proves AVX-512 F.
        unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
    }

    #[inline(always)]
    fn to_words(self, vector: __m512i) -> [i32; LANES_MAX] {
        let mut words = [0_i32; 16];
        // SAFETY: sixteen words are written to an array of as many; `self` proves AVX-512 F.
        unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), vector) };
        words
    }

    #[inline(always)]
    fn broadcast(self, word: i32) -> __m512i {
        proved! { _mm512_set1_epi32(word) }
    }

    #[inline(always)]
    fn load(self, bytes: &[u8]) -> __m512i {
        let bytes: &[u8; 64] = bytes.first_chunk().expect("the bytes of a vector");
        // SAFETY: 64 bytes are read from a reference to as many; `self` proves AVX-512 F.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, vector: __m512i, bytes: &mut [u8]) {
        let bytes: &mut [u8; 64] = bytes.first_chunk_mut().expect("the bytes of a vector");
        // SAFETY: 64 bytes are written to a reference to as many; `self` proves AVX-512 F.
        unsafe { _mm512_storeu_si512(bytes.as_mut_ptr().cast(), vector) };
    }

    #[inline(always)]
    fn widen(self, values: &[i8]) -> __m512i {
        let values: &[i8; 16] = values.first_chunk().expect("a value for each lane");
        // SAFETY: sixteen bytes are read from a reference to as many; `self` proves AVX-512 F.
        unsafe { _mm512_cvtepi8_epi32(_mm_loadu_si128(values.as_ptr().cast())) }
    }

    #[inline(always)]
    fn interleave(self, rows: [&[u8]; 4]) -> __m512i {
        let [a, b, c, d] = rows.map(sixteen_bytes);
        proved! {
            let low = _mm512_or_si512(_mm512_cvtepu8_epi32(a), _mm512_slli_epi32(_mm512_cvtepu8_epi32(b), 8));
            let high = _mm512_or_si512(_mm512_cvtepu8_epi32(c), _mm512_slli_epi32(_mm512_cvtepu8_epi32(d), 8));
            _mm512_or_si512(low, _mm512_slli_epi32(high, 16))
        }
    }

    #[inline(always)]
    fn dot(self, sums: __m512i, x: __m512i, w: __m512i) -> __m512i {
        proved! { _mm512_dpbusd_epi32(sums, x, w) }
    }

    #[inline(always)]
    fn add(self, a: __m512i, b: __m512i) -> __m512i {
        proved! { _mm512_add_epi32(a, b) }
    }

    #[inline(always)]
    fn shift_left(self, vector: __m512i, bits: u32) -> __m512i {
        proved! { _mm512_sll_epi32(vector, _mm_cvtsi32_si128(bits as i32)) }
    }

    #[inline(always)]
    fn high(self, a: __m512i, b: __m512i) -> __m512i {
        proved! {
            let half = _mm512_set1_epi64(1 << 31);
            let even = _mm512_srli_epi64(_mm512_add_epi64(_mm512_mul_epi32(a, b), half), 32);
            let [a, b] = [_mm512_srli_epi64(a, 32), _mm512_srli_epi64(b, 32)];
            let odd = _mm512_add_epi64(_mm512_mul_epi32(a, b), half);
            _mm512_mask_blend_epi32(0xAAAA, even, odd)
        }
    }

    #[inline(always)]
    fn sign(self, vector: __m512i) -> __m512i {
        proved! { _mm512_srai_epi32(vector, 31) }
    }

    #[inline(always)]
    fn shift_right(self, vector: __m512i, bits: __m512i) -> __m512i {
        proved! { _mm512_srav_epi32(vector, bits) }
    }

    #[inline(always)]
    fn narrow(self, vector: __m512i, [min, max]: [i8; 2]) -> [i8; LANES_MAX] {
        let mut bytes = [0; LANES_MAX];
        // SAFETY: sixteen bytes are written to an array of as many; `self` proves AVX-512 F.
        unsafe {
            let narrowed = _mm512_cvtsepi32_epi8(vector);
            let clamped = _mm_min_epi8(_mm_max_epi8(narrowed, _mm_set1_epi8(min)), _mm_set1_epi8(max));
            _mm_storeu_si128(bytes.as_mut_ptr().cast(), clamped);
        }
        bytes
    }
}
