//! Places tensors and scratch in the arena.

use std::cmp::Reverse;
use std::fmt;
use std::ops::{Range, RangeInclusive};

use no_std_infer::format::{ALIGN, Op, Tensor};
use no_std_infer::operators::Overlap;

use crate::layout::program::{Program, Step};
use crate::quantise::QuantModel;

#[cfg(test)]
pub(crate) mod tests;

/// Most pairs of regions alive together that all swaps look at; where there are more, fewer swaps are tried.
const PAIRS: u64 = 1 << 30;
/// Swaps that the search tries after the fixed orderings.
const SWAPS: u32 = 2000;
/// The same of a rough plan.
const ROUGH_SWAPS: u32 = 40;

/// Where everything lies. Offsets are multiples of 16.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Offset of each tensor: the input, then the output of each operator.
    pub tensors: Vec<u32>,
    /// Offset of the scratch of each step; 0 where it needs none.
    pub scratch: Vec<u32>,
    /// Bytes that all of it takes.
    pub arena_len: u32,
    /// Bytes that are alive at the same time at the worst step: no plan takes less.
    pub lower_bound: u32,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arena {} bytes (lower bound {})", self.arena_len, self.lower_bound)
    }
}

impl Plan {
    /// Plans the arena of a model whose operators run whole. Their order is
    /// [`schedule_model`](crate::layout::schedule::schedule_model)'s business.
    ///
    /// # Panics
    /// When an operator reads a tensor that a later one makes.
    #[must_use]
    pub fn new(model: &QuantModel) -> Self {
        Self::of(&Program::whole(model))
    }

    /// Plans a program's arena: the shortest of several placements. Where [`Op::overlap`] allows it and no later step reads
    /// what is overwritten, an output lies over a tensor that dies; the logits stay intact to the end.
    #[must_use]
    pub fn of(program: &Program) -> Self {
        Self::after(program, SWAPS)
    }

    /// A plan that takes less time to make and may be longer.
    #[must_use]
    pub fn rough(program: &Program) -> Self {
        Self::after(program, ROUGH_SWAPS)
    }

    fn after(program: &Program, swaps: u32) -> Self {
        let regions = regions(program);
        let lower_bound = lower_bound(&regions, program.steps.len());
        let (offsets, arena_len) = best_placement(&regions, lower_bound, swaps);
        let (tensors, scratch) = offsets.split_at(program.buffers.len());
        let mut scratch = scratch.iter();
        let mut next = |op: &Op| if op.scratch_len() > 0 { *scratch.next().unwrap_or(&0) } else { 0 };
        let scratch = program.steps.iter().map(|step| next(&step.op)).collect();
        Self { tensors: tensors.to_vec(), scratch, arena_len, lower_bound }
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
    /// When this is not the plan of this program.
    #[must_use]
    pub fn apply(&self, program: &Program) -> Vec<Op> {
        let place = |(step, &scratch): (&Step, &u32)| {
            let mut op = step.op;
            if let Op::Conv2d(op) | Op::DepthwiseConv2d(op) = &mut op {
                op.scratch = scratch;
            }
            let mut starts = step.starts.into_iter();
            op.map_tensors(|tensor| {
                *tensor = self.place(*tensor);
                tensor.offset += starts.next().unwrap_or(0);
            });
            op
        };
        program.steps.iter().zip(&self.scratch).map(place).collect()
    }
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

/// Regions of tensors, then of scratch where a step needs some.
fn regions(program: &Program) -> Vec<Region> {
    let Program { steps, buffers, logits } = program;
    let mut uses: Vec<Option<(usize, usize)>> = vec![None; buffers.len()];
    // The caller writes the input.
    uses[0] = Some((0, 0));
    for (index, step) in steps.iter().enumerate() {
        for tensor in step.op.inputs().chain([step.op.output()]) {
            let (first, last) = uses[tensor.offset as usize].get_or_insert((index, index));
            (*first, *last) = ((*first).min(index), index);
        }
    }
    let mut regions: Vec<Region> = uses
        .into_iter()
        .zip(buffers)
        .map(|(uses, &len)| uses.map_or(Region::new(0..=0, 0), |(first, last)| Region::new(first..=last, len)))
        .collect();
    // One step after the run.
    regions[*logits].last = steps.len();
    for above in 1..regions.len() {
        let dying = |&below: &usize| {
            let written = below == 0 || regions[below].first < regions[above].first;
            written && regions[below].last >= regions[above].first
        };
        let below = (0..regions.len()).filter(|&below| below != above && below != *logits).filter(dying);
        let over = below.filter_map(|below| {
            let steps = &steps[regions[above].first..=regions[below].last];
            Some((below, aligned(overlap(steps, above, below)?)))
        });
        regions[above].over = over.collect();
    }
    let scratch = steps.iter().enumerate().filter(|(_, step)| step.op.scratch_len() > 0);
    regions.extend(scratch.map(|(index, step)| Region::new(index..=index, step.op.scratch_len() as usize)));
    regions
}

/// How one tensor's buffer may lie over another's, which is last read in the last of `steps`; the first of them is the first to
/// write the one above. Whatever is written must lie below all that later steps read, and over what the same step reads
/// as its operator allows.
fn overlap(steps: &[Step], above: usize, below: usize) -> Option<Overlap> {
    let mut unread = i64::MAX;
    let (mut most, mut multiple, mut extent) = (i64::MAX, 1, 0);
    for step in steps.iter().rev() {
        let (output, start) = step.output();
        let [start, end] = [i64::from(start), i64::from(start) + output.len() as i64];
        let reads = || step.inputs().filter(|(tensor, _)| tensor.offset as usize == below);
        if output.offset as usize == below {
            return None;
        }
        if output.offset as usize == above {
            (most, extent) = (most.min(unread.saturating_sub(end)), extent.max(end));
            for (tensor, read) in reads() {
                let Some(Overlap { most: allowed, step }) = step.op.overlap(tensor) else {
                    most = most.min(i64::from(read) - end);
                    continue;
                };
                let in_step = multiple == 1 || step == 1 || multiple == step;
                if !in_step || start % i64::from(step) != 0 || !read.is_multiple_of(step) {
                    return None;
                }
                multiple = multiple.max(step);
                most = most.min(allowed.saturating_add(i64::from(read) - start));
            }
        }
        unread = reads().map(|(_, read)| i64::from(read)).fold(unread, i64::min);
    }
    (most > -extent).then_some(Overlap { most, step: multiple })
}

/// The same for regions whose offsets are multiples of [`ALIGN`].
fn aligned(overlap: Overlap) -> Overlap {
    let common = ALIGN as u32 >> overlap.step.trailing_zeros().min(ALIGN.trailing_zeros());
    Overlap { step: overlap.step.saturating_mul(common), ..overlap }
}

/// Bytes alive at the worst step, those less that regions share with those that they lie over.
fn lower_bound(regions: &[Region], steps: usize) -> u32 {
    worst(regions, steps).1
}

/// The step at which most bytes are alive, as [`Plan::lower_bound`] counts them, and how many.
#[must_use]
pub fn worst_step(program: &Program) -> (usize, u32) {
    worst(&regions(program), program.steps.len())
}

fn worst(regions: &[Region], steps: usize) -> (usize, u32) {
    let bytes = |step: usize| -> u32 {
        let alive = regions.iter().filter(|region| region.first <= step && step <= region.last);
        alive.map(|region| region.len - most_shared(region, regions, step)).sum()
    };
    (0..steps).map(|step| (step, bytes(step))).rev().max_by_key(|(_, bytes)| *bytes).unwrap_or_default()
}

/// The most bytes that a region can share at a step with those that it may lie over.
fn most_shared(region: &Region, regions: &[Region], step: usize) -> u32 {
    let alive = region.over.iter().filter(|(below, _)| regions[*below].last >= step);
    let shared = |&(below, overlap): &(usize, Overlap)| {
        let distance = overlap.most.min(0).div_euclid(ALIGN as i64).saturating_mul(ALIGN as i64);
        i64::from(region.len).saturating_add(distance).clamp(0, i64::from(regions[below].len)) as u32
    };
    alive.map(shared).sum::<u32>().min(region.len)
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
fn best_placement(regions: &[Region], lower_bound: u32, swaps: u32) -> (Vec<u32>, u32) {
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
    let pairs: u64 = neighbours.iter().map(|regions| regions.len() as u64).sum();
    let swaps = u64::from(swaps).min(PAIRS / pairs.max(1));
    for _ in 0..swaps {
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
