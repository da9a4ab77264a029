//! Damage that gets far: most of it leaves a blob whole but for what it changes.

use fastrand::Rng;
use no_std_infer::format::{
    Activation, Constant, HEADER_LEN, Layout, Op, RECORD_LEN, SECTION_LEN, Tensor, Weights, Window,
};

use super::parts::{Parts, repair};

/// Numbers at the ends of what fields hold.
const EDGES: [u32; 10] = [0, 1, 127, 128, 255, 256, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, u32::MAX];
/// Most operators, and most bytes of weights, that another program is joined to.
const JOINED_MAX: (usize, usize) = (9, 768);

/// Changes a blob's parts; `other` is the blob that it may be joined to.
pub fn mutate<'s>(parts: &mut Parts<'s>, other: &Parts<'s>, rng: &mut Rng) {
    match rng.u8(..32) {
        0..7 => change(&mut parts.weights, rng),
        7..13 => change_tensor(parts, rng),
        13..20 => change_parameters(parts, rng),
        20..24 => change_record(parts, rng),
        24..28 => exchange(parts, rng),
        28 => parts.others.clear(),
        _ => join(parts, other, rng),
    }
    if parts.info.ops as usize != parts.ops.len() && rng.u8(..8) > 0 {
        // They say something of each operator.
        parts.others.clear();
        parts.info.ops = parts.ops.len() as u16;
    }
}

/// Changes bytes of a blob, cuts it off or goes on behind its end; makes length and checksum right.
pub fn damage(blob: &mut Vec<u8>, rng: &mut Rng) {
    match rng.u8(..8) {
        0 => blob.truncate(rng.usize(1..blob.len())),
        1 => blob.extend((0..rng.u8(..64)).map(|_| 0)),
        2 | 3 => change(&mut blob[4..HEADER_LEN + 3 * SECTION_LEN], rng),
        _ => change(blob, rng),
    }
    if blob.len() >= HEADER_LEN {
        repair(blob);
    }
}

/// Changes a tensor wherever it stands.
fn change_tensor(parts: &mut Parts<'_>, rng: &mut Rng) {
    let (old, mut new) = (any_tensor(parts, rng), any_tensor(parts, rng));
    let row = u32::from(old.width).wrapping_mul(old.channels) as i32;
    match rng.u8(..12) {
        0 => new = Tensor { offset: other(old.offset, rng), ..old },
        1 => new = Tensor { offset: old.offset.wrapping_add_signed(rng.i32(-4..=4).wrapping_mul(row)), ..old },
        2 => new = Tensor { offset: new.offset, ..old },
        3 => new = Tensor { offset: new.offset.wrapping_add(new.len() as u32), ..old },
        4 | 5 => new = Tensor { zero_point: rng.i8(..), ..old },
        6 => new = Tensor { scale: f32::from_bits(rng.u32(..)), ..old },
        7 => new = Tensor { height: other(old.height.into(), rng) as u16, ..old },
        8 => new = Tensor { width: other(old.width.into(), rng) as u16, ..old },
        9 => new = Tensor { channels: other(old.channels, rng), ..old },
        10 => new = Tensor { height: old.width, width: old.height, ..old },
        // One for the other.
        _ => {}
    }
    parts.map_tensors(|tensor| {
        if *tensor == old {
            *tensor = new;
        }
    });
}

/// One of the tensors, those of the manifest included.
fn any_tensor(parts: &Parts<'_>, rng: &mut Rng) -> Tensor {
    let (which, input) = (rng.u8(..8), rng.usize(..2));
    let Some(op) = rng.choice(&parts.ops).filter(|_| which > 1) else {
        return if which == 0 { parts.info.input.tensor } else { parts.info.logits };
    };
    *op.inputs().nth(input).filter(|_| which > 4).unwrap_or(op.output())
}

/// Changes one of an operator's parameters by what it means.
fn change_parameters(parts: &mut Parts<'_>, rng: &mut Rng) {
    let Some(op) = rng.choice(&mut parts.ops) else { return };
    let unclamped = rng.bool();
    match op {
        Op::Conv2d(op) | Op::DepthwiseConv2d(op) => match rng.u8(..6) {
            0 | 1 => change_window(&mut op.window, rng),
            2 => change_activation(&mut op.activation, rng),
            3 => op.scratch = other(op.scratch, rng),
            4 => op.scratch = op.scratch.wrapping_add_signed(16 * rng.i32(-8..=8)),
            _ => change_weights(&mut op.weights, rng),
        },
        Op::Dense(op) if unclamped => change_weights(&mut op.weights, rng),
        Op::Dense(op) => change_activation(&mut op.activation, rng),
        Op::MaxPool2d(op) | Op::AveragePool2d(op) if unclamped => change_window(&mut op.window, rng),
        Op::MaxPool2d(op) | Op::AveragePool2d(op) => change_activation(&mut op.activation, rng),
        Op::Add(op) => {
            let multiplier = [&mut op.a_multiplier, &mut op.b_multiplier, &mut op.output_multiplier];
            match (rng.u8(..4), rng.choice(multiplier)) {
                (0, Some(multiplier)) => multiplier.shift = rng.i8(-33..33),
                (1, Some(multiplier)) => multiplier.mantissa = other(multiplier.mantissa as u32, rng) as i32,
                (2, _) => op.tables[rng.usize(..2)] = rng.bool().then(|| 4 * rng.u32(..256)),
                _ => change_activation(&mut op.activation, rng),
            }
        }
        Op::Clamp(op) => change_activation(&mut op.activation, rng),
        Op::Lookup(op) => op.table = other(op.table, rng),
        Op::Softmax(op) if unclamped => op.multiplier.shift = rng.i8(-33..33),
        Op::Softmax(op) => op.diff_min = -(other(op.diff_min.unsigned_abs(), rng) as i32 & 0xFFFF),
        Op::Mul(op) if unclamped => op.multiplier.shift = rng.i8(-33..33),
        Op::Mul(op) => change_activation(&mut op.activation, rng),
        Op::Mean(op) => op.multiplier.shift = rng.i8(-33..33),
        Op::Pad(op) => match rng.u8(..4) {
            0 => op.top = other(op.top.into(), rng) as u16,
            1 => op.left = other(op.left.into(), rng) as u16,
            2 => op.front = other(op.front, rng),
            _ => op.value = rng.i8(..),
        },
        Op::Constant(op) => op.values = other(op.values, rng),
        Op::Reshape(_) | Op::Concat(_) | Op::ReduceMax(_) => change_record(parts, rng),
    }
}

fn change_window(window: &mut Window, rng: &mut Rng) {
    let Window { kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left } = window;
    let fields = [kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left];
    if let Some(field) = rng.choice(fields) {
        *field = if rng.bool() { rng.u16(..4) } else { other((*field).into(), rng) as u16 };
    }
}

fn change_activation(activation: &mut Activation, rng: &mut Rng) {
    let (a, b) = (rng.i8(..), rng.i8(..));
    *activation = match rng.u8(..4) {
        0 => Activation::NONE,
        1 => Activation { min: a, max: b },
        _ => Activation { min: a.min(b), max: a.max(b) },
    };
}

fn change_weights(weights: &mut Weights, rng: &mut Rng) {
    const LAYOUTS: [Layout; 5] =
        [Layout::Plain, Layout::Packed, Layout::Winograd2x2, Layout::Winograd4x4, Layout::WinogradStride2];
    match rng.u8(..4) {
        0 => weights.layout = LAYOUTS[rng.usize(..LAYOUTS.len())],
        1 => weights.channels = other(weights.channels, rng),
        _ => weights.weights = other(weights.weights, rng),
    }
}

/// Changes a number of an operator's record, whatever it means.
fn change_record(parts: &mut Parts<'_>, rng: &mut Rng) {
    let Some(op) = rng.choice(&mut parts.ops) else { return };
    let mut record: [u8; RECORD_LEN] = op.to_record();
    change(&mut record, rng);
    *op = Op::from_record(&record).unwrap_or(*op);
}

/// Exchanges two operators or moves, repeats or leaves out one.
fn exchange(parts: &mut Parts<'_>, rng: &mut Rng) {
    let ops = &mut parts.ops;
    if ops.is_empty() {
        return;
    }
    let (a, b) = (rng.usize(..ops.len()), rng.usize(..ops.len()));
    match rng.u8(..5) {
        0 => ops.swap(a, b),
        1 => ops[a] = ops[b],
        2 if ops.len() < JOINED_MAX.0 => ops.insert(a, ops[b]),
        3 => drop(ops.remove(a)),
        _ => ops[a.min(b)..=a.max(b)].rotate_left(1),
    }
}

/// Lets another program run after this one, on bytes of the weights section: from the same place of the arena on, behind all
/// of this one's, or anywhere.
fn join<'s>(parts: &mut Parts<'s>, other: &Parts<'s>, rng: &mut Rng) {
    let (ops, bytes) = JOINED_MAX;
    let fits = parts.ops.len() + other.ops.len() < ops && parts.weights.len() + other.weights.len() < bytes;
    let first = other.info.input.tensor;
    if !fits || first.len() > other.weights.len() {
        return;
    }
    parts.weights.resize(parts.weights.len().next_multiple_of(16), 0);
    let constants = parts.weights.len() as u32;
    parts.weights.extend_from_slice(&other.weights);
    let base = [0, parts.arena_len, 16 * rng.u32(..64)][rng.usize(..3)];
    let moved = |tensor: Tensor| Tensor { offset: tensor.offset.wrapping_add(base), ..tensor };
    parts.ops.push(Op::Constant(Constant { output: moved(first), values: constants }));
    for &op in &other.ops {
        let mut op = with_constants_behind(op, constants);
        op.map_tensors(|tensor| *tensor = moved(*tensor));
        if let Op::Conv2d(op) | Op::DepthwiseConv2d(op) = &mut op {
            op.scratch = op.scratch.wrapping_add(base);
        }
        parts.ops.push(op);
    }
    if rng.bool() {
        (parts.info.logits, parts.info.labels, parts.labels) =
            (moved(other.info.logits), other.info.labels, other.labels);
    }
}

/// An operator whose constants lie so many bytes further on.
fn with_constants_behind(mut op: Op, bytes: u32) -> Op {
    let far = |at: &mut u32| *at = at.wrapping_add(bytes);
    match &mut op {
        Op::Conv2d(op) | Op::DepthwiseConv2d(op) => [&mut op.weights.weights, &mut op.weights.channels].map(far).len(),
        Op::Dense(op) => [&mut op.weights.weights, &mut op.weights.channels].map(far).len(),
        Op::Add(op) => op.tables.iter_mut().flatten().map(far).count(),
        Op::Lookup(op) => [&mut op.table].map(far).len(),
        Op::Constant(op) => [&mut op.values].map(far).len(),
        _ => 0,
    };
    op
}

/// Changes a number.
fn change(bytes: &mut [u8], rng: &mut Rng) {
    let width = [1, 2, 4][rng.usize(..3)];
    let Some(last) = bytes.len().checked_sub(width) else { return };
    let at = rng.usize(..=last);
    let old = bytes[at..at + width].iter().rev().fold(0_u32, |value, &byte| value << 8 | u32::from(byte));
    bytes[at..at + width].copy_from_slice(&other(old, rng).to_le_bytes()[..width]);
}

/// A number near another, a multiple or a part of it, one at the end of a field's range, or any.
fn other(old: u32, rng: &mut Rng) -> u32 {
    match rng.u8(..8) {
        0 => old.wrapping_add(1),
        1 => old.wrapping_sub(1),
        2 => old.wrapping_add(rng.u32(..64)),
        3 => old.wrapping_sub(16 * rng.u32(..16)),
        4 => old.wrapping_mul(2),
        5 => old / 2,
        6 => EDGES[rng.usize(..EDGES.len())],
        _ => rng.u32(..),
    }
}
