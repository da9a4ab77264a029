//! Kernels for cores with Arm's DSP extension (Cortex-M4, M7; M33 and others where present).
//!
//! Elsewhere every instruction and every loop in assembly is replaced by a plain model with the same result, so that the
//! same kernels run in tests on any host. Operators without a kernel of their own here run the generic one.

mod add;
mod conv;
#[cfg(nsi_armv7em)]
mod dense;
mod depthwise;
mod four;
mod gemm;
mod groups;
#[cfg(not(nsi_armv7em))]
mod insn;
mod pool;
mod widen;
mod winograd;

use core::ops::Range;

pub(super) use self::pool::pooled;

use crate::kernels::{Apart, Kernels, Shared};
use crate::operators::{Add, Conv2d, Mean, Packed, PackedDepthwise, Pool2d, Tables, Winograd};
#[cfg(nsi_armv7em)]
use crate::operators::{Dense, DensePacked};

/// Kernels for cores with the DSP extension.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Armv7em;

impl Kernels for Armv7em {
    #[inline(always)]
    fn conv2d_packed(op: &Conv2d, constants: &Packed<'_>, views: Shared<'_, 1>) {
        conv::conv2d(op, constants, views);
    }

    #[inline(always)]
    fn conv2d_winograd(op: &Conv2d, constants: &Winograd<'_>, views: Shared<'_, 1>) {
        winograd::conv2d(op, constants, views, winograd::Loops::of(constants.form));
    }

    #[inline(always)]
    fn depthwise_conv2d_packed(
        op: &Conv2d,
        constants: &PackedDepthwise<'_>,
        views: Shared<'_, 1>,
        channels: Range<usize>,
    ) {
        depthwise::depthwise_conv2d(op, constants, views, channels);
    }

    #[cfg(nsi_armv7em)]
    #[inline(always)]
    fn dense_packed(op: &Dense, constants: &DensePacked<'_>, views: Apart<'_>) {
        dense::packed(op, constants, views);
    }

    #[inline(always)]
    fn max_pool2d(op: &Pool2d, views: Apart<'_>) {
        pool::max_pool2d(op, views);
    }

    #[inline(always)]
    fn average_pool2d(op: &Pool2d, views: Apart<'_>) {
        pool::average_pool2d(op, views);
    }

    #[inline(always)]
    fn add_tables(op: &Add, tables: Tables<'_>, views: Shared<'_, 2>) {
        add::add(op, tables, views);
    }

    #[inline(always)]
    fn mean(op: &Mean, views: Apart<'_>) {
        pool::mean(op, views);
    }
}
