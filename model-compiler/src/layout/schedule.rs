//! The order in which operators run: among those that the data allow, one that needs little memory.

use std::collections::BTreeMap;

use no_std_infer::format::{ALIGN, Op};

use crate::graph::{FloatOp, Graph, Node};
use crate::layout::arena::Plan;
use crate::quantise::QuantModel;

#[cfg(test)]
mod tests;

/// Most tensors and steps that the search copies and looks at: several hundred operators, most of which can come next. Beyond,
/// the order that was given stays.
const SEARCH: usize = 1 << 28;
/// Partial orders that the search keeps at each length: it is exhaustive where no more sets of operators can come first.
const BEAM: usize = 32;

/// The same model with its operators in an order whose live tensors take fewer bytes at the worst operator, names moved
/// along; the order given where no other leads to a shorter arena. The last operator stays last.
#[must_use]
pub fn schedule_model(model: &QuantModel) -> QuantModel {
    let step = |op: &Op| Step {
        inputs: op.inputs().map(|tensor| tensor.offset as usize).collect(),
        len: op.output().len(),
        scratch: op.scratch_len() as usize,
        in_place: op.inputs().any(|input| op.overlap(input).is_some()),
    };
    let steps = model.ops.iter().map(step).collect();
    let order = Network { input: model.input.len(), steps, kept: model.logits.offset as usize }.best_order();
    let index = tensor_indices(&order);
    let mut scheduled = model.clone();
    scheduled.logits.offset = index[model.logits.offset as usize] as u32;
    for (to, &from) in order.iter().enumerate() {
        scheduled.names[to].clone_from(&model.names[from]);
        scheduled.ops[to] = model.ops[from];
        scheduled.ops[to].map_tensors(|tensor| tensor.offset = index[tensor.offset as usize] as u32);
    }
    let shorter = Plan::new(&scheduled).arena_len < Plan::new(model).arena_len;
    if shorter { scheduled } else { model.clone() }
}

/// The same network with its nodes in an order whose live int8 tensors take fewer bytes at the worst node; the order
/// given where none is better. The last node stays last.
#[must_use]
pub fn schedule_graph(graph: Graph) -> Graph {
    let step = |node: &Node| Step {
        inputs: node.inputs.clone(),
        len: node.output.len(),
        scratch: match &node.op {
            FloatOp::Conv2d { window, .. } => window.taps() * graph.shape(node.inputs[0]).channels,
            _ => 0,
        },
        in_place: matches!(node.op, FloatOp::Add { .. } | FloatOp::Mul { .. } | FloatOp::Map { .. } | FloatOp::Reshape),
    };
    let steps: Vec<Step> = graph.nodes.iter().map(step).collect();
    let last = steps.len();
    let order = Network { input: graph.input.len(), steps, kept: last }.best_order();
    let index = tensor_indices(&order);
    let mut nodes: Vec<Option<Node>> = graph.nodes.into_iter().map(Some).collect();
    let moved = order.iter().filter_map(|&from| nodes[from].take()).map(|mut node| {
        node.inputs.iter_mut().for_each(|input| *input = index[*input]);
        node
    });
    Graph { input: graph.input, zero: graph.zero, nodes: moved.collect() }
}

/// Each tensor's index once the operators are in this order.
fn tensor_indices(order: &[usize]) -> Vec<usize> {
    let mut index = vec![0; order.len() + 1];
    order.iter().enumerate().for_each(|(to, &from)| index[from + 1] = to + 1);
    index
}

/// An operator, as far as its place in the order depends on it.
#[derive(Clone, Debug)]
struct Step {
    /// Tensors: 0 is the network's input, `i + 1` the output of step `i`.
    inputs: Vec<usize>,
    /// Bytes of the output.
    len: usize,
    /// Bytes of scratch.
    scratch: usize,
    /// Whether the output may take the place of an input as long as itself.
    in_place: bool,
}

#[derive(Clone, Debug)]
struct Network {
    input: usize,
    steps: Vec<Step>,
    /// The tensor that must outlive the run.
    kept: usize,
}

/// Some steps in an order, and the memory that they need.
#[derive(Clone, Debug)]
struct Partial {
    order: Vec<usize>,
    done: Vec<bool>,
    /// Steps that have yet to read each tensor.
    readers: Vec<usize>,
    live: usize,
    peak: usize,
}

impl Network {
    fn len(&self, tensor: usize) -> usize {
        if tensor == 0 { self.input } else { self.steps[tensor - 1].len }
    }

    fn start(&self) -> Partial {
        let mut readers = vec![0; self.steps.len() + 1];
        self.steps.iter().flat_map(|step| &step.inputs).for_each(|&tensor| readers[tensor] += 1);
        readers[self.kept] += 1;
        let live = aligned(self.input);
        Partial { order: Vec::new(), done: vec![false; self.steps.len()], readers, live, peak: live }
    }

    fn ready(&self, partial: &Partial, step: usize) -> bool {
        let made = |&tensor: &usize| tensor == 0 || partial.done[tensor - 1];
        let last = step + 1 == self.steps.len();
        let in_turn = !last || partial.order.len() == step;
        in_turn && !partial.done[step] && self.steps[step].inputs.iter().all(made)
    }

    /// `partial` with one more step.
    fn then(&self, partial: &Partial, index: usize) -> Partial {
        let mut next = partial.clone();
        let step = &self.steps[index];
        step.inputs.iter().for_each(|&tensor| next.readers[tensor] -= 1);
        let mut dying: Vec<usize> = step.inputs.iter().copied().filter(|&tensor| next.readers[tensor] == 0).collect();
        dying.sort_unstable();
        dying.dedup();
        let freed: usize = dying.iter().map(|&tensor| aligned(self.len(tensor))).sum();
        let replaces = step.in_place && dying.iter().any(|&tensor| self.len(tensor) == step.len);
        let output = aligned(step.len);
        let during = partial.live + if replaces { 0 } else { output } + aligned(step.scratch);
        next.peak = partial.peak.max(during);
        next.live = partial.live + if next.readers[index + 1] > 0 { output } else { 0 } - freed;
        next.order.push(index);
        next.done[index] = true;
        next
    }

    fn best_order(&self) -> Vec<usize> {
        let count = self.steps.len();
        let given = (0..count).fold(self.start(), |partial, step| self.then(&partial, step));
        let mut beam = vec![self.start()];
        let mut left = SEARCH;
        for _ in 0..count {
            // The same steps in another order leave the same tensors alive: only the peak differs.
            let mut longer: BTreeMap<Vec<bool>, Partial> = BTreeMap::new();
            for partial in &beam {
                for step in (0..count).filter(|&step| self.ready(partial, step)) {
                    // A partial order is copied, and compared with others.
                    let Some(rest) = left.checked_sub(count) else { return given.order };
                    left = rest;
                    let next = self.then(partial, step);
                    let known = longer.entry(next.done.clone()).or_insert_with(|| next.clone());
                    if next.peak < known.peak {
                        *known = next;
                    }
                }
            }
            // Among equals, those that took the earlier steps come first.
            beam = longer.into_values().rev().collect();
            beam.sort_by_key(|partial| (partial.peak, partial.live));
            beam.truncate(BEAM);
        }
        match beam.into_iter().next() {
            Some(best) if best.peak < given.peak => best.order,
            _ => given.order,
        }
    }
}

fn aligned(len: usize) -> usize {
    len.next_multiple_of(ALIGN)
}
