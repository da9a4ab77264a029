//! The quantisation of each tensor: by its range, or that of the tensors that it must share it with.

use super::error::{Error, Result};
use super::{Quantisation, Range};
use crate::graph::{FloatOp, Function, Graph};

/// Quantisations of all tensors of a graph, whose ranges are given. Poolings, paddings, reshapes and concatenations only move
/// elements or choose among them, so their outputs and inputs have one quantisation: that of the range of all of them.
pub(super) fn quantisations(graph: &Graph, ranges: &[Range]) -> Result<Vec<Quantisation>> {
    let groups = groups(graph);
    (0..ranges.len())
        .map(|tensor| {
            let makers = (0..ranges.len()).filter(|&other| groups[other] == groups[tensor] && !moves(graph, other));
            let makers: Vec<usize> = makers.collect();
            match makers[..] {
                [0] => Ok(Quantisation { zero_point: graph.zero, ..Quantisation::INPUT }),
                [maker] if ends_in_sigmoid(graph, maker) => Ok(Quantisation::PROBABILITY),
                _ => {
                    ensure!(!makers.contains(&0), Error::ConcatenatedInput);
                    let range = makers.iter().map(|&maker| ranges[maker]).reduce(Range::union);
                    range.map(Quantisation::of_range).ok_or(Error::NoMaker)
                }
            }
        })
        .collect()
}

fn node_op(graph: &Graph, tensor: usize) -> Option<&FloatOp> {
    tensor.checked_sub(1).map(|node| &graph.nodes[node].op)
}

/// Whether the tensor holds elements of others, or their means.
fn moves(graph: &Graph, tensor: usize) -> bool {
    let op = node_op(graph, tensor);
    op.is_some_and(|op| {
        matches!(
            op,
            FloatOp::MaxPool2d { .. }
                | FloatOp::AveragePool2d { .. }
                | FloatOp::Pad { .. }
                | FloatOp::Reshape
                | FloatOp::Concat
        )
    })
}

fn ends_in_sigmoid(graph: &Graph, tensor: usize) -> bool {
    matches!(node_op(graph, tensor), Some(FloatOp::Map { functions }) if functions.last() == Some(&Function::Sigmoid))
}

/// For each tensor, a number that those share that have one quantisation.
fn groups(graph: &Graph) -> Vec<usize> {
    let mut groups: Vec<usize> = (0..=graph.nodes.len()).collect();
    for (index, node) in graph.nodes.iter().enumerate().filter(|(index, _)| moves(graph, index + 1)) {
        for &input in &node.inputs {
            let (from, to) = (groups[index + 1], groups[input]);
            groups.iter_mut().filter(|group| **group == from).for_each(|group| *group = to);
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use no_std_infer::format::Window;

    use super::*;
    use crate::graph::{Clamp, Node, Shape};

    #[test]
    fn what_is_concatenated_has_one_quantisation() {
        let shape = |channels| Shape { height: 2, width: 2, channels };
        let node = |op, inputs: &[usize], channels| Node {
            name: "n".into(),
            op,
            inputs: inputs.to_vec(),
            output: shape(channels),
        };
        let scale = |by: f32| FloatOp::DepthwiseConv2d {
            window: Window::square(1, 1),
            weights: vec![by],
            bias: vec![0.0],
            clamp: Clamp::None,
        };
        let sigmoid = || FloatOp::Map { functions: vec![Function::Sigmoid] };
        let nodes = vec![
            node(scale(1.0), &[0], 1),
            node(scale(2.0), &[0], 1),
            node(FloatOp::MaxPool2d { window: Window::square(1, 1) }, &[1], 1),
            node(FloatOp::Concat, &[3, 2], 2),
            node(sigmoid(), &[1], 1),
            node(FloatOp::Pad { top: 0, left: 0, front: 0 }, &[0], 1),
        ];
        let mut graph = Graph { input: shape(1), zero: -128, nodes };
        let ranges: Vec<Range> = [9.0, 1.0, 2.0, 8.0, 7.0, 0.5, 9.0].map(|max| Range::new(-1.0, max)).into();
        let shared = Quantisation::of_range(Range::new(-1.0, 2.0));
        let input = Quantisation { scale: 1.0, zero_point: -128 };
        let expected = [input, shared, shared, shared, shared, Quantisation::PROBABILITY, input];
        assert_eq!(quantisations(&graph, &ranges).unwrap(), expected);

        // A sigmoid that is concatenated keeps no quantisation of its own, and a picture cannot be.
        graph.nodes.push(node(FloatOp::Concat, &[5, 4], 3));
        let ranges = [&ranges[..], &[Range::new(0.0, 0.0)]].concat();
        assert_eq!(quantisations(&graph, &ranges).unwrap()[5], shared);
        graph.nodes[6].inputs = vec![6, 4];
        assert!(matches!(quantisations(&graph, &ranges), Err(Error::ConcatenatedInput)));
    }
}
