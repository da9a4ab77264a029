//! Runs of operators that go stripe by stripe, so that the tensors between them never exist whole.
//!
//! A stripe of an operator is an operator of its own, on some rows of its tensors, with the padding that falls into them.
//! Rows that the next stripe reads again are kept: nothing is computed twice, but they are moved to the start of
//! their buffer when that is full. In the second layer of MobileNetV1 that takes a twentieth of what computing a row again would.

use no_std_infer::format::{Layout, Op, Reshape, Tensor};
use no_std_infer::operators::Form;

use crate::layout::program::{Program, Step};
use crate::quantise::QuantModel;

mod choose;
mod layers;

pub use choose::{choose, price};
pub use layers::Layers;

/// Operators that run stripe by stripe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// The first operator.
    pub first: usize,
    /// The last one.
    pub last: usize,
    /// Rows of the last one's output that a stripe makes, 1 or more.
    pub rows: u16,
}

/// A model with some of its operators in stripes; the groups follow one another and share no operator.
///
/// # Panics
/// When an operator of a group cannot run in stripes.
#[must_use]
pub fn program(model: &QuantModel, groups: &[Group]) -> Program {
    let mut program = Program::empty(model);
    let mut next = 0;
    for group in groups {
        program.add_whole(model, next..group.first);
        Stripes::new(model, *group).run(&mut program);
        next = group.last + 1;
    }
    program.add_whole(model, next..model.ops.len());
    program
}

/// Height of kernel with dilation, stride and padding of an operator whose output rows lie over rows of its inputs.
fn window(op: &Op) -> [usize; 3] {
    let w = match op {
        Op::Conv2d(op) | Op::DepthwiseConv2d(op) => &op.window,
        Op::MaxPool2d(op) | Op::AveragePool2d(op) => &op.window,
        _ => return [1, 1, 0],
    };
    [(usize::from(w.kernel_h) - 1) * usize::from(w.dilation_h) + 1, w.stride_h.into(), w.pad_top.into()]
}

/// First input row under output row `row`.
fn first_under(op: &Op, row: usize) -> usize {
    let [_, stride, pad] = window(op);
    (row * stride).saturating_sub(pad)
}

/// One past the last input row under the output rows below `end`, of `height`.
fn end_under(op: &Op, end: usize, height: usize) -> usize {
    let [kernel, stride, pad] = window(op);
    if end == 0 { 0 } else { ((end - 1) * stride + kernel).saturating_sub(pad).min(height) }
}

/// Rows that the kernels make together: with fewer at a time they do work in vain.
fn together(op: &Op) -> usize {
    match op {
        Op::Conv2d(op) => Form::of(op.weights.layout).map_or(1, Form::tile),
        Op::DepthwiseConv2d(op) if op.weights.layout == Layout::Packed && op.window.stride_h == 1 => 2,
        _ => 1,
    }
}

/// True when rows of an operator's output depend on rows of its inputs only.
#[must_use]
pub fn goes_in_stripes(op: &Op) -> bool {
    let kind = matches!(
        op,
        Op::Conv2d(_)
            | Op::DepthwiseConv2d(_)
            | Op::MaxPool2d(_)
            | Op::AveragePool2d(_)
            | Op::Add(_)
            | Op::Mul(_)
            | Op::Clamp(_)
            | Op::Lookup(_)
    );
    kind && (window(op) != [1, 1, 0] || op.inputs().all(|input| input.height == op.output().height))
}

/// The state of a group while its stripes are laid out. Vectors are indexed by operator within the group.
struct Stripes<'m> {
    model: &'m QuantModel,
    group: Group,
    /// Whether the output is needed whole: after the group.
    whole: Vec<bool>,
    /// Rows of the output that have been made.
    made: Vec<usize>,
    /// The row that the output's buffer begins with.
    base: Vec<usize>,
    /// Rows that the buffer holds.
    room: Vec<usize>,
}

impl<'m> Stripes<'m> {
    fn new(model: &'m QuantModel, group: Group) -> Self {
        let count = group.last + 1 - group.first;
        let is_whole = |index: usize| {
            let tensor = (group.first + index + 1) as u32;
            let later = model.ops[group.last + 1..].iter().flat_map(|op| op.inputs().map(|input| input.offset));
            index + 1 == count || tensor == model.logits.offset || later.into_iter().any(|read| read == tensor)
        };
        let whole: Vec<bool> = (0..count).map(is_whole).collect();
        let zeros = vec![0; count];
        let mut stripes = Self { model, group, whole, made: zeros.clone(), base: zeros.clone(), room: zeros };
        stripes.measure();
        stripes
    }

    fn op(&self, index: usize) -> &'m Op {
        &self.model.ops[self.group.first + index]
    }

    fn height(&self, index: usize) -> usize {
        self.op(index).output().height.into()
    }

    fn stripes(&self) -> usize {
        self.height(self.whole.len() - 1).div_ceil(self.group.rows.into())
    }

    /// The operators of the group that read the output of operator `index`.
    fn readers(&self, index: usize) -> impl Iterator<Item = usize> + use<'_, 'm> {
        let tensor = (self.group.first + index + 1) as u32;
        (index + 1..self.whole.len()).filter(move |&at| self.op(at).inputs().any(|input| input.offset == tensor))
    }

    /// How many rows of each output have been made after stripe `stripe`.
    fn targets(&self, stripe: usize) -> Vec<usize> {
        let count = self.whole.len();
        let last = self.height(count - 1);
        let end = ((stripe + 1) * usize::from(self.group.rows)).min(last);
        let mut targets = vec![0; count];
        for index in (0..count).rev() {
            let height = self.height(index);
            let share = if self.whole[index] || end == last { (height * end).div_ceil(last) } else { 0 };
            let needs = self.readers(index).map(|at| end_under(self.op(at), targets[at], height));
            targets[index] = needs.fold(share, usize::max).next_multiple_of(together(self.op(index))).min(height);
        }
        targets
    }

    /// The first row of an output that is still to be read, at most `made`.
    fn still_read(&self, index: usize) -> usize {
        let unread = self.readers(index).filter(|&at| self.made[at] < self.height(at));
        let first = unread.map(|at| first_under(self.op(at), self.made[at]));
        if self.whole[index] { 0 } else { first.fold(self.made[index], usize::min) }
    }

    /// Goes through all stripes to see how many rows each buffer must hold.
    fn measure(&mut self) {
        for stripe in 0..self.stripes() {
            for (index, target) in self.targets(stripe).into_iter().enumerate() {
                self.room[index] = self.room[index].max(target - self.still_read(index));
                self.made[index] = target;
            }
        }
        self.made.fill(0);
    }

    fn run(mut self, program: &mut Program) {
        for (index, &rows) in self.room.iter().enumerate() {
            program.buffers[self.group.first + index + 1] = rows * row_len(self.op(index).output());
        }
        for stripe in 0..self.stripes() {
            for (index, target) in self.targets(stripe).into_iter().enumerate() {
                if target - self.base[index] > self.room[index] {
                    program.steps.extend(self.move_rows(index));
                }
                if target > self.made[index] {
                    program.steps.push(self.stripe(index, target));
                }
                self.made[index] = target;
            }
        }
    }

    /// Moves the rows that are still to be read to the start of the buffer; `None` where there are none.
    fn move_rows(&mut self, index: usize) -> Option<Step> {
        let (kept, made, base) = (self.still_read(index), self.made[index], self.base[index]);
        self.base[index] = kept;
        let rows = Tensor { height: (made - kept) as u16, ..*self.op(index).output() };
        let start = ((kept - base) * row_len(&rows)) as u32;
        let op = Op::Reshape(Reshape { input: rows, output: rows });
        (made > kept).then_some(Step { op, starts: [start, 0, 0], layer: None })
    }

    /// The rows of an output from those that have been made to `end`.
    fn stripe(&self, index: usize, end: usize) -> Step {
        let (mut op, first) = (*self.op(index), self.made[index]);
        if let Op::Conv2d(conv) | Op::DepthwiseConv2d(conv) = &mut op {
            conv.window.pad_top = outside(conv.window.pad_top, conv.window.stride_h, first);
        }
        if let Op::MaxPool2d(pool) | Op::AveragePool2d(pool) = &mut op {
            pool.window.pad_top = outside(pool.window.pad_top, pool.window.stride_h, first);
        }
        let mut starts = [0; 3];
        let (mut slots, mut left) = (starts.iter_mut(), op.inputs().count());
        op.map_tensors(|tensor| {
            let height = usize::from(tensor.height);
            let rows = if left > 0 {
                first_under(self.op(index), first)..end_under(self.op(index), end, height)
            } else {
                first..end
            };
            left = left.saturating_sub(1);
            let made_here = (tensor.offset as usize).checked_sub(self.group.first + 1);
            let base = made_here.and_then(|made| self.base.get(made)).copied().unwrap_or(0);
            tensor.height = rows.len() as u16;
            if let Some(slot) = slots.next() {
                *slot = ((rows.start - base) * row_len(tensor)) as u32;
            }
        });
        Step { op, starts, layer: Some(self.group.first + index) }
    }
}

/// Rows of padding above output row `first`.
fn outside(pad: u16, stride: u16, first: usize) -> u16 {
    usize::from(pad).saturating_sub(first * usize::from(stride)) as u16
}

fn row_len(tensor: &Tensor) -> usize {
    usize::from(tensor.width) * tensor.channels as usize
}
