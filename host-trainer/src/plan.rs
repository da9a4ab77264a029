//! Places tensors and scratch in the arena.

use std::cmp::Reverse;
use std::fmt;

use no_std_infer::format::{ALIGN, Op, Tensor};

use crate::quantise::QuantModel;

#[cfg(test)]
pub(crate) mod tests;

/// Swaps that the search tries after the fixed orderings.
const SWAPS: u32 = 2000;

/// Where everything lies. Offsets are multiples of 16.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Offset of each tensor: the input, then the output of each operator.
    pub tensors: Vec<u32>,
    /// Offset of each operator's scratch; 0 where it needs none.
    pub scratch: Vec<u32>,
    /// Bytes that all of it takes.
    pub arena_len: u32,
    /// Bytes that are alive at the same time at the worst operator: no plan takes less.
    pub lower_bound: u32,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arena {} bytes (lower bound {})", self.arena_len, self.lower_bound)
    }
}

impl Plan {
    /// Plans a model's arena: the shortest of several placements. Operators that allow it write over an input that dies
    /// with them; the logits stay intact to the end. The order of the operators is
    /// [`schedule_model`](crate::schedule::schedule_model)'s business.
    ///
    /// # Panics
    /// When an operator reads a tensor that a later one makes.
    #[must_use]
    pub fn new(model: &QuantModel) -> Self {
        let [first, second] = [InPlace::First, InPlace::Last].map(|choice| Self::with(model, choice));
        if second.arena_len < first.arena_len { second } else { first }
    }

    fn with(model: &QuantModel, choice: InPlace) -> Self {
        let (regions, groups) = regions(model, choice);
        let lower_bound = lower_bound(&regions, model.ops.len());
        let (offsets, arena_len) = best_placement(&regions, lower_bound);
        let tensors: Vec<u32> = groups.iter().map(|&group| offsets[group]).collect();
        let mut scratch = offsets[regions.len() - model.ops.iter().filter(|op| op.scratch_len() > 0).count()..].iter();
        let scratch = model.ops.iter().map(|op| if op.scratch_len() > 0 { *scratch.next().unwrap_or(&0) } else { 0 });
        Self { tensors, scratch: scratch.collect(), arena_len, lower_bound }
    }

    /// A tensor at its place.
    ///
    /// # Panics
    /// When the tensor's `offset` is not an index into [`tensors`](Self::tensors).
    #[must_use]
    pub fn place(&self, tensor: Tensor) -> Tensor {
        Tensor { offset: self.tensors[tensor.offset as usize], ..tensor }
    }

    /// The operators with all tensors and scratch at their places.
    ///
    /// # Panics
    /// When this is not the plan of these operators.
    #[must_use]
    pub fn apply(&self, ops: &[Op]) -> Vec<Op> {
        let mut ops = ops.to_vec();
        for (op, &scratch) in ops.iter_mut().zip(&self.scratch) {
            if let Op::Conv2d(op) | Op::DepthwiseConv2d(op) = op {
                op.scratch = scratch;
            }
            map_tensors(op, |tensor| *tensor = self.place(*tensor));
        }
        ops
    }
}

/// Calls `f` for each tensor that an operator reads or makes.
pub(crate) fn map_tensors(op: &mut Op, f: impl FnMut(&mut Tensor)) {
    let tensors = match op {
        Op::Conv2d(op) | Op::DepthwiseConv2d(op) => [Some(&mut op.input), Some(&mut op.output), None],
        Op::Dense(op) => [Some(&mut op.input), Some(&mut op.output), None],
        Op::MaxPool2d(op) | Op::AveragePool2d(op) => [Some(&mut op.input), Some(&mut op.output), None],
        Op::Add(op) => [Some(&mut op.a), Some(&mut op.b), Some(&mut op.output)],
        Op::Clamp(op) => [Some(&mut op.input), Some(&mut op.output), None],
        Op::Lookup(op) => [Some(&mut op.input), Some(&mut op.output), None],
        Op::Softmax(op) => [Some(&mut op.input), Some(&mut op.output), None],
        Op::Reshape(op) => [Some(&mut op.input), Some(&mut op.output), None],
        Op::Mul(op) => [Some(&mut op.a), Some(&mut op.b), Some(&mut op.output)],
        Op::Mean(op) => [Some(&mut op.input), Some(&mut op.output), None],
        Op::Pad(op) => [Some(&mut op.input), Some(&mut op.output), None],
        Op::Concat(op) => [Some(&mut op.a), Some(&mut op.b), Some(&mut op.output)],
        Op::Constant(op) => [Some(&mut op.output), None, None],
    };
    tensors.into_iter().flatten().for_each(f);
}

/// Which input an operator writes over, where several die with it.
#[derive(Clone, Copy, Debug)]
enum InPlace {
    First,
    Last,
}

/// Bytes that are in use from one operator to another, both included.
#[derive(Clone, Copy, Debug)]
struct Region {
    first: usize,
    last: usize,
    len: u32,
}

impl Region {
    fn meets(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

fn input_indices(op: &Op) -> impl Iterator<Item = usize> {
    op.inputs().map(|tensor| tensor.offset as usize)
}

fn aligned(len: usize) -> u32 {
    len.next_multiple_of(ALIGN) as u32
}

/// Regions of tensors, those that share their bytes in place as one, then of scratch; and each tensor's region.
fn regions(model: &QuantModel, choice: InPlace) -> (Vec<Region>, Vec<usize>) {
    let ops = &model.ops;
    let mut last_use: Vec<usize> = (0..=ops.len()).map(|tensor| tensor.saturating_sub(1)).collect();
    for (step, op) in ops.iter().enumerate() {
        input_indices(op).for_each(|tensor| last_use[tensor] = step);
    }
    // One step after the run.
    last_use[model.logits.offset as usize] = ops.len();

    let mut regions = vec![Region { first: 0, last: last_use[0], len: aligned(model.input.len()) }];
    let mut groups = vec![0];
    for (step, op) in ops.iter().enumerate() {
        let len = op.output().len();
        let fits = |input: &&Tensor| op.in_place() && last_use[input.offset as usize] == step && input.len() == len;
        let mut dying = op.inputs().filter(fits);
        let reused = match choice {
            InPlace::First => dying.next(),
            InPlace::Last => dying.last(),
        };
        let group = match reused {
            Some(tensor) => groups[tensor.offset as usize],
            None => {
                regions.push(Region { first: step, last: step, len: aligned(len) });
                regions.len() - 1
            }
        };
        regions[group].last = last_use[step + 1];
        groups.push(group);
    }
    let scratch = ops.iter().enumerate().filter(|(_, op)| op.scratch_len() > 0);
    regions.extend(scratch.map(|(step, op)| Region {
        first: step,
        last: step,
        len: aligned(op.scratch_len() as usize),
    }));
    (regions, groups)
}

fn lower_bound(regions: &[Region], steps: usize) -> u32 {
    let alive = |step| regions.iter().filter(move |region| region.first <= step && step <= region.last);
    (0..steps).map(|step| alive(step).map(|region| region.len).sum()).max().unwrap_or(0)
}

/// The shortest of first-fit placements in several orders, improved by swaps while above the lower bound.
fn best_placement(regions: &[Region], lower_bound: u32) -> (Vec<u32>, u32) {
    let sorted = |key: &dyn Fn(&Region) -> Reverse<u64>| {
        let mut order: Vec<usize> = (0..regions.len()).collect();
        order.sort_by_key(|&region| key(&regions[region]));
        order
    };
    let duration = |region: &Region| (region.last - region.first + 1) as u64;
    let orders = [
        sorted(&|region| Reverse(u64::from(region.len))),
        sorted(&|region| Reverse(u64::from(region.len) * duration(region))),
        sorted(&|region| Reverse(duration(region))),
        sorted(&|region| Reverse(u64::MAX - region.first as u64)),
        sorted(&|region| Reverse(region.last as u64)),
    ];
    let placed = orders.map(|order| (first_fit(regions, &order), order));
    let [mut best, others @ ..] = placed;
    for other in others {
        if other.0.1 < best.0.1 {
            best = other;
        }
    }
    let (mut placement, mut order) = best;
    let mut random = 1_u32;
    let mut pick = || {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        random as usize % regions.len()
    };
    for _ in 0..SWAPS {
        if placement.1 == lower_bound {
            break;
        }
        let (a, b) = (pick(), pick());
        order.swap(a, b);
        let candidate = first_fit(regions, &order);
        if candidate.1 <= placement.1 {
            placement = candidate;
        } else {
            order.swap(a, b);
        }
    }
    placement
}

/// Gives each region in turn the lowest gap among those already placed that live at the same time.
fn first_fit(regions: &[Region], order: &[usize]) -> (Vec<u32>, u32) {
    let mut offsets = vec![0; regions.len()];
    // In the order of their offsets.
    let mut placed: Vec<usize> = Vec::with_capacity(regions.len());
    let mut end = 0;
    for &index in order {
        let region = &regions[index];
        let mut offset = 0;
        for &other in placed.iter().filter(|&&other| region.meets(&regions[other])) {
            if offsets[other] >= offset + region.len {
                break;
            }
            offset = offset.max(offsets[other] + regions[other].len);
        }
        offsets[index] = offset;
        end = end.max(offset + region.len);
        placed.insert(placed.partition_point(|&other| offsets[other] <= offset), index);
    }
    (offsets, end)
}
