//! Kernels for cores with Arm's vector extension for microcontrollers, Helium or MVE (Cortex-M55, M85; M52 where present).
//!
//! Their loops take plain weights, so nothing is packed for them. What has been packed runs on the loops for the DSP extension,
//! which these cores have too. Elsewhere every loop in assembly is replaced by a plain model with the same result, so that the
//! same kernels run in tests on any host.

mod add;
mod conv;
mod dense;
mod depthwise;
mod gemm;
pub mod image;
#[cfg(not(nsi_armv81m))]
mod insn;
mod panel;
mod pool;

use core::ops::Range;

use super::armv7em::Armv7em;
use crate::bounded::{Bounded, numbered};
use crate::format::CHANNEL_LEN;
use crate::kernels::{Apart, Kernels, Shared};
use crate::operators::{
    Add, ChannelParams, Channels, Conv2d, Dense, DensePacked, DensePlain, Mean, Packed, PackedDepthwise, Plain, Pool2d,
    Tables, Winograd,
};

/// Kernels for cores with the vector extension.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Armv81m;

impl Kernels for Armv81m {
    #[inline(always)]
    fn conv2d(op: &Conv2d, constants: &Plain<'_>, views: Shared<'_, 1>) {
        conv::conv2d(op, constants, views);
    }

    #[inline(always)]
    fn depthwise_conv2d(op: &Conv2d, constants: &Plain<'_>, views: Apart<'_>) {
        depthwise::depthwise_conv2d(op, constants, views);
    }

    #[inline(always)]
    fn conv2d_packed(op: &Conv2d, constants: &Packed<'_>, views: Shared<'_, 1>) {
        Armv7em::conv2d_packed(op, constants, views);
    }

    #[inline(always)]
    fn conv2d_winograd(op: &Conv2d, constants: &Winograd<'_>, views: Shared<'_, 1>) {
        Armv7em::conv2d_winograd(op, constants, views);
    }

    #[inline(always)]
    fn depthwise_conv2d_packed(
        op: &Conv2d,
        constants: &PackedDepthwise<'_>,
        views: Shared<'_, 1>,
        channels: Range<usize>,
    ) {
        Armv7em::depthwise_conv2d_packed(op, constants, views, channels);
    }

    #[inline(always)]
    fn dense(op: &Dense, constants: &DensePlain<'_>, views: Apart<'_>) {
        dense::plain(op, constants, views);
    }

    #[inline(always)]
    fn dense_packed(op: &Dense, constants: &DensePacked<'_>, views: Apart<'_>) {
        Armv7em::dense_packed(op, constants, views);
    }

    #[inline(always)]
    fn max_pool2d(op: &Pool2d, views: Apart<'_>) {
        pool::max_pool2d(op, views);
    }

    #[inline(always)]
    fn average_pool2d(op: &Pool2d, views: Apart<'_>) {
        Armv7em::average_pool2d(op, views);
    }

    #[inline(always)]
    fn add_tables(op: &Add, tables: Tables<'_>, views: Shared<'_, 2>) {
        add::add(op, tables, views);
    }

    #[inline(always)]
    fn mean(op: &Mean, views: Apart<'_>) {
        Armv7em::mean(op, views);
    }
}

/// Whether the loops requantise as the parameters of an output channel say: shift right by 1 or more, or by nothing where the zero
/// point is the least output, so that ties need no correction (`insn.rs`). They do it for all multipliers below 1/2, and in layers
/// that end in a ReLU for all below 1.
#[inline(always)]
fn is_exact(&[.., a, b, c, d]: &[u8; CHANNEL_LEN], zero_point: i8) -> bool {
    let most = if zero_point == i8::MIN { 31 } else { 30 };
    // -31 becomes 0, and what is less or more than the most is more.
    (i32::from_le_bytes([a, b, c, d]).wrapping_add(31) as u32) <= most
}

/// The output channels, from the first to the last of them, whose multipliers the loops do not apply.
#[inline(always)]
fn inexact(parameters: &[u8], zero_point: i8) -> Range<usize> {
    let entries = parameters.as_chunks().0;
    if entries.iter().all(|entry| is_exact(entry, zero_point)) {
        return 0..0;
    }
    let inexact = numbered(entries.iter()).filter(|(_, entry)| !is_exact(entry, zero_point));
    inexact.fold(entries.len()..0, |range, (channel, _)| range.start.min(channel)..channel.plus(1))
}

/// The parameters of an output channel whose multiplier the loops do not apply; `None` of another.
fn single(channels: Channels<'_>, channel: usize, zero_point: i8) -> Option<ChannelParams> {
    let channels = channels.skip(channel);
    let computed = channels.bytes().first_chunk().is_some_and(|entry| is_exact(entry, zero_point));
    channels.iter().next().filter(|_| !computed)
}
