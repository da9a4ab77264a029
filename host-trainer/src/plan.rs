//! Places tensors and scratch in the arena.

use std::cmp::Reverse;
use std::fmt;

use no_std_infer::format::{ALIGN, Op, Tensor};

use crate::quantise::QuantModel;

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
    /// Plans a model's arena. Operators that allow it write over an input that dies with them; the logits stay intact
    /// to the end.
    ///
    /// # Panics
    /// When an operator reads a tensor that a later one makes.
    #[must_use]
    pub fn new(model: &QuantModel) -> Self {
        let (regions, groups) = regions(model);
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
            let tensors = match op {
                Op::Conv2d(op) | Op::DepthwiseConv2d(op) => {
                    op.scratch = scratch;
                    [Some(&mut op.input), Some(&mut op.output), None]
                }
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
            tensors.into_iter().flatten().for_each(|tensor| *tensor = self.place(*tensor));
        }
        ops
    }
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
fn regions(model: &QuantModel) -> (Vec<Region>, Vec<usize>) {
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
        let reused = op.inputs().find(|input| last_use[input.offset as usize] == step && input.len() == len);
        let group = match reused.filter(|_| op.in_place()) {
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

#[cfg(test)]
mod tests {
    use no_std_infer::fixed::Multiplier;
    use no_std_infer::format::{Activation, Add, Clamp, Conv2d, Layout, Pool2d, Reshape, Weights, Window};
    use proptest::prelude::*;

    use super::*;

    fn tensor(index: usize, channels: u32) -> Tensor {
        Tensor { offset: index as u32, height: 1, width: 1, channels, scale: 1.0, zero_point: 0 }
    }

    /// One operator from random numbers; it reads tensors made before it.
    fn op(tensors: &[Tensor], [kind, a, b, channels]: [usize; 4]) -> Op {
        let (input, activation) = (tensors[a % tensors.len()], Activation::NONE);
        let same = tensor(tensors.len(), input.channels);
        let other = tensor(tensors.len(), 1 + channels as u32);
        let twins: Vec<&Tensor> = tensors.iter().filter(|t| t.channels == input.channels).collect();
        let multiplier = Multiplier { mantissa: 0, shift: 0 };
        match kind {
            0 => Op::Clamp(Clamp { input, output: same, activation }),
            1 => Op::Reshape(Reshape { input, output: same }),
            2 => Op::Add(Add {
                a: input,
                b: *twins[b % twins.len()],
                output: same,
                a_multiplier: multiplier,
                b_multiplier: multiplier,
                output_multiplier: multiplier,
                activation,
            }),
            3 => Op::MaxPool2d(Pool2d { input, output: other, window: Window::square(1, 1), activation }),
            _ => Op::Conv2d(Conv2d {
                input,
                output: other,
                window: Window::square(1 + (b % 2) as u8, 1),
                weights: Weights { layout: Layout::Plain, weights: 0, channels: 0 },
                activation,
                scratch: 0,
            }),
        }
    }

    fn model(first: usize, numbers: &[[usize; 4]], logits: usize) -> QuantModel {
        let mut tensors = vec![tensor(0, 1 + first as u32)];
        let mut ops = Vec::new();
        for numbers in numbers {
            ops.push(op(&tensors, *numbers));
            tensors.push(*ops[ops.len() - 1].output());
        }
        QuantModel {
            names: vec![String::new(); ops.len()],
            constants: Vec::new(),
            input: tensors[0],
            logits: tensors[1 + logits % ops.len()],
            temperature: 1.0,
            notes: Vec::new(),
            ops,
        }
    }

    /// Runs the plan on a memory that knows for each byte who wrote it last.
    fn check(model: &QuantModel, plan: &Plan) -> Result<(), TestCaseError> {
        const SCRATCH: usize = usize::MAX;
        let mut memory = vec![None; plan.arena_len as usize];
        let ranges: Vec<_> = std::iter::once(model.input)
            .chain(model.ops.iter().map(|op| *op.output()))
            .map(|tensor| plan.place(tensor).range())
            .collect();
        memory[ranges[0].clone()].fill(Some(0));
        for (step, op) in model.ops.iter().enumerate() {
            let scratch = plan.scratch[step] as usize..(plan.scratch[step] + op.scratch_len()) as usize;
            let output = &ranges[step + 1];
            prop_assert!(scratch.start.is_multiple_of(ALIGN) && output.start.is_multiple_of(ALIGN));
            memory[scratch.clone()].fill(Some(SCRATCH));
            let before = memory.clone();
            memory[output.clone()].fill(Some(step + 1));
            prop_assert!(memory[scratch].iter().all(|owner| *owner == Some(SCRATCH)));
            for tensor in input_indices(op) {
                // In place, all bytes of the input belong to it until the output replaces them one by one.
                let in_place = op.in_place() && ranges[tensor] == *output;
                let seen = if in_place { &before } else { &memory };
                prop_assert!(seen[ranges[tensor].clone()].iter().all(|owner| *owner == Some(tensor)));
            }
        }
        let logits = model.logits.offset as usize;
        prop_assert!(memory[ranges[logits].clone()].iter().all(|owner| *owner == Some(logits)));
        Ok(())
    }

    proptest! {
        #[test]
        fn every_operator_reads_what_its_producer_wrote(
            first in 0_usize..200,
            numbers in prop::collection::vec([0_usize..6, 0_usize..99, 0_usize..99, 0_usize..200], 1..20),
            logits in 0_usize..20,
        ) {
            let model = model(first, &numbers, logits);
            let plan = Plan::new(&model);
            prop_assert!(plan.lower_bound <= plan.arena_len);
            check(&model, &plan)?;
        }
    }

    #[test]
    fn an_add_writes_over_its_dying_summand_and_a_chain_needs_two_buffers() {
        // A pooling of 160 bytes, then another of its output, then their sum.
        let numbers = [[3, 0, 0, 159], [3, 1, 0, 159], [2, 1, 1, 0], [3, 3, 0, 3]];
        let model = model(0, &numbers, 3);
        let plan = Plan::new(&model);
        assert!(plan.tensors[3] == plan.tensors[1] || plan.tensors[3] == plan.tensors[2]);
        assert_eq!((plan.arena_len, plan.lower_bound), (320, 320));
        assert_eq!(plan.to_string(), "arena 320 bytes (lower bound 320)");
    }

    #[test]
    fn the_shadow_memory_notices_an_overlap() {
        let model = model(0, &[[3, 0, 0, 159], [3, 1, 0, 159]], 1);
        let mut plan = Plan::new(&model);
        plan.tensors[2] = plan.tensors[1];
        assert!(check(&model, &plan).is_err());
    }

    #[test]
    fn the_search_is_close_to_the_lower_bound() {
        let mut random = 7_u32;
        let (mut planned, mut bound) = (0, 0);
        for _ in 0..200 {
            let numbers: Vec<[usize; 4]> = (0..15)
                .map(|_| {
                    [6, 99, 99, 200].map(|below| {
                        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        (random >> 16) as usize % below
                    })
                })
                .collect();
            let plan = Plan::new(&model(100, &numbers, 14));
            planned += plan.arena_len;
            bound += plan.lower_bound;
        }
        assert!(f64::from(planned) < 1.02 * f64::from(bound), "{planned} {bound}");
    }
}
