use no_std_infer::format::Window;
use proptest::prelude::*;

use super::*;
use crate::graph::{Clamp, Shape};
use crate::layout::arena::tests::{check, model};

/// The smallest peak of all orders that the data allow.
fn smallest_peak(network: &Network, partial: &Partial) -> usize {
    let ready = (0..network.steps.len()).filter(|&step| network.ready(partial, step));
    let peaks = ready.map(|step| smallest_peak(network, &network.then(partial, step)));
    peaks.min().unwrap_or(partial.peak)
}

fn network(numbers: &[(usize, usize, usize, bool)]) -> Network {
    let step = |(index, &(a, b, len, in_place)): (usize, &(usize, usize, usize, bool))| Step {
        inputs: vec![a % (index + 1), b % (index + 1)],
        len: if len % 3 == 0 { 64 } else { len },
        scratch: a % 40,
        in_place,
    };
    Network { input: 64, steps: numbers.iter().enumerate().map(step).collect(), kept: numbers.len() }
}

proptest! {
    #[test]
    fn no_order_of_a_small_network_needs_less(
        numbers in prop::collection::vec((0_usize..99, 0_usize..99, 1_usize..300, any::<bool>()), 1..7),
    ) {
        let network = network(&numbers);
        let order = network.best_order();
        let mut partial = network.start();
        for &step in &order {
            prop_assert!(network.ready(&partial, step), "{:?}", order);
            partial = network.then(&partial, step);
        }
        prop_assert_eq!(order.len(), numbers.len());
        prop_assert_eq!(partial.peak, smallest_peak(&network, &network.start()));
    }

    /// Peaks are the lower bounds that plans print, and a reordered model has the same edges.
    #[test]
    fn scheduled_models_compute_the_same_in_no_more_memory(
        first in 0_usize..200,
        numbers in prop::collection::vec([0_usize..10, 0_usize..99, 0_usize..99, 0_usize..200], 1..15),
        logits in 0_usize..15,
    ) {
        let mut given = model(first, &numbers, logits);
        given.names = (0..given.ops.len()).map(|op| op.to_string()).collect();
        let scheduled = schedule_model(&given);
        let plan = Plan::new(&scheduled);
        check(&scheduled, &plan)?;
        prop_assert!(plan.arena_len <= Plan::new(&given).arena_len);
        prop_assert_eq!(edges(&scheduled), edges(&given));
        prop_assert_eq!(scheduled.names.last(), given.names.last());
    }
}

/// Each operator's name, kind and length with the names of its inputs' makers; then the logits' maker.
fn edges(model: &QuantModel) -> Vec<(String, &'static str, usize, Vec<String>)> {
    let maker = |tensor: u32| if tensor == 0 { "input".to_owned() } else { model.names[tensor as usize - 1].clone() };
    let mut edges: Vec<_> = model
        .ops
        .iter()
        .zip(&model.names)
        .map(|(op, name)| {
            assert_eq!(maker(op.output().offset), *name);
            let inputs = op.inputs().map(|tensor| maker(tensor.offset)).collect();
            (name.clone(), op.name(), op.output().len(), inputs)
        })
        .collect();
    edges.sort();
    edges.push((maker(model.logits.offset), "logits", model.logits.len(), Vec::new()));
    edges
}

#[test]
fn a_branch_is_finished_before_the_next_is_begun() {
    // Two poolings to 1600 bytes, each then pooled to 16, and the sum.
    let numbers = [[6, 0, 0, 1599], [6, 0, 0, 1599], [6, 1, 0, 15], [6, 2, 0, 15], [2, 3, 2, 0]];
    let mut given = model(15, &numbers, 4);
    given.names = ["left", "right", "small left", "small right", "sum"].map(str::to_owned).to_vec();
    let scheduled = schedule_model(&given);
    assert_eq!(scheduled.names[..2], ["left", "small left"]);
    assert_eq!(Plan::new(&given).arena_len, 2 * 1600 + 16);
    assert_eq!(Plan::new(&scheduled).arena_len, 1600 + 2 * 16);
}

#[test]
fn a_scheduled_graph_computes_the_same() {
    let large = Shape { height: 5, width: 4, channels: 30 };
    let small = Shape { channels: 1, ..large };
    let conv = |name: &str, tensor: usize, inputs: usize, output: Shape| Node {
        name: name.to_owned(),
        op: FloatOp::Conv2d {
            window: Window::square(1, 1),
            weights: (0..output.channels * inputs).map(|i| (i * tensor) as f32 * 0.01 - 0.1).collect(),
            bias: vec![0.5; output.channels],
            clamp: Clamp::None,
        },
        inputs: vec![tensor],
        output,
    };
    let add = Node { name: "sum".into(), op: FloatOp::Add { clamp: Clamp::None }, inputs: vec![3, 4], output: small };
    let nodes = vec![
        conv("left", 0, 3, large),
        conv("right", 0, 3, large),
        conv("small left", 1, 30, small),
        conv("small right", 2, 30, small),
        add,
    ];
    let given = Graph { input: Shape { channels: 3, ..large }, zero: 0, nodes };
    let scheduled = schedule_graph(given.clone());
    let names: Vec<&str> = scheduled.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names[..2], ["left", "small left"]);
    assert_eq!(names[4], "sum");
    let input: Vec<i8> = (0..60).collect();
    assert_eq!(scheduled.run(&input).last(), given.run(&input).last());
}
