//! Channels of what a depthwise convolution reads are made equally large before a graph is quantised, since they share one
//! scale (Nagel et al. 2019, arXiv:1906.04721, section 4.1, there by the ranges of weights). What makes a channel is
//! multiplied, and the depthwise weights that read it are divided: both have a scale for each channel, so they lose nothing.

use rayon::prelude::*;

use crate::graph::{Clamp, FloatOp, Graph, Node};

/// How far above the largest value seen a channel may go before it is cut off, where it may be cut off at all.
const HEADROOM: f32 = 1.25;
/// Largest factor: a channel that is hardly ever active is not blown up to full size.
const LARGEST: f32 = 16.0;

/// A graph that computes the same, with equally large channels between ReLU or ReLU6 and a depthwise convolution that alone
/// reads them; `None` where there is nothing to do. With ReLU6 a channel is cut off at 6 divided by its factor, which none of
/// `inputs` (`pixel − 128`, HWC) reaches.
///
/// # Panics
/// When the graph is not valid or an input has not its length.
#[must_use]
pub fn equalise(graph: &Graph, inputs: &[Vec<i8>]) -> Option<Graph> {
    let maxima = channel_maxima(graph, inputs);
    let mut equal = graph.clone();
    for (reader, node) in graph.nodes.iter().enumerate() {
        if let (FloatOp::DepthwiseConv2d { .. }, Some(maker)) = (&node.op, sole_maker(graph, reader)) {
            let factors = factors(&maxima[maker]);
            scale_outputs(&mut equal.nodes[maker].op, &factors);
            divide_inputs(&mut equal.nodes[reader].op, &factors);
        }
    }
    (equal != *graph).then_some(equal)
}

/// Index of the convolution whose output, at least 0 everywhere, is read by this node and by no other.
fn sole_maker(graph: &Graph, reader: usize) -> Option<usize> {
    let tensor = graph.nodes[reader].inputs[0];
    let maker = tensor.checked_sub(1)?;
    let readers = graph.nodes.iter().flat_map(|node| &node.inputs).filter(|&&input| input == tensor).count();
    let clamp = match graph.nodes[maker].op {
        FloatOp::Conv2d { clamp, .. } | FloatOp::DepthwiseConv2d { clamp, .. } => clamp,
        _ => Clamp::None,
    };
    (readers == 1 && clamp != Clamp::None).then_some(maker)
}

/// The largest value of each channel of what each node makes.
fn channel_maxima(graph: &Graph, inputs: &[Vec<i8>]) -> Vec<Vec<f32>> {
    let of_input = |input: &Vec<i8>| -> Vec<Vec<f32>> {
        let tensors = graph.run(input);
        let maxima = |(node, values): (&Node, &Vec<f32>)| {
            let mut maxima = vec![0.0_f32; node.output.channels];
            for pixel in values.chunks_exact(maxima.len()) {
                maxima.iter_mut().zip(pixel).for_each(|(largest, value)| *largest = largest.max(*value));
            }
            maxima
        };
        graph.nodes.iter().zip(&tensors[1..]).map(maxima).collect()
    };
    let larger = |a: Vec<Vec<f32>>, b: Vec<Vec<f32>>| {
        let channels = |(a, b): (Vec<f32>, Vec<f32>)| a.into_iter().zip(b).map(|(a, b)| a.max(b)).collect();
        a.into_iter().zip(b).map(channels).collect()
    };
    inputs.par_iter().map(of_input).reduce_with(larger).unwrap_or_default()
}

/// What each channel is multiplied by: 1 or more, and most where it was never active.
fn factors(maxima: &[f32]) -> Vec<f32> {
    let largest = maxima.iter().copied().fold(0.0, f32::max);
    let factor =
        |maximum: f32| if maximum > 0.0 { (largest / (HEADROOM * maximum)).clamp(1.0, LARGEST) } else { LARGEST };
    maxima.iter().copied().map(factor).collect()
}

fn scale_outputs(op: &mut FloatOp, factors: &[f32]) {
    match op {
        FloatOp::Conv2d { weights, bias, .. } => {
            let taps = weights.len() / factors.len();
            weights.chunks_exact_mut(taps).zip(factors).for_each(|(row, by)| row.iter_mut().for_each(|w| *w *= by));
            bias.iter_mut().zip(factors).for_each(|(bias, by)| *bias *= by);
        }
        FloatOp::DepthwiseConv2d { weights, bias, .. } => {
            weights.iter_mut().zip(factors.iter().cycle()).for_each(|(weight, by)| *weight *= by);
            bias.iter_mut().zip(factors).for_each(|(bias, by)| *bias *= by);
        }
        _ => {}
    }
}

fn divide_inputs(op: &mut FloatOp, factors: &[f32]) {
    if let FloatOp::DepthwiseConv2d { weights, .. } = op {
        weights.iter_mut().zip(factors.iter().cycle()).for_each(|(weight, by)| *weight /= by);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Shape, same_window};
    use crate::quantise::tests::inputs;

    /// A convolution whose channels differ a thousandfold, then a depthwise one.
    fn uneven(clamp: Clamp) -> Graph {
        let input = Shape { height: 6, width: 5, channels: 2 };
        let (window, output) = same_window(input, 1, 1);
        let hidden = Shape { channels: 3, ..output };
        let weights = vec![0.01, 0.02, 1e-3, -2e-3, 2e-5, 1e-5];
        let conv = FloatOp::Conv2d { window, weights, bias: vec![0.3, 0.1, 1e-3], clamp };
        let (window, output) = same_window(hidden, 3, 2);
        let weights = (0..27).map(|i| (i as f32 - 12.0) * [0.1, 1.0, 30.0][i % 3]).collect();
        let depthwise = FloatOp::DepthwiseConv2d { window, weights, bias: vec![0.1; 3], clamp: Clamp::None };
        let dense = FloatOp::Dense { weights: vec![0.01; 2 * output.len()], bias: vec![0.0; 2], clamp: Clamp::None };
        let node = |name: &str, op, tensor, output| Node { name: name.into(), op, inputs: vec![tensor], output };
        let vector = Shape { height: 1, width: 1, channels: 2 };
        let nodes =
            vec![node("conv", conv, 0, hidden), node("dw", depthwise, 1, output), node("head", dense, 2, vector)];
        Graph { input, zero: 0, nodes }
    }

    #[test]
    fn channels_become_equally_large_and_the_rest_is_the_same() {
        for clamp in [Clamp::Relu, Clamp::Relu6] {
            let graph = uneven(clamp);
            graph.validate().unwrap();
            let inputs = inputs(&graph, 8);
            let equal = equalise(&graph, &inputs).unwrap();
            let largest = |graph: &Graph| channel_maxima(graph, &inputs)[0].clone();
            let (before, after) = (largest(&graph), largest(&equal));
            assert!(before[0] > 300.0 * before[2], "{before:?}");
            assert!(after[1] * HEADROOM > 0.99 * after[0] && after[2] > 15.0 * before[2], "{after:?}");
            for input in &inputs {
                let (expected, tensors) = (graph.run(input), equal.run(input));
                for (a, b) in expected[2].iter().chain(&expected[3]).zip(tensors[2].iter().chain(&tensors[3])) {
                    assert!((a - b).abs() <= 1e-4 * a.abs().max(1.0), "{a} {b}");
                }
            }
        }
    }

    #[test]
    fn what_others_read_or_may_be_negative_stays() {
        assert_eq!(equalise(&uneven(Clamp::None), &inputs(&uneven(Clamp::None), 2)), None);
        let mut graph = uneven(Clamp::Relu);
        graph.nodes[2].inputs = vec![1];
        let FloatOp::Dense { weights, .. } = &mut graph.nodes[2].op else { panic!("a dense layer") };
        *weights = vec![0.01; 2 * 90];
        graph.validate().unwrap();
        assert_eq!(equalise(&graph, &inputs(&graph, 2)), None);
    }
}
