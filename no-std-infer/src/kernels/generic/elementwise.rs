//! Operators that go element by element: an element is read before the one in its place is written.

use crate::bounded::{Bounded, numbered};
use crate::fixed::clamp_i8;
use crate::format::Tensor;
use crate::kernels::Shared;
use crate::operators::{ADD_SHIFT, Activation, Add, Clamp, Mul};

/// A sum.
pub fn add(op: &Add, views: Shared<'_, 2>) {
    zip_map([&op.a, &op.b], &op.output, views, |a, b| sum(op, a, b));
}

/// A sum of summands that have its shape.
pub fn add_even(op: &Add, views: Shared<'_, 2>) {
    let [a, b] = views.inputs;
    views.output.iter().zip(a).zip(b).for_each(|((out, a), b)| out.set(sum(op, a.get(), b.get())));
}

#[inline(always)]
fn sum(op: &Add, a: i8, b: i8) -> i8 {
    let a = op.a_multiplier.apply((i32::from(a) - i32::from(op.a.zero_point)) << ADD_SHIFT);
    let b = op.b_multiplier.apply((i32::from(b) - i32::from(op.b.zero_point)) << ADD_SHIFT);
    let sum = op.output_multiplier.apply(a.wrapping_add(b));
    clamp_i8(sum.saturating_add(i32::from(op.output.zero_point)), op.activation.min, op.activation.max)
}

/// A product.
pub fn mul(op: &Mul, views: Shared<'_, 2>) {
    zip_map([&op.a, &op.b], &op.output, views, |a, b| {
        let a = i32::from(a) - i32::from(op.a.zero_point);
        let b = i32::from(b) - i32::from(op.b.zero_point);
        let product = op.multiplier.apply(a * b).saturating_add(i32::from(op.output.zero_point));
        clamp_i8(product, op.activation.min, op.activation.max)
    });
}

/// A clamp.
pub fn clamp(op: &Clamp, views: Shared<'_, 1>) {
    let Activation { min, max } = op.activation;
    map(views, |value| clamp_i8(i32::from(value), min, max));
}

/// A table look-up.
pub fn lookup(table: &[u8; 256], views: Shared<'_, 1>) {
    map(views, |value| table[usize::from(value as u8 ^ 0x80)] as i8);
}

/// Applies `f` to each element, first to last.
fn map(views: Shared<'_, 1>, f: impl Fn(i8) -> i8) {
    let [input] = views.inputs;
    views.output.iter().zip(input).for_each(|(out, value)| out.set(f(value.get())));
}

/// Applies `f` to pairs of elements for some rows of the output, the elements of a side of 1 repeated.
fn zip_map(operands: [&Tensor; 2], output: &Tensor, views: Shared<'_, 2>, f: impl Fn(i8, i8) -> i8) {
    let row = output.row_len().max(1);
    // Without repetition a row is one run of elements.
    let even = operands.iter().all(|operand| operand.len() == output.len());
    let run = if even { row } else { (output.channels as usize).max(1) };
    let steps = operands.map(|operand| if even { Steps { row, pixel: 0, element: 1 } } else { Steps::new(operand) });
    let [a_steps, b_steps] = steps;
    let [a, b] = views.inputs;
    for (y, line) in views.rows.zip(views.output.chunks(row)) {
        for (x, pixel) in numbered(line.chunks(run)) {
            let mut at = [a_steps, b_steps].map(|steps| y.times(steps.row).plus(x.times(steps.pixel)));
            for out in pixel {
                let (Some(left), Some(right)) = (a.get(at[0]), b.get(at[1])) else { return };
                out.set(f(left.get(), right.get()));
                at = [at[0].plus(a_steps.element), at[1].plus(b_steps.element)];
            }
        }
    }
}

/// Distances in an operand; 0 along a side of 1.
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
            row: unless_one(tensor.height.into(), tensor.row_len()),
            pixel: unless_one(tensor.width.into(), tensor.channels as usize),
            element: unless_one(tensor.channels, 1),
        }
    }
}
