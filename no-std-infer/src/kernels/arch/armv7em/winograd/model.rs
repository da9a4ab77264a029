//! What the loops in assembly compute of one tile, in plain Rust.

use core::num::Wrapping;

use crate::operators::Form;

/// Which way a transform goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// Columns.
    Down,
    /// Rows.
    Across,
}

/// A column or a row of inputs, transformed, in the order of the weights.
pub fn spread(form: Form, axis: Axis, inputs: [i16; 6]) -> [i16; 6] {
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
    let ([a, b, c, d, e, f], none) = (sums.map(Wrapping), Wrapping(0));
    let gathered = match (form, axis) {
        (Form::F2x2, Axis::Down) => [a + b + c, b - c - d, none, none],
        (Form::F2x2, Axis::Across) => [a + b + c, b - a + d, none, none],
        (Form::F4x4, _) => {
            let [near, near_odd, far, far_odd] = [b + c, b - c, d + e, d - e];
            let double = |x| x + x;
            let odd = double(near_odd) + double(double(far_odd)) + f;
            [a + double(double(near)) + far, double(near_odd) + far_odd, near + far, odd]
        }
        (Form::Stride2, _) => [a + b + c, a + d + e, none, none],
    };
    gathered.map(|sum| sum.0)
}

/// Twice a tile's sums of products.
pub fn outputs(form: Form, sums: [[i32; 6]; 6]) -> [[i32; 4]; 4] {
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
