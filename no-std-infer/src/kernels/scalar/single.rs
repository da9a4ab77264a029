//! A byte for each pixel's element: for cores that multiply and add in one instruction, and those with many registers.
#![cfg_attr(armv7m, allow(unsafe_code))]

use core::cell::Cell;

use super::{Block, PIXELS};
#[cfg(not(armv7m))]
use crate::ops::unpack;

#[cfg(armv7m)]
core::arch::global_asm!(include_str!("single.s"), options(raw));

#[cfg(armv7m)]
unsafe extern "C" {
    fn no_std_infer_single(panel: *const i8, words: *const u8, pairs: usize, sums: *mut [[i32; PIXELS]; 2]);
}

/// A byte for each pixel's element.
#[derive(Clone, Copy, Debug, Default)]
pub struct Single;

impl Block for Single {
    type Slot = i8;
    const SLOTS: usize = PIXELS;

    fn slots(panel: &[Cell<i8>]) -> &[Cell<i8>] {
        panel
    }

    #[inline]
    fn put(slot: &Cell<i8>, _: usize, value: i8) {
        slot.set(value);
    }

    #[cfg(armv7m)]
    fn sums(slots: &[Cell<i8>], words: &[u8]) -> [[i32; PIXELS]; 2] {
        let mut sums = [[0; PIXELS]; 2];
        let pairs = (slots.len() / (2 * PIXELS)).min(words.len() / 4);
        if pairs > 0 {
            // SAFETY: it reads 8 bytes of the panel and 4 of the words for each of `pairs`, which is 1 or more, all inside
            // the slices; loads of halfwords need no alignment here. It writes 8 words. It keeps the calling convention.
            unsafe { no_std_infer_single(slots.as_ptr().cast(), words.as_ptr(), pairs, &mut sums) };
        }
        sums
    }

    #[cfg(not(armv7m))]
    fn sums(slots: &[Cell<i8>], words: &[u8]) -> [[i32; PIXELS]; 2] {
        let mut sums = [[0_i32; PIXELS]; 2];
        let [first, second] = &mut sums;
        for (values, &halfword) in slots.as_chunks::<PIXELS>().0.iter().zip(words.as_chunks::<2>().0) {
            let (a, b) = unpack(halfword);
            for ((first, second), value) in first.iter_mut().zip(second.iter_mut()).zip(values) {
                let value = i32::from(value.get());
                *first = first.wrapping_add(value * i32::from(a));
                *second = second.wrapping_add(value * i32::from(b));
            }
        }
        sums
    }
}
