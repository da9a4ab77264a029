//! Ways through tensors: element by element, pixel by pixel, row by row.

use core::ops::Range;

use crate::format::Tensor;

/// Channels that are accumulated side by side.
pub const BLOCK: usize = 16;

pub fn row_len(tensor: &Tensor) -> usize {
    usize::from(tensor.width) * tensor.channels as usize
}

/// Where in the arena the channels of one pixel lie.
pub fn pixel(tensor: &Tensor, y: usize, x: usize) -> Range<usize> {
    let channels = tensor.channels as usize;
    let start = tensor.offset as usize + (y * usize::from(tensor.width) + x) * channels;
    start..start + channels
}

/// The channels of some pixels, given by row and column, of `tensor`, whose bytes `values` are.
pub fn pixel_values<'t>(
    values: &'t [i8],
    tensor: &Tensor,
    pixels: impl Iterator<Item = (usize, usize)>,
) -> impl Iterator<Item = &'t [i8]> {
    let relative = Tensor { offset: 0, ..*tensor };
    pixels.filter_map(move |(y, x)| values.get(pixel(&relative, y, x)))
}

/// Sums each channel over some pixels, given by row and column, of `tensor`, whose bytes `values` are, and writes
/// `finish(sum)`.
pub fn sum_channels(
    values: &[i8],
    tensor: &Tensor,
    pixels: impl Iterator<Item = (usize, usize)> + Clone,
    output: &mut [i8],
    finish: impl Fn(i32) -> i8,
) {
    for (block, outputs) in output.chunks_mut(BLOCK).enumerate() {
        let mut sums = [0_i32; BLOCK];
        for channels in pixel_values(values, tensor, pixels.clone()) {
            let channels = channels.get(block * BLOCK..).unwrap_or_default();
            for (sum, &value) in sums.iter_mut().zip(channels) {
                *sum = sum.wrapping_add(i32::from(value));
            }
        }
        for (out, &sum) in outputs.iter_mut().zip(&sums) {
            *out = finish(sum);
        }
    }
}

fn copy(arena: &mut [i8], from: usize, to: usize, len: usize) {
    if let Ok([source, target]) = arena.get_disjoint_mut([from..from + len, to..to + len]) {
        for (target, &source) in target.iter_mut().zip(source.iter()) {
            *target = source;
        }
    }
}

/// Applies `f` to each element of some rows, first to last.
pub fn map(arena: &mut [i8], input: &Tensor, output: &Tensor, rows: Range<usize>, f: impl Fn(i8) -> i8) {
    let start = row_len(output) * rows.start;
    for i in start..start + row_len(output) * rows.len() {
        let Some(&value) = arena.get(input.offset as usize + i) else { return };
        let Some(out) = arena.get_mut(output.offset as usize + i) else { return };
        *out = f(value);
    }
}

/// Applies `f` to pairs of elements for some rows of the output, the elements of a side of 1 repeated. The output may
/// lie where an operand of its shape lies.
pub fn zip_map(
    arena: &mut [i8],
    operands: [&Tensor; 2],
    output: &Tensor,
    rows: Range<usize>,
    f: impl Fn(i8, i8) -> i8,
) {
    // Without repetition a row is one run of elements.
    let even = operands.iter().all(|operand| operand.len() == output.len());
    let row = row_len(output);
    let (width, run) = if even { (1, row) } else { (usize::from(output.width), output.channels as usize) };
    let steps = operands.map(|operand| if even { Steps { row, pixel: 0, element: 1 } } else { Steps::new(operand) });
    let [a_steps, b_steps] = steps;
    for y in rows {
        for x in 0..width {
            let [mut a, mut b] = [operands[0].offset as usize, operands[1].offset as usize];
            a += y * a_steps.row + x * a_steps.pixel;
            b += y * b_steps.row + x * b_steps.pixel;
            let start = output.offset as usize + y * row + x * run;
            for out in start..start + run {
                let (Some(&left), Some(&right)) = (arena.get(a), arena.get(b)) else { return };
                let Some(out) = arena.get_mut(out) else { return };
                *out = f(left, right);
                a += a_steps.element;
                b += b_steps.element;
            }
        }
    }
}

/// Distances in the arena; 0 along a side of 1.
#[derive(Clone, Copy)]
struct Steps {
    row: usize,
    pixel: usize,
    element: usize,
}

impl Steps {
    fn new(tensor: &Tensor) -> Self {
        let unless_one = |side: u32, step| if side == 1 { 0 } else { step };
        Self {
            row: unless_one(tensor.height.into(), row_len(tensor)),
            pixel: unless_one(tensor.width.into(), tensor.channels as usize),
            element: unless_one(tensor.channels, 1),
        }
    }
}

/// Copies the input into the output, its first element at row, column and channel `corner`; touches only output rows
/// `rows`.
pub fn place(arena: &mut [i8], input: &Tensor, output: &Tensor, corner: [usize; 3], rows: Range<usize>) {
    let [top, left, front] = corner;
    let width = usize::from(input.width);
    // With all channels of the output a row is one run of elements.
    let (pixels, run) =
        if input.channels == output.channels { (1, row_len(input)) } else { (width, input.channels as usize) };
    for y in rows.start.max(top)..rows.end.min(top + usize::from(input.height)) {
        for x in 0..pixels {
            let from = pixel(input, y - top, x).start;
            copy(arena, from, pixel(output, y, left + x).start + front, run);
        }
    }
}
