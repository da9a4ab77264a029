//! Places tensors and scratch in the arena.

use std::cmp::Reverse;
use std::fmt;
use std::ops::{Range, RangeInclusive};

use no_std_infer::format::{ALIGN, Op, Tensor};
use no_std_infer::ops::Overlap;

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
    /// Plans a model's arena: the shortest of several placements. Where [`Op::overlap`] allows it, an output lies over an
    /// input that dies with its operator; the logits stay intact to the end. The order of the operators is
    /// [`schedule_model`](crate::schedule::schedule_model)'s business.
    ///
    /// # Panics
    /// When an operator reads a tensor that a later one makes.
    #[must_use]
    pub fn new(model: &QuantModel) -> Self {
        let regions = regions(model);
        let lower_bound = lower_bound(&regions, model.ops.len());
        let (offsets, arena_len) = best_placement(&regions, lower_bound);
        let (tensors, scratch) = offsets.split_at(model.ops.len() + 1);
        let mut scratch = scratch.iter();
        let scratch = model.ops.iter().map(|op| if op.scratch_len() > 0 { *scratch.next().unwrap_or(&0) } else { 0 });
        Self { tensors: tensors.to_vec(), scratch: scratch.collect(), arena_len, lower_bound }
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

/// Bytes that are in use from one operator to another, both included.
#[derive(Clone, Debug)]
struct Region {
    first: usize,
    last: usize,
    len: u32,
    /// The earlier regions that it may lie over, and how.
    over: Vec<(usize, Overlap)>,
}

impl Region {
    fn new(steps: RangeInclusive<usize>, len: usize) -> Self {
        Self { first: *steps.start(), last: *steps.end(), len: len.next_multiple_of(ALIGN) as u32, over: Vec::new() }
    }

    fn meets(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

fn input_indices(op: &Op) -> impl Iterator<Item = usize> {
    op.inputs().map(|tensor| tensor.offset as usize)
}

/// Regions of tensors, then of scratch where an operator needs some.
fn regions(model: &QuantModel) -> Vec<Region> {
    let ops = &model.ops;
    let mut last_use: Vec<usize> = (0..=ops.len()).map(|tensor| tensor.saturating_sub(1)).collect();
    for (step, op) in ops.iter().enumerate() {
        input_indices(op).for_each(|tensor| last_use[tensor] = step);
    }
    // One step after the run.
    last_use[model.logits.offset as usize] = ops.len();

    let mut regions = vec![Region::new(0..=last_use[0], model.input.len())];
    for (step, op) in ops.iter().enumerate() {
        let mut region = Region::new(step..=last_use[step + 1], op.output().len());
        let dying = op.inputs().filter(|input| last_use[input.offset as usize] == step);
        region.over = dying.filter_map(|input| Some((input.offset as usize, aligned(op.overlap(input)?)))).collect();
        regions.push(region);
    }
    let scratch = ops.iter().enumerate().filter(|(_, op)| op.scratch_len() > 0);
    regions.extend(scratch.map(|(step, op)| Region::new(step..=step, op.scratch_len() as usize)));
    regions
}

/// The same for regions whose offsets are multiples of [`ALIGN`].
fn aligned(overlap: Overlap) -> Overlap {
    let common = ALIGN as u32 >> overlap.step.trailing_zeros().min(ALIGN.trailing_zeros());
    Overlap { step: overlap.step.saturating_mul(common), ..overlap }
}

/// Bytes alive at the worst operator, those less that an output shares with the input that it covers best.
fn lower_bound(regions: &[Region], steps: usize) -> u32 {
    let alive = |step| regions.iter().filter(move |region| region.first <= step && step <= region.last);
    let bytes = |step| {
        let shared = alive(step).filter(|region| region.first == step).map(|region| most_shared(region, regions));
        alive(step).map(|region| region.len).sum::<u32>() - shared.max().unwrap_or(0)
    };
    (0..steps).map(bytes).max().unwrap_or(0)
}

/// The most bytes that a region can share with one that it may lie over.
fn most_shared(region: &Region, regions: &[Region]) -> u32 {
    let shared = |&(input, overlap): &(usize, Overlap)| {
        let distance = overlap.most.min(0).div_euclid(ALIGN as i64) * ALIGN as i64;
        i64::from(region.len).saturating_add(distance).clamp(0, i64::from(regions[input].len)) as u32
    };
    region.over.iter().map(shared).max().unwrap_or(0)
}

/// A region that must not be touched, or only as its [`Overlap`] allows.
#[derive(Clone, Copy, Debug)]
enum Neighbour {
    Apart,
    /// The one to be placed may lie over this one.
    Below(Overlap),
    /// This one may lie over the one to be placed.
    Above(Overlap),
}

impl Neighbour {
    /// The lowest multiple of [`ALIGN`] from `offset` on where `len` bytes may begin beside this one's `range`.
    fn free_from(self, range: &Range<u32>, offset: u32, len: u32) -> u32 {
        if offset >= range.end || offset + len <= range.start {
            return offset;
        }
        let [from, start] = [offset, range.start].map(i64::from);
        let candidate = match self {
            Neighbour::Apart => None,
            Neighbour::Below(overlap) => {
                let next = from + (start - from).rem_euclid(overlap.step.into());
                Some(next).filter(|next| overlap.allows(next - start))
            }
            Neighbour::Above(overlap) => {
                let least = from.max(start.saturating_sub(overlap.most)).max(0) as u32;
                let least = i64::from(least.next_multiple_of(ALIGN as u32));
                Some(least + (start - least).rem_euclid(overlap.step.into()))
            }
        };
        candidate.and_then(|next| u32::try_from(next).ok()).map_or(range.end, |next| next.min(range.end))
    }
}

/// For each region those that are alive at the same time.
fn neighbours(regions: &[Region]) -> Vec<Vec<(usize, Neighbour)>> {
    let over = |above: usize, below: usize| regions[above].over.iter().find(|(region, _)| *region == below);
    let relation = |region: usize, other: usize| match (over(region, other), over(other, region)) {
        (Some((_, overlap)), _) => Neighbour::Below(*overlap),
        (_, Some((_, overlap))) => Neighbour::Above(*overlap),
        _ => Neighbour::Apart,
    };
    let count = regions.len();
    let of = |region: usize| {
        let meeting = (0..count).filter(|&other| other != region && regions[region].meets(&regions[other]));
        meeting.map(|other| (other, relation(region, other))).collect()
    };
    (0..count).map(of).collect()
}

/// The shortest of first-fit placements in several orders, improved by swaps while above the lower bound.
fn best_placement(regions: &[Region], lower_bound: u32) -> (Vec<u32>, u32) {
    let sorted = |key: &dyn Fn(&Region) -> Reverse<u64>| {
        let mut order: Vec<usize> = (0..regions.len()).collect();
        order.sort_by_key(|&region| key(&regions[region]));
        order
    };
    let neighbours = neighbours(regions);
    let duration = |region: &Region| (region.last - region.first + 1) as u64;
    let orders = [
        sorted(&|region| Reverse(u64::from(region.len))),
        sorted(&|region| Reverse(u64::from(region.len) * duration(region))),
        sorted(&|region| Reverse(duration(region))),
        sorted(&|region| Reverse(u64::MAX - region.first as u64)),
        sorted(&|region| Reverse(region.last as u64)),
    ];
    let placed = orders.map(|order| (first_fit(regions, &neighbours, &order), order));
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
        let candidate = first_fit(regions, &neighbours, &order);
        if candidate.1 <= placement.1 {
            placement = candidate;
        } else {
            order.swap(a, b);
        }
    }
    placement
}

/// Gives each region in turn the lowest place beside those already placed that live at the same time.
fn first_fit(regions: &[Region], neighbours: &[Vec<(usize, Neighbour)>], order: &[usize]) -> (Vec<u32>, u32) {
    let mut places: Vec<Option<Range<u32>>> = vec![None; regions.len()];
    let mut end = 0;
    for &index in order {
        let len = regions[index].len;
        let next = |offset: u32| {
            let placed =
                neighbours[index].iter().filter_map(|(other, relation)| Some((places[*other].as_ref()?, relation)));
            placed.map(|(range, relation)| relation.free_from(range, offset, len)).max().unwrap_or(offset)
        };
        let mut offset = 0;
        while next(offset) > offset {
            offset = next(offset);
        }
        end = end.max(offset + len);
        places[index] = Some(offset..offset + len);
    }
    (places.into_iter().map(|place| place.map_or(0, |range| range.start)).collect(), end)
}
