//! Kernels for cores with Arm's DSP extension (Cortex-M4, M7; M33 and others where present).
//!
//! Elsewhere every instruction and every loop in assembly is replaced by a plain model with the same result, so that the
//! same kernels run in tests on any host. Operators without a kernel of their own here run the generic one.

/// Puts assembly into the program. On Armv8-M the assembler has to be told of the DSP extension, by a core that has it.
#[cfg(all(dsp, armv8m))]
macro_rules! assembly {
    ($($text:tt)*) => {
        core::arch::global_asm!(".cpu cortex-m33", $($text)*, options(raw));
    };
}
/// Puts assembly into the program.
#[cfg(all(dsp, not(armv8m)))]
macro_rules! assembly {
    ($($text:tt)*) => {
        core::arch::global_asm!($($text)*, options(raw));
    };
}

mod add;
mod conv;
#[cfg(dsp)]
mod dense;
mod depthwise;
mod four;
mod gemm;
mod groups;
#[cfg(not(dsp))]
mod insn;
mod pool;
mod widen;
mod winograd;

use core::ops::Range;

use crate::format::{Clamp, Concat, Constant, Lookup, Mean, Mul, Pad, Pool2d, Reshape, Softmax};
use crate::kernels::{Generic, Kernels, generic_kernels};
use crate::ops::{AddLayer, Constants, ConvLayer, DenseLayer};

/// Kernels for cores with the DSP extension.
#[derive(Clone, Copy, Debug, Default)]
pub struct Armv7em;

impl Kernels for Armv7em {
    #[inline(always)]
    fn conv2d(arena: &mut [i8], layer: &ConvLayer<'_>, rows: Range<usize>) {
        match &layer.constants {
            Constants::Packed(packed) => conv::conv2d(arena, layer.op, packed, rows),
            Constants::Winograd(constants) => {
                winograd::conv2d(arena, layer.op, constants, rows, winograd::Loops::of(constants.form));
            }
            _ => Generic::conv2d(arena, layer, rows),
        }
    }

    #[inline(always)]
    fn depthwise_conv2d(arena: &mut [i8], layer: &ConvLayer<'_>, rows: Range<usize>) {
        match &layer.constants {
            Constants::Depthwise(packed) => depthwise::depthwise_conv2d(arena, layer.op, packed, rows),
            _ => Generic::depthwise_conv2d(arena, layer, rows),
        }
    }

    #[inline(always)]
    fn dense(arena: &mut [i8], layer: &DenseLayer<'_>) {
        #[cfg(dsp)]
        if let crate::ops::DenseWeights::Packed(blocks) = layer.weights {
            return dense::packed(arena, layer, blocks);
        }
        Generic::dense(arena, layer);
    }

    fn max_pool2d(arena: &mut [i8], op: &Pool2d, rows: Range<usize>) {
        pool::max_pool2d(arena, op, rows);
    }

    fn average_pool2d(arena: &mut [i8], op: &Pool2d, rows: Range<usize>) {
        pool::average_pool2d(arena, op, rows);
    }

    #[inline(always)]
    fn add(arena: &mut [i8], layer: &AddLayer<'_>, rows: Range<usize>) {
        match layer.tables {
            [None, None] => Generic::add(arena, layer, rows),
            _ => add::add(arena, layer, rows),
        }
    }

    fn softmax(arena: &mut [i8], op: &Softmax, rows: Range<usize>) {
        Generic::softmax(arena, op, rows);
    }

    fn mean(arena: &mut [i8], op: &Mean, rows: Range<usize>) {
        pool::mean(arena, op, rows);
    }

    generic_kernels!();
}
