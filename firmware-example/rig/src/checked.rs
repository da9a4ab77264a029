//! Kernels under supervision: what they may not write must stay as it was.

use core::marker::PhantomData;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, Ordering};

use no_std_infer::format::{Clamp, Concat, Constant, Lookup, Mean, Mul, Op, Pad, Pool2d, Reshape, Softmax};
use no_std_infer::kernels::Kernels;
use no_std_infer::operators::{AddLayer, ConvLayer, DenseLayer};

/// Longest arena that can be supervised, in bytes.
pub const ARENA_MAX: usize = 128 * 1024;

static STRAY: AtomicBool = AtomicBool::new(false);

/// True when a kernel has written outside its output and its scratch since the last call.
pub fn stray_write() -> bool {
    let stray = STRAY.load(Ordering::Relaxed);
    STRAY.store(false, Ordering::Relaxed);
    stray
}

/// The kernels of `K`; after each call the arena outside the operator's output and scratch is compared with what it was.
#[derive(Clone, Copy, Debug)]
pub struct Checked<K>(PhantomData<K>);

fn supervise(arena: &mut [i8], op: &Op, run: impl FnOnce(&mut [i8])) {
    let mut before = [0; ARENA_MAX];
    let Some(before) = before.get_mut(..arena.len()) else { return STRAY.store(true, Ordering::Relaxed) };
    before.copy_from_slice(arena);
    run(arena);
    let scratch = op.scratch_offset() as usize;
    for allowed in [op.output().range(), scratch..scratch + op.scratch_len() as usize] {
        before[allowed.clone()].copy_from_slice(&arena[allowed]);
    }
    if before != arena {
        STRAY.store(true, Ordering::Relaxed);
    }
}

impl<K: Kernels> Kernels for Checked<K> {
    fn conv2d(arena: &mut [i8], layer: &ConvLayer<'_>, rows: Range<usize>) {
        supervise(arena, &Op::Conv2d(*layer.op), |arena| K::conv2d(arena, layer, rows));
    }
    fn depthwise_conv2d(arena: &mut [i8], layer: &ConvLayer<'_>, rows: Range<usize>) {
        supervise(arena, &Op::DepthwiseConv2d(*layer.op), |arena| K::depthwise_conv2d(arena, layer, rows));
    }
    fn dense(arena: &mut [i8], layer: &DenseLayer<'_>) {
        supervise(arena, &Op::Dense(*layer.op), |arena| K::dense(arena, layer));
    }
    fn max_pool2d(arena: &mut [i8], op: &Pool2d, rows: Range<usize>) {
        supervise(arena, &Op::MaxPool2d(*op), |arena| K::max_pool2d(arena, op, rows));
    }
    fn average_pool2d(arena: &mut [i8], op: &Pool2d, rows: Range<usize>) {
        supervise(arena, &Op::AveragePool2d(*op), |arena| K::average_pool2d(arena, op, rows));
    }
    fn add(arena: &mut [i8], layer: &AddLayer<'_>, rows: Range<usize>) {
        supervise(arena, &Op::Add(*layer.op), |arena| K::add(arena, layer, rows));
    }
    fn clamp(arena: &mut [i8], op: &Clamp, rows: Range<usize>) {
        supervise(arena, &Op::Clamp(*op), |arena| K::clamp(arena, op, rows));
    }
    fn lookup(arena: &mut [i8], op: &Lookup, table: &[u8; 256], rows: Range<usize>) {
        supervise(arena, &Op::Lookup(*op), |arena| K::lookup(arena, op, table, rows));
    }
    fn softmax(arena: &mut [i8], op: &Softmax, rows: Range<usize>) {
        supervise(arena, &Op::Softmax(*op), |arena| K::softmax(arena, op, rows));
    }
    fn reshape(arena: &mut [i8], op: &Reshape) {
        supervise(arena, &Op::Reshape(*op), |arena| K::reshape(arena, op));
    }
    fn mul(arena: &mut [i8], op: &Mul, rows: Range<usize>) {
        supervise(arena, &Op::Mul(*op), |arena| K::mul(arena, op, rows));
    }
    fn mean(arena: &mut [i8], op: &Mean, rows: Range<usize>) {
        supervise(arena, &Op::Mean(*op), |arena| K::mean(arena, op, rows));
    }
    fn pad(arena: &mut [i8], op: &Pad, rows: Range<usize>) {
        supervise(arena, &Op::Pad(*op), |arena| K::pad(arena, op, rows));
    }
    fn concat(arena: &mut [i8], op: &Concat, rows: Range<usize>) {
        supervise(arena, &Op::Concat(*op), |arena| K::concat(arena, op, rows));
    }
    fn constant(arena: &mut [i8], op: &Constant, values: &[u8]) {
        supervise(arena, &Op::Constant(*op), |arena| K::constant(arena, op, values));
    }
}
