//! Which operators go in stripes.

use no_std_infer::format::{Layout, Op};
use no_std_infer::operators::{Form, Strip, rows_together};

use super::{Group, goes_in_stripes, program};
use crate::layout::arena::{Plan, worst_step};
use crate::layout::pack::Price;
use crate::layout::program::Program;
use crate::quantise::QuantModel;

/// Most operators of a group.
const LONGEST: usize = 8;
/// Most stripes of a group: for each of them parsing looks back to what was there before the group, and the search lays out
/// every number of them.
const STRIPES_MAX: u16 = 128;

/// The groups with which a model's arena takes at most `budget` bytes, or as few as the search finds, at the least price:
/// the group that helps most at the worst operator, again and again.
#[must_use]
pub fn choose(model: &QuantModel, budget: u32) -> Vec<Group> {
    let mut best = Candidate::new(model, Vec::new());
    let mut arena = Plan::of(&best.program).arena_len;
    while arena > budget {
        let with = |group: Group| {
            let apart = |other: &&Group| other.last < group.first || group.last < other.first;
            let mut groups: Vec<Group> = best.groups.iter().filter(apart).copied().chain([group]).collect();
            groups.sort_by_key(|group| group.first);
            Candidate::new(model, groups)
        };
        let mut candidates: Vec<Candidate> = groups_over(model, best.worst).map(with).collect();
        candidates.sort_by_key(|candidate| candidate.key(candidate.bytes, budget));
        let mut next = None;
        let mut least = best.key(arena, budget);
        for candidate in candidates {
            // No plan is shorter than the bytes alive at one time, and the others have more of these.
            if candidate.key(candidate.bytes, budget) >= least {
                break;
            }
            let key = candidate.key(Plan::rough(&candidate.program).arena_len, budget);
            if key < least {
                (least, next) = (key, Some(candidate));
            }
        }
        let Some(next) = next else { break };
        (best, arena) = (next, least.0);
    }
    best.groups
}

/// Groups, what they need and what they cost.
struct Candidate {
    groups: Vec<Group>,
    program: Program,
    /// Bytes alive at the worst step.
    bytes: u32,
    /// The operator there.
    worst: usize,
    price: u64,
}

impl Candidate {
    fn new(model: &QuantModel, groups: Vec<Group>) -> Self {
        let program = program(model, &groups);
        let (step, bytes) = worst_step(&program);
        let worst = program.steps[step..].iter().find_map(|step| step.layer).unwrap_or(0);
        Self { price: price(program.steps.iter().map(|step| step.op), &model.ops), groups, program, bytes, worst }
    }

    /// The smaller, the better, when the arena takes so many bytes.
    fn key(&self, arena: u32, budget: u32) -> (u32, u64) {
        (arena.max(budget), self.price)
    }
}

/// All groups that hold operator `worst`.
fn groups_over(model: &QuantModel, worst: usize) -> impl Iterator<Item = Group> {
    let firsts = (worst + 1).saturating_sub(LONGEST)..=worst;
    let ranges = firsts.flat_map(move |first| (worst.max(first + 1)..first + LONGEST).map(move |last| (first, last)));
    let possible = |&(first, last): &(usize, usize)| {
        model.ops.get(first..=last).is_some_and(|ops| ops.iter().all(goes_in_stripes))
    };
    ranges.filter(possible).flat_map(|(first, last)| {
        let height = model.ops[last].output().height;
        let mut rows: Vec<u16> = (2..=height.min(STRIPES_MAX)).map(|stripes| height.div_ceil(stripes)).collect();
        rows.dedup();
        rows.into_iter().map(move |rows| Group { first, last, rows })
    })
}

/// Instructions of a Cortex-M4 that operators in stripes take more an inference than the layers that they make, as
/// estimated.
#[must_use]
pub fn price(stripes: impl IntoIterator<Item = Op>, layers: &[Op]) -> u64 {
    let striped: u64 = stripes.into_iter().map(|op| cost(&op)).sum();
    striped.saturating_sub(layers.iter().map(cost).sum())
}

/// What an operator takes beside what is in proportion to its rows, fitted to what `dev device-bench` measures; a test holds the
/// sums to a third of it.
fn cost(op: &Op) -> u64 {
    const START: u64 = 640;
    START
        + match op {
            Op::Conv2d(op) if op.weights.layout != Layout::Plain => {
                Price::new(op, Form::of(op.weights.layout)).instructions + Strip::new(op).len() as u64 / 6
            }
            Op::DepthwiseConv2d(op) => {
                let rows = u64::from(op.output.height) * u64::from(op.window.stride_h) + 2;
                let elements = u64::from(op.input.width) * rows;
                // Outputs that are made twice, where rows are made together and some are missing.
                let height = usize::from(op.output.height);
                let again = height.next_multiple_of(rows_together(op, height)) - height;
                let again = again as u64 * u64::from(op.output.width) * if op.window.stride_h == 1 { 17 } else { 28 };
                u64::from(op.output.channels) * (40 + elements * 3 / 2 + again)
            }
            Op::Reshape(op) => op.output.len() as u64 / 6,
            _ => 0,
        }
}
