//! A byte for each pixel's element: for cores that multiply and add in one instruction, and those with many registers.
#![cfg_attr(nsi_armv7m, allow(unsafe_code))]

use core::cell::Cell;

#[cfg(nsi_armv7m)]
use crate::bounded::Bounded;
#[cfg(nsi_armv7m)]
use crate::kernels::scalar::Patch;
use crate::kernels::scalar::{Block, PIXELS, Weights};

#[cfg(nsi_armv7m)]
#[repr(C)]
struct Product {
    panel: *const i8,
    words: *const u8,
    pairs: usize,
    channels: *const u8,
    channels_end: *const u8,
    output: *mut i8,
    stride: usize,
}

#[cfg(nsi_armv7m)]
#[repr(C)]
struct Fill {
    source: *const i8,
    quads_target: *mut i8,
    left_over_target: *mut i8,
    quads: usize,
    left_over: usize,
    skipped: usize,
    runs: usize,
}

#[cfg(nsi_armv7m)]
crate::kernels::arch::assembly! {
    fn no_std_infer_single(arguments: *const Product);
    fn no_std_infer_single_fill(arguments: *const Fill);
}

/// A byte for each pixel's element.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
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

    #[cfg(nsi_armv7m)]
    fn fill(patch: &Patch<'_>, slots: &[Cell<i8>], pixel: usize) {
        let order = patch.order;
        let span = order.runs.times(patch.row_stride).plus(order.run).checked_sub(patch.row_stride);
        let whole = span.is_some_and(|span| span <= patch.source.len()) && patch.row_stride >= order.run;
        if order.runs == 0 || patch.columns != 1 || !whole {
            return patch.put::<Self>(slots, pixel);
        }
        let Some([quads, left_over]) = patch.targets::<Self>(slots, pixel) else { return };
        // SAFETY: it reads `run` bytes, one by one or in words without alignment, of `runs` runs `row_stride` bytes apart,
        // which lie inside the source, and writes a byte every four, as many as the targets have room for. It keeps the
        // calling convention.
        unsafe {
            no_std_infer_single_fill(&Fill {
                source: patch.source.as_ptr().cast(),
                quads_target: quads.as_ptr().cast_mut().cast(),
                left_over_target: left_over.as_ptr().cast_mut().cast(),
                quads: order.quads(),
                left_over: order.left_over(),
                skipped: patch.row_stride.minus(order.run),
                runs: order.runs,
            });
        }
    }

    #[cfg(nsi_armv7m)]
    fn multiply(slots: &[Cell<i8>], weights: &Weights<'_>, output: &[Cell<i8>], stride: usize) {
        let (rows, channels) = (weights.len(), weights.channels.bytes());
        let written = stride.times(PIXELS - 1).plus(rows.times(2));
        let enough = output.len() >= written && slots.len() >= weights.pairs.times(2 * PIXELS);
        if weights.pairs == 0 || rows == 0 || !enough || !(channels.as_ptr() as usize).is_multiple_of(4) {
            return;
        }
        // SAFETY: it reads 8 bytes of the panel for each of `pairs`, which is 1 or more, and for each of `rows` `pairs` words,
        // which need no alignment, and 32 bytes of parameters at a multiple of 4, all inside the slices. It writes two bytes
        // a row at four places `stride` bytes apart, inside the output. It keeps the calling convention.
        unsafe {
            no_std_infer_single(&Product {
                panel: slots.as_ptr().cast(),
                words: weights.words.as_ptr(),
                pairs: weights.pairs,
                channels: channels.as_ptr(),
                channels_end: channels.as_ptr().wrapping_add(rows.times(2 * crate::format::PACKED_CHANNEL_LEN)),
                output: output.as_ptr().cast_mut().cast(),
                stride,
            });
        }
    }

    #[cfg(not(nsi_armv7m))]
    fn multiply(slots: &[Cell<i8>], weights: &Weights<'_>, output: &[Cell<i8>], stride: usize) {
        weights.finish(output, stride, |words| {
            let mut sums = [[0_i32; PIXELS]; 2];
            let [first, second] = &mut sums;
            for (values, &halfword) in slots.as_chunks::<PIXELS>().0.iter().zip(words.as_chunks::<2>().0) {
                let (a, b) = crate::operators::unpack(halfword);
                for ((first, second), value) in first.iter_mut().zip(second.iter_mut()).zip(values) {
                    let value = i32::from(value.get());
                    *first = first.wrapping_add(value * i32::from(a));
                    *second = second.wrapping_add(value * i32::from(b));
                }
            }
            sums
        });
    }
}
