//! Two pixels in a word, for cores that only multiply words to words: two products in one multiplication.
//!
//! A slot holds `−(p + 65536 · q)` for the elements `p` and `q` of two pixels. A weight times it, added for two elements of
//! the patch, is `low + 65536 · high` with both sums from −2 · 2^14 to 2 · 128 · 127, whatever the weights: they fit 16 bits,
//! and `(x + 2^15) >> 16` separates them. That is why slots are negated: −128 · −128 is the only product that would not fit.
#![allow(unsafe_code)]

use core::cell::Cell;

use crate::kernels::scalar::{Block, PIXELS, Weights};

#[cfg(nsi_armv6m)]
crate::kernels::arch::assembly! {
    fn no_std_infer_paired(panel: *const i32, words: *const u8, pairs: usize, sums: *mut [[i32; PIXELS]; 2]);
}

/// Two pixels in a word.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Paired;

impl Block for Paired {
    type Slot = i32;
    const SLOTS: usize = PIXELS / 2;

    fn slots(panel: &[Cell<i8>]) -> &[Cell<i32>] {
        // SAFETY: a `Cell` lies in memory as what it holds, and any four bytes are an `i32`.
        let (before, slots, _) = unsafe { panel.align_to() };
        if before.is_empty() { slots } else { &[] }
    }

    #[inline]
    fn put(slot: &Cell<i32>, pixel: usize, value: i8) {
        let value = i32::from(value);
        slot.set(if pixel.is_multiple_of(2) { -value } else { slot.get().wrapping_sub(value << 16) });
    }

    fn multiply(slots: &[Cell<i32>], weights: &Weights<'_>, output: &[Cell<i8>], stride: usize) {
        weights.finish(output, stride, |words| sums(slots, words));
    }
}

/// The sums of products of two output channels, whose words are given, at four pixels.
#[cfg(nsi_armv6m)]
fn sums(slots: &[Cell<i32>], words: &[u8]) -> [[i32; PIXELS]; 2] {
    let mut sums = [[0; PIXELS]; 2];
    let pairs = (slots.len() / (2 * Paired::SLOTS)).min(words.len() / 4);
    if pairs > 0 && (words.as_ptr() as usize).is_multiple_of(4) {
        // SAFETY: it reads 16 bytes of the panel and 4 of the words for each of `pairs`, which is 1 or more, all inside
        // the slices and at multiples of 4. It writes 8 words. It keeps the calling convention.
        unsafe { no_std_infer_paired(slots.as_ptr().cast(), words.as_ptr(), pairs, &mut sums) };
    }
    sums
}

/// The sums of products of two output channels, whose words are given, at four pixels.
#[cfg(not(nsi_armv6m))]
fn sums(slots: &[Cell<i32>], words: &[u8]) -> [[i32; PIXELS]; 2] {
    let (mut totals, mut highs) = ([[0_i32; 2]; 2], [[0_i32; 2]; 2]);
    for ([p0, p1, q0, q1], [w0, w1, w2, w3]) in slots.as_chunks::<4>().0.iter().zip(words.as_chunks::<4>().0) {
        let ((a0, b0), (a1, b1)) = (crate::operators::unpack([*w0, *w1]), crate::operators::unpack([*w2, *w3]));
        for (channel, [first, second]) in [[a0.into(), a1.into()], [b0, b1]].into_iter().enumerate() {
            for (slot, [first_slot, second_slot]) in [[p0, q0], [p1, q1]].into_iter().enumerate() {
                let products = first_slot.get().wrapping_mul(i32::from(first));
                let both = products.wrapping_add(second_slot.get().wrapping_mul(i32::from(second)));
                totals[channel][slot] = totals[channel][slot].wrapping_add(both);
                highs[channel][slot] += both.wrapping_add(1 << 15) >> 16;
            }
        }
    }
    [0, 1].map(|channel| {
        let [[t0, t1], [h0, h1]] = [totals[channel], highs[channel]];
        [(h0 << 16).wrapping_sub(t0), -h0, (h1 << 16).wrapping_sub(t1), -h1]
    })
}
