//! What the loops in assembly compute, in plain Rust: tiles transformed, and products transformed back.

use core::cell::Cell;
use core::ops::Range;

use super::product::{PARAMETERS_LEN, Product, Target};
use super::tiles::Source;
use crate::format::PACKED_CHANNEL_LEN;
use crate::kernels::dsp::insn::{requantise, smlad};
use crate::ops::winograd::{COLUMNS, Form, TILES};
use crate::ops::{OutputParams, PackedParams};

/// Which way a transform goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Axis {
    Down,
    Across,
}

/// A column or a row of inputs, transformed, in the order of the weights.
fn spread(form: Form, axis: Axis, inputs: [i16; 6]) -> [i16; 6] {
    let [a, b, c, d, e, f] = inputs;
    match (form, axis) {
        (Form::F2x2, Axis::Down) => [a - c, b + c, c - b, b - d, 0, 0],
        (Form::F2x2, Axis::Across) => [c - b, b + c, a - c, b - d, 0, 0],
        (Form::F4x4, _) => {
            let ([even, odd], [wide, doubled]) = ([e - 4 * c, d - 4 * b], [e - c, 2 * (d - b)]);
            [4 * a - 5 * c + e, even + odd, even - odd, wide + doubled, wide - doubled, 4 * b - 5 * d + f]
        }
        (Form::Stride2, _) => [c, a - c, b, e - c, d, 0],
    }
}

/// A column or a row of sums, transformed back.
fn gather(form: Form, axis: Axis, sums: [i32; 6]) -> [i32; 4] {
    let [a, b, c, d, e, f] = sums.map(core::num::Wrapping);
    let gathered = match (form, axis) {
        (Form::F2x2, Axis::Down) => [a + b + c, b - c - d, c - c, c - c],
        (Form::F2x2, Axis::Across) => [a + b + c, b - a + d, c - c, c - c],
        (Form::F4x4, _) => {
            let [near, near_odd, far, far_odd] = [b + c, b - c, d + e, d - e];
            let double = |x| x + x;
            let odd = double(near_odd) + double(double(far_odd)) + f;
            [a + double(double(near)) + far, double(near_odd) + far_odd, near + far, odd]
        }
        (Form::Stride2, _) => [a + b + c, a + d + e, c - c, c - c],
    };
    gathered.map(|sum| sum.0)
}

/// See [`super::tiles::transform`].
pub fn transform(form: Form, source: Source<'_>, panel: &[Cell<i8>]) {
    let Source { bytes, pitch, channels } = source;
    let (quads, side) = (channels.div_ceil(4), form.side());
    let step = form.tile() * usize::from(form.stride());
    for (tile, channel) in (0..COLUMNS / form.tile()).flat_map(|tile| (0..quads * 4).map(move |channel| (tile, channel))) {
        let mut columns = [[0; 6]; 6];
        for (x, column) in columns.iter_mut().enumerate().take(side) {
            let mut inputs = [0; 6];
            for (y, input) in inputs.iter_mut().enumerate().take(side) {
                *input = bytes[y * pitch + (tile * step + x) * channels + channel].get().into();
            }
            *column = spread(form, Axis::Down, inputs);
        }
        for y in 0..side {
            for (x, value) in spread(form, Axis::Across, columns.map(|column| column[y])).into_iter().enumerate().take(side) {
                let at = ((y * side + x) * quads * 2 + channel / 4 * 2 + channel % 2) * 16 + tile * 4 + channel / 2 % 2 * 2;
                panel[at..].iter().zip(value.to_le_bytes()).for_each(|(cell, byte)| cell.set(byte as i8));
            }
        }
    }
}

/// See [`Product::multiply`].
pub fn multiply(product: &Product<'_>, panel: &[Cell<i8>], rows: Range<usize>, targets: [Target<'_>; 2]) {
    let form = product.form;
    let all = product.words.chunks_exact(product.row_len).zip(product.channels.chunks_exact(PARAMETERS_LEN));
    for (index, (words, parameters)) in all.skip(rows.start).take(rows.len()).enumerate() {
        for (channel, tile) in (0..2).flat_map(|channel| (0..TILES).map(move |tile| (channel, tile))) {
            let p = PackedParams::from_bytes(&parameters[channel * PACKED_CHANNEL_LEN..]);
            let mut sums = [[0; 6]; 6];
            for (element, sum) in (0..form.elements()).map(|element| (element, element_sum(product, words, panel, [element, channel, tile]))) {
                sums[element / form.side()][element % form.side()] = sum;
            }
            let target = &targets[tile * form.tile() / COLUMNS];
            for (y, row) in outputs(form, sums).into_iter().enumerate().take(form.tile()) {
                for (x, doubled) in row.into_iter().enumerate().take(form.tile()) {
                    let doubled = doubled.wrapping_add(p.doubled_bias);
                    let column = tile * form.tile() % COLUMNS + x;
                    let at = y * target.row_stride + column * target.pixel_stride + index * 2 + channel;
                    target.output[at].set(requantise(doubled, p.mantissa, p.rounding, p.shift));
                }
            }
        }
    }
}

/// The sum of an element's products over all input channels.
fn element_sum(product: &Product<'_>, words: &[u8], panel: &[Cell<i8>], [element, channel, tile]: [usize; 3]) -> i32 {
    let steps = element * 2 * product.quads..(element + 1) * 2 * product.quads;
    steps.fold(0, |sum, step| {
        let weights = words[step * 8 + channel * 4..][..4].try_into().map_or(0, u32::from_le_bytes);
        let inputs = [0, 1, 2, 3].map(|byte| panel[step * 16 + tile * 4 + byte].get() as u8);
        smlad(weights, u32::from_le_bytes(inputs), sum)
    })
}

/// Twice a tile's sums of products.
fn outputs(form: Form, sums: [[i32; 6]; 6]) -> [[i32; 4]; 4] {
    /// The inverse of 9 modulo 2^32.
    const NINTH: i32 = 0x38E3_8E39;
    let mut rows = sums.map(|row| gather(form, Axis::Across, row));
    if form == Form::F2x2 {
        rows = rows.map(|row| row.map(|sum| sum >> 1));
    }
    let columns = [0, 1, 2, 3].map(|x| gather(form, Axis::Down, rows.map(|row| row[x])));
    let scale = |place: usize| [3, 2, 1, 2][place];
    [0, 1, 2, 3].map(|y| {
        [0, 1, 2, 3].map(|x| match form {
            Form::F2x2 => columns[x][y],
            Form::F4x4 => columns[x][y].wrapping_mul(NINTH) >> (scale(x) + scale(y) - 1),
            Form::Stride2 => columns[x][y] << 1,
        })
    })
}
