//! What is exported and imported again computes the same bytes.

use no_std_infer::Model;

use super::*;
use crate::aligned::Aligned;
use crate::blob::emit::{Description, Limits, emit, emit_within};
use crate::graph::{FloatOp, Graph};
use crate::import;
use crate::quantise::calibrate::calibrate;
use crate::quantise::tests::{convolutions, inputs, residual_network};
use crate::quantise::{Method, QuantModel, quantise};
use no_std_infer::format::{InputKind, Provenance};
use no_std_infer::kernels::Linked;

const DESCRIPTION: Description<'_> = Description {
    name: "test",
    labels: &[],
    input: InputKind::Tensor,
    provenance: Provenance {
        config: "",
        dataset: "",
        producer: "",
        images: 0,
        float_accuracy: 0.0,
        int8_accuracy: 0.0,
    },
};

fn faces() -> Aligned<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/faces.blob");
    Aligned::copy_of(&std::fs::read(path).unwrap())
}

fn quantised(graph: &Graph, temperature: f32) -> QuantModel {
    let ranges = calibrate(graph, &inputs(graph, 4), Method::MinMax).unwrap();
    quantise(graph, &ranges, temperature).unwrap()
}

fn output(model: &Model<'_>, input: &[i8]) -> Vec<i8> {
    let mut arena = vec![0; model.arena_len()];
    arena[model.info().input.tensor.range()].copy_from_slice(input);
    model.ops().for_each(|op| Linked::ALL.run(&op, &mut arena, model.weights()));
    arena[model.output().range()].to_vec()
}

fn noise(seed: u32, len: usize) -> Vec<i8> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as i8
    };
    (0..len).map(|_| next()).collect()
}

/// Exports a blob and imports it again: the same output for random inputs. Gives the notes.
fn check(blob: &[u8], count: u32) -> Vec<String> {
    let model = Model::parse(blob).unwrap();
    let exported = tflite(&model).unwrap_or_else(|error| panic!("{error}: {:?}", std::error::Error::source(&error)));
    let again = emit(&import::int8(&exported.bytes).unwrap().model, &DESCRIPTION).unwrap().blob;
    let again = Model::parse(&again).unwrap();
    for seed in 0..count {
        let input = noise(seed, model.info().input.tensor.len());
        assert_eq!(output(&model, &input), output(&again, &input), "input {seed}");
    }
    exported.notes
}

#[test]
fn the_blob_of_the_faces_comes_back() {
    check(&faces(), 5);
}

#[test]
fn our_own_networks_come_back_in_every_layout() {
    for graph in [residual_network(), convolutions()] {
        let model = quantised(&graph, 1.0);
        for flash in [0, usize::MAX] {
            let blob = emit_within(&model, &DESCRIPTION, Limits { flash, ..Limits::default() }).unwrap().blob;
            assert!(check(&blob, 5).is_empty());
        }
    }
}

#[test]
fn a_channel_that_is_always_the_same_keeps_its_value() {
    let mut graph = convolutions();
    for node in &mut graph.nodes {
        if let FloatOp::Conv2d { weights, bias, .. } = &mut node.op {
            let taps = weights.len() / bias.len();
            weights[..taps].iter_mut().for_each(|weight| *weight *= 1e-9);
        }
    }
    let model = quantised(&graph, 1.0);
    for flash in [0, usize::MAX] {
        let blob = emit_within(&model, &DESCRIPTION, Limits { flash, ..Limits::default() }).unwrap().blob;
        check(&blob, 5);
    }
}

#[test]
fn temperatures_are_exact() {
    for temperature in [0.37, 1.3, 2.0, 9.1] {
        let blob = emit(&quantised(&residual_network(), temperature), &DESCRIPTION).unwrap().blob;
        let notes = check(&blob, 3);
        assert_eq!(notes.is_empty(), temperature == 2.0, "{notes:?}");
    }
}

#[test]
fn an_input_of_another_scale_is_told() {
    let blob = emit(&quantised(&residual_network(), 1.0).with_input_scale(0.37), &DESCRIPTION).unwrap().blob;
    let notes = check(&blob, 3);
    assert!(notes[0].contains("divide by 0.37"), "{notes:?}");
}
